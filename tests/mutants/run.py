"""`make mutants`: changes one place of a safety module at a time and runs its tests against it.

The mutations are cosmic-ray's. A parent process imports everything but the mutated module once and
forks for each mutant, so that one costs its tests and little else. What survives must be listed in
`equivalent.yaml` with the reason why no behaviour changed; anything else fails the run.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent.yaml")
RESULT = ROOT / "docs" / "results" / "mutants.md"
TIMEOUT_S = 20
# A decorator says how a function is compiled or kept, and tests run without the compiler; `is`
# between numbers is no comparison of the kernel's language.
NO_OPERATOR = re.compile(r"RemoveDecorator|_Is$|_IsNot$|_Is_|_IsNot_")


@dataclass(frozen=True)
class Target:
    """One module with the tests that guard it, and what may be imported before it is mutated."""

    module: str
    tests: tuple[str, ...]
    warm: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        return ROOT / (self.module.replace(".", "/") + ".py")


_KERNEL_WARM = ("numpy", "numba", "pytest", "hypothesis", "controller.field.ring",
                "controller.field.sense", "controller.field.verbs")  # fmt: skip
_KERNEL_TESTS = ("tests/mutants/test_matrix_gate.py",)
_MATRIX_TESTS = ("tests/mutants/test_matrix_alone.py", *_KERNEL_TESTS)
_GATE_TESTS = ("tests/mutants/test_gate_alone.py", *_KERNEL_TESTS)
_ALARM_WARM = ("numpy", "numba", "pytest", "hypothesis", "hypothesis.stateful", "pint", "pydantic",
               "controller.core.events", "controller.profile.compile")  # fmt: skip
_ALARM_TESTS = tuple(
    f"tests/controller/alarms/test_{name}.py"
    for name in ("alarms", "alarm_fold", "alarm_dependence", "alarm_table")
)
_BOOK_TESTS = (*_ALARM_TESTS, "tests/controller/alarms/test_alarm_book.py")
TARGETS = (
    Target("controller.field.matrix", _MATRIX_TESTS, _KERNEL_WARM),
    Target("controller.field.effects", _MATRIX_TESTS, _KERNEL_WARM),
    Target("controller.field.gate", _GATE_TESTS, _KERNEL_WARM),
    Target("controller.alarms.table", _ALARM_TESTS, _ALARM_WARM),
    Target("controller.alarms.alarm", _ALARM_TESTS, _ALARM_WARM),
    Target("controller.alarms.alarms", _ALARM_TESTS, _ALARM_WARM),
    Target("controller.alarms.sources", _ALARM_TESTS, _ALARM_WARM),
    Target("controller.alarms.dependence", _ALARM_TESTS, _ALARM_WARM),
    Target("controller.alarms.defaults", _BOOK_TESTS, _ALARM_WARM),
    Target("controller.alarms.book", _BOOK_TESTS, _ALARM_WARM),
    Target("controller.alarms.stats", ("tests/controller/alarms/test_alarm_stats.py",),
           _ALARM_WARM),
    Target("controller.annunciator.port", ("tests/controller/alarms/test_annunciator_port.py",),
           _ALARM_WARM),
)  # fmt: skip
# Thorough and slow; what it finds the exhaustive tests beside it find at once.
_SLOW = "not TestLife"


@dataclass(frozen=True)
class Mutant:
    """One change: the operator that made it, and the lines it changed."""

    target: Target
    operator: str
    occurrence: int
    source: str
    was: str
    becomes: str

    def __str__(self) -> str:
        return f"{self.target.path.relative_to(ROOT)}: `{self.was}` -> `{self.becomes}`"


@dataclass
class Score:
    """What became of the mutants of one module."""

    killed: int = 0
    timed_out: int = 0
    equivalent: list[tuple[Mutant, str]] = field(default_factory=list)
    survived: list[Mutant] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.killed + self.timed_out + len(self.equivalent) + len(self.survived)


def mutants(target: Target) -> Iterator[Mutant]:
    """Every mutant of a module whose text differs, in a fixed order."""
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast_from_path
    from cosmic_ray.mutating import mutate_code

    source, tree = target.path.read_text(), get_ast_from_path(target.path)
    for name in sorted(plugins.operator_names()):
        kind = plugins.get_operator(name)
        if NO_OPERATOR.search(name) or kind.arguments():
            continue
        places = sum(1 for node in ast_nodes(tree) for _ in kind().mutation_positions(node))
        for occurrence in range(places):
            changed = mutate_code(source, kind(), occurrence)
            if changed is not None and changed != source:
                was, becomes = _changed(source, changed)
                yield Mutant(target, name, occurrence, changed, was, becomes)


def _changed(one: str, other: str) -> tuple[str, str]:
    lines = list(difflib.unified_diff(one.splitlines(), other.splitlines(), n=0, lineterm=""))[2:]
    was = " ".join(line[1:].strip() for line in lines if line.startswith("-"))
    becomes = " ".join(line[1:].strip() for line in lines if line.startswith("+"))
    return was, becomes


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from changed source."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, name, path=None, target=None):  # noqa: ANN001, ANN201
        if name != self._mutant.target.module:
            return None
        return importlib.util.spec_from_file_location(
            name, self._mutant.target.path, loader=self
        )

    def create_module(self, spec):  # noqa: ANN001, ANN201
        return None

    def exec_module(self, module) -> None:  # noqa: ANN001
        exec(compile(self._mutant.source, str(self._mutant.target.path), "exec"), vars(module))


def _child(mutant: Mutant) -> int:
    """Runs the tests on a mutant, quietly; the exit code of pytest."""
    import pytest

    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    sys.meta_path.insert(0, _Mutated(mutant))
    tests = [str(ROOT / test) for test in mutant.target.tests]
    plain = ["-c", os.devnull, f"--rootdir={ROOT}", "-p", "no:cacheprovider"]
    return int(pytest.main([*plain, "-x", "-q", "-k", _SLOW, *tests]))


def run(found: Sequence[Mutant], workers: int) -> Iterator[tuple[Mutant, str]]:
    """`killed`, `survived` or `timed out` for each, as they end."""
    waiting, running = list(reversed(found)), {}
    while waiting or running:
        while waiting and len(running) < workers:
            mutant = waiting.pop()
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    code = _child(mutant)
                finally:
                    os._exit(min(code, 100))
            running[child] = (mutant, time.monotonic())
        for child, (mutant, began) in list(running.items()):
            done, status = os.waitpid(child, os.WNOHANG)
            late = time.monotonic() - began > TIMEOUT_S
            if not done and not late:
                continue
            if not done:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            del running[child]
            killed = "killed" if os.waitstatus_to_exitcode(status) else "survived"
            yield mutant, killed if done else "timed out"
        time.sleep(0.005)


def why_equivalent(mutant: Mutant, rules: Sequence[dict[str, str]]) -> str:
    """The listed reason why a mutant changes no behaviour, or nothing."""
    path = str(mutant.target.path.relative_to(ROOT))
    change = f"{mutant.was} => {mutant.becomes}"
    for rule in rules:
        wanted = rule.get("change") or f"{rule['was']} => {rule['becomes']}"
        if re.fullmatch(rule.get("file", ".*"), path) and re.fullmatch(wanted, change):
            return rule["why"]
    return ""


def measure(target: Target, workers: int, rules: Sequence[dict[str, str]]) -> Score:
    """All mutants of one module; the module itself must not be imported yet."""
    for name in target.warm:
        importlib.import_module(name)
    if target.module in sys.modules:
        raise RuntimeError(f"{target.module} is imported already: its mutants would not be seen")
    unchanged = Mutant(target, "none", 0, target.path.read_text(), "", "")
    if [became for _, became in run([unchanged], 1)] != ["survived"]:
        raise RuntimeError(f"the tests of {target.module} fail without any mutation")
    score, began = Score(), time.monotonic()
    for mutant, became in run(list(mutants(target)), workers):
        if became == "killed":
            score.killed += 1
        elif became == "timed out":
            score.timed_out += 1
        elif why := why_equivalent(mutant, rules):
            score.equivalent.append((mutant, why))
        else:
            score.survived.append(mutant)
            print(f"SURVIVED {mutant}", flush=True)
    print(f"{target.module}: {score.killed} killed, {score.timed_out} timed out, "
          f"{len(score.equivalent)} equivalent, {len(score.survived)} survived of {score.total}, "
          f"{time.monotonic() - began:.0f} s", flush=True)  # fmt: skip
    return score


def report(scores: dict[str, Score]) -> str:
    """The result as docs/results keeps it."""
    lines = ["# Mutants", "", "`make mutants`; mutations by cosmic-ray, one at a time.", "",
             "| module | mutants | killed | timed out | equivalent | survived |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for module, score in scores.items():
        lines.append(f"| {module} | {score.total} | {score.killed} | {score.timed_out} | "
                     f"{len(score.equivalent)} | {len(score.survived)} |")  # fmt: skip
    lines += ["", "## Survivors that change no behaviour", ""]
    whys = Counter(why for score in scores.values() for _, why in score.equivalent)
    lines += [f"- {count}: {why}" for why, count in whys.most_common()]
    left = [mutant for score in scores.values() for mutant in score.survived]
    if left:
        lines += ["", "## Survivors", "", *(f"- {mutant}" for mutant in left)]
    return "\n".join([*lines, ""])


def main() -> int:
    """0 when every mutant was killed or is listed as equivalent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", help="only these, e.g. controller.field.gate")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name}")
    given = parser.parse_args()
    os.environ |= {"NUMBA_DISABLE_JIT": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    sys.path.insert(0, str(ROOT))
    rules = yaml.safe_load(EQUIVALENT.read_text()) or []
    scores: dict[str, Score] = {}
    for target in TARGETS:
        if given.modules and target.module not in given.modules:
            continue
        read, write = os.pipe()
        child = os.fork()  # what one target imports must not hide the next one's mutations
        if child == 0:
            os.close(read)
            import pickle

            with os.fdopen(write, "wb") as pipe:
                pickle.dump(measure(target, given.workers, rules), pipe)
            os._exit(0)
        os.close(write)
        import pickle

        with os.fdopen(read, "rb") as pipe:
            data = pipe.read()
        os.waitpid(child, 0)
        if not data:
            return 2
        scores[target.module] = pickle.loads(data)
    text = report(scores)
    print(text)
    if given.write:
        RESULT.write_text(text)
    return 1 if any(score.survived for score in scores.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
