"""The pytest plugin: cases with ids and requirements, their protocol, bench and verdict.

A module because a case is a pytest function and nothing else: `@case(...)` or `@cases(generator)`,
the fixtures `protocol`, `bench`, `subject` and `context`. Every verdict is recorded as it falls.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from controller.core.errors import CellwrightError
from hil_sim.qualification.bench import LIVE, VIRTUAL, Bench
from hil_sim.qualification.protocol import CaseProtocol, CriterionFailed, ProtocolError
from hil_sim.qualification.record import QualificationLog, canonical_bytes
from hil_sim.qualification.requirements import Requirements

NONE = "none"  # a case that needs no unit
FIDELITY = {
    LIVE: "executed live: real terminals, OPC UA session, field and supervisor as two programs",
    VIRTUAL: "executed in wire fidelity, virtual time",
    NONE: "executed on the installation",
}
TEXT_MAX = 1_900


@dataclass(frozen=True, slots=True)
class Case:
    """One case: its id, what it backs, where it is executed. `subject` is what it is about."""

    id: str
    title: str
    requirements: tuple[str, ...]
    bench: str = NONE
    subject: Any = None
    smoke: bool = False


Family = Callable[[Requirements], Sequence[Case]]
Benches = Mapping[str, Callable[[], Bench]]


def case(
    name: str, *, requirements: Sequence[str], title: str, bench: str = NONE, smoke: bool = False
) -> pytest.MarkDecorator:
    """Marks a function as the case of this id."""
    return pytest.mark.case(Case(name, title, tuple(requirements), bench, None, smoke))


def cases(generator: Family) -> pytest.MarkDecorator:
    """Marks a function as a family of cases, made from the requirements."""
    return pytest.mark.cases.with_args(generator)


@dataclass
class Context:
    """What is executed, by whom, on what, and where it is recorded."""

    stage: str
    run: str
    person: str
    unit: Path
    requirements: Requirements
    out: Path
    log: QualificationLog
    benches: Benches
    select: str = ""
    skip: frozenset[str] = frozenset()
    all_virtual: bool = False
    say: Callable[[str], None] = print
    collected: list[Case] = field(default_factory=list)
    verdicts: dict[str, str] = field(default_factory=dict)
    deviations: int = 0
    counted: Callable[[list[Case]], None] = lambda found: None
    facts: dict[str, str] = field(default_factory=dict)

    def chosen(self, item: Case) -> bool:
        """Whether a case is among those asked for."""
        if not self.select:
            return True
        words = [word.strip() for word in self.select.split(",")]
        return (item.smoke and "smoke" in words) or any(fnmatchcase(item.id, w) for w in words)


class _Sink:
    """Records one case's execution."""

    def __init__(self, context: Context, item: Case) -> None:
        self._context, self._case = context, item

    def planned(self, case: str, plan: Mapping[str, Any], digest: str) -> None:
        log = self._context.log
        log.store(f"plan {case} {self._context.run}", canonical_bytes(plan))
        log.add("qualification.planned", run=self._context.run, case=case, title=self._case.title,
                digest=digest, file=digest)  # fmt: skip

    def evidence(self, case: str, name: str, data: bytes) -> str:
        return self._context.log.store(f"evidence {case} {name}", data)

    def step(self, case: str, number: int, state: str) -> str:
        if state == "measured":
            return self._context.log.now()
        return self._context.log.add("qualification.step", run=self._context.run, case=case,
                                     step=number, state=state)  # fmt: skip

    def measured(self, case: str, row: Mapping[str, Any]) -> None:
        keys = ("step", "name", "criterion", "actual", "verdict")
        data = {key: row[key] for key in keys}
        data["actual"] = str(data["actual"])[:TEXT_MAX]
        self._context.log.add("qualification.measured", run=self._context.run, case=case, **data)


class Plugin:
    """Collects, orders, executes and records the cases of one run."""

    def __init__(self, context: Context) -> None:
        self.given = context
        self._benches: dict[str, Bench] = {}
        self._failed_bench: dict[str, str] = {}
        self._dirty = False

    # -- collection -------------------------------------------------------------------------

    def pytest_configure(self, config: pytest.Config) -> None:
        """Registers the markers."""
        config.addinivalue_line("markers", "case(Case): one qualification case")
        config.addinivalue_line("markers", "cases(generator): a family of cases")

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Families: one item for each case."""
        family = metafunc.definition.get_closest_marker("cases")
        if family is None:
            return
        found = family.args[0](self.given.requirements)
        metafunc.parametrize(
            "subject", [pytest.param(c.subject, marks=pytest.mark.case(c), id=c.id) for c in found]
        )

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Chooses and orders: installation, live (one system for all), then virtual time."""
        items[:] = [item for item in items if not _of_nothing(item)]
        order = {NONE: 0, LIVE: 1, VIRTUAL: 2}
        items.sort(key=lambda item: order[self._where(case_of(item))])
        everything = [case_of(item) for item in items]
        twice = {c.id for c in everything if sum(o.id == c.id for o in everything) > 1}
        if twice:
            raise pytest.UsageError(f"case ids that are not unique: {', '.join(sorted(twice))}")
        self.given.collected = everything
        chosen = [item for item in items if self.given.chosen(case_of(item))]
        left = [item for item in chosen if case_of(item).id not in self.given.skip]
        config.hook.pytest_deselected(items=[item for item in items if item not in left])
        items[:] = left
        self.given.counted([case_of(item) for item in chosen])

    def _where(self, item: Case) -> str:
        return VIRTUAL if self.given.all_virtual and item.bench == LIVE else item.bench

    # -- fixtures ---------------------------------------------------------------------------

    @pytest.fixture
    def subject(self) -> Any:
        """What the case is about; families override it."""
        return None

    @pytest.fixture
    def context(self) -> Context:
        """The run."""
        return self.given

    @pytest.fixture
    def protocol(self, request: pytest.FixtureRequest) -> CaseProtocol:
        """The protocol of this case."""
        item = case_of(request.node)
        found = CaseProtocol(item.id, _Sink(self.given, item))
        request.node.stash[PROTOCOL] = found
        return found

    @pytest.fixture
    def bench(self, request: pytest.FixtureRequest) -> Bench:
        """The unit under test in its normal state; a failed case gets the next one a fresh unit."""
        where = self._where(case_of(request.node))
        if self._dirty:
            self._drop(where)
        found = self._benches.get(where)
        if found is not None and found.spent:
            self._drop(where)
            found = None
        if found is None:
            found = self._benches[where] = self.given.benches[where]()
        try:
            found.normal()
        except CellwrightError:
            self._drop(where)
            found = self._benches[where] = self.given.benches[where]()
            found.normal()
        return found

    def _drop(self, where: str) -> None:
        self._dirty = False
        found = self._benches.pop(where, None)
        if found is not None:
            found.close()

    def pytest_unconfigure(self) -> None:
        """Ends every unit under test."""
        for where in list(self._benches):
            self._drop(where)

    # -- verdicts ---------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """Runs the case, then holds every criterion against what was measured."""
        yield
        protocol = item.stash.get(PROTOCOL, None)
        if protocol is None:
            raise ProtocolError("a case without a protocol proves nothing")
        protocol.finish()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Records the verdict of each case as it falls."""
        report = yield
        if report.when == "call" or (report.when == "setup" and report.failed):
            why = "" if call.excinfo is None else _why(call.excinfo.value)
            self._verdict(item, "pass" if report.passed else "fail", why)
        return report

    def _verdict(self, item: pytest.Item, verdict: str, why: str) -> None:
        context, found = self.given, case_of(item)
        protocol = item.stash.get(PROTOCOL, None)
        where = self._where(found)
        deviation = ""
        self._dirty = verdict == "fail"
        if verdict == "fail":
            context.deviations += 1
            deviation = f"DEV-{context.deviations:03d}"
        document = {
            "case": found.id, "title": found.title, "run": context.run, "stage": context.stage,
            "requirements": list(found.requirements), "executor": context.person,
            "execution": FIDELITY[where], "verdict": verdict, "why": why, "deviation": deviation,
            "plan_sha256": protocol.digest if protocol else "",
            "steps": [step.row() for step in protocol.steps] if protocol else [],
            "notes": protocol.notes if protocol else [], "ended": context.log.now(),
        }  # fmt: skip
        data = canonical_bytes(document)
        digest = context.log.store(f"executed {found.id} {context.run}", data)
        if digest != hashlib.sha256(data).hexdigest():
            raise ProtocolError("the executed protocol was not stored as it is")
        context.log.add("qualification.case", run=context.run, case=found.id, verdict=verdict,
                        executed=digest)  # fmt: skip
        if deviation:
            context.log.add(
                "qualification.deviation", deviation=deviation, run=context.run, case=found.id,
                what=f"{found.title}: {why.splitlines()[0] if why else 'failed'}"[:TEXT_MAX],
                where=f"{found.id}, {FIDELITY[where]}",
                means=_means(found, context.requirements)[:TEXT_MAX],
                todo="Find the cause. Correct the unit, or have the requirement changed and "
                "approved. Execute the case again: the new run is added, this one stays.",
            )  # fmt: skip
        context.verdicts[found.id] = verdict
        context.say(f"{found.id:<24} {verdict}" + (f"  {deviation}: {why}" if why else ""))


PROTOCOL = pytest.StashKey[CaseProtocol]()


def _of_nothing(item: pytest.Item) -> bool:
    """Whether it stands for a family of which these requirements ask no case."""
    family, found = item.get_closest_marker("cases"), item.get_closest_marker("case")
    return family is not None and found is None


def case_of(item: pytest.Item) -> Case:
    """The case of an item; raises UsageError for a function that is none."""
    marker = item.get_closest_marker("case")
    if marker is None:
        raise pytest.UsageError(f"{item.nodeid} is no case: mark it with @case or @cases")
    found: Case = marker.args[0]
    return found


def _why(error: BaseException) -> str:
    if isinstance(error, (CriterionFailed, ProtocolError)):
        return str(error)
    if isinstance(error, CellwrightError):
        return f"it could not be executed: {error}"
    return f"it could not be executed: {type(error).__name__}: {error}"


def _means(found: Case, required: Requirements) -> str:
    titles = {id_: title for id_, title, _ in required.tested()}
    named = "; ".join(f"{id_} ({titles.get(id_, 'unknown')})" for id_ in found.requirements)
    return f"Not shown to be met, v{required.version}: {named}. The unit is not qualified for it."
