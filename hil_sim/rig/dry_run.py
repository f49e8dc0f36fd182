"""A recipe run to its end before any cells see it: what happened when, and how that compares.

Signal fidelity in virtual time, with the simulated vessel and an operator who answers. What it says
is taken from the events of the run and from the check's figures, never from the recipe's wishes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller.core.errors import BadInput
from controller.core.events import Event
from controller.core.yamltext import load
from controller.recipe.check import Report, check, plant_of
from controller.recipe.formula import missing
from controller.recipe.load import load_recipe
from controller.recipe.offer import with_unit
from controller.recipe.plan import ControlRecipe
from controller.recipe.states import COMPLETE, FINAL, HELD, RUNNING
from controller.units import find_recipe, find_unit, load_unit
from hil_sim.devices.unit import UNITS as SIMULATED
from hil_sim.rig.rig import LONGEST_S, Rig
from hil_sim.rig.willing import Willing

SCRIPT = Path(__file__).with_name("dry_run.yaml")
STUCK_S, ENDED_S = 24 * 3600, 3600
_TOLD = ("selection.taken", "loop.again", "loop.limit", "exception.taken", "part.held",
         "parameter.resolved", "deviation.recorded", "change.refused", "step.timeout",
         "step.unknown", "recipe.changed", "control.result", "command.refused")  # fmt: skip

# What shows that the procedure goes on.
_MOVES = ("procedure.state", "step.started", "step.followed", "prompt.answered", "loop.again")


@dataclass(slots=True)
class Span:
    """One time an element ran: from when to when, in s of virtual time, and how it ended."""

    path: str
    level: str
    title: str
    begin_s: float
    end_s: float | None = None
    state: str = RUNNING


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth telling: when, what kind of thing, and its words."""

    at_s: float
    kind: str
    words: str


@dataclass(slots=True)
class DryRun:
    """What a run came to. Times are those of the rig; the procedure starts at `begin_s`."""

    recipe: ControlRecipe
    report: Report
    entered: Mapping[str, str]
    spans: list[Span] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    alarms: dict[str, tuple[int, float, str]] = field(default_factory=dict)
    holds: list[tuple[float, float | None, str]] = field(default_factory=list)
    prompts: int = 0
    answered: int = 0
    state: str = ""
    end_s: float = 0.0
    truth: Mapping[str, Any] = field(default_factory=dict)
    given_up: list[str] = field(default_factory=list)
    moved_s: float = 0.0
    _open: dict[str, Span] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether the batch ran to its end and was closed."""
        return self.state == COMPLETE

    @property
    def begin_s(self) -> float:
        """When the procedure started."""
        return self.spans[0].begin_s if self.spans else 0.0

    def listen(self, event: Event) -> None:
        """Takes one event of the run."""
        at_s, data = event.stamp.mono_ns / 1e9, event.data
        if event.name in _MOVES:
            self.moved_s = at_s
        if event.name == "procedure.state":
            self._state(str(data["path"]), str(data["level"]), str(data["new"]), at_s)
        elif event.name == "prompt.opened":
            self.prompts += 1
        elif event.name == "prompt.answered":
            self.answered += 1
        elif event.name == "unit.hold":
            self.holds.append((at_s, None, str(data["cause"])))
        elif event.name == "unit.hold_released":
            self.holds = [(a, at_s if b is None else b, why) for a, b, why in self.holds]
        elif event.name == "alarm.state" and data["new"] == "UNACK":
            count, first_s, _ = self.alarms.get(str(data["alarm"]), (0, at_s, ""))
            self.alarms[str(data["alarm"])] = (count + 1, first_s, str(data["text"]))
        elif event.name in _TOLD and not data.get("within", False):
            self.notes.append(Note(at_s, event.name, event.words()))

    def _state(self, path: str, level: str, new: str, at_s: float) -> None:
        span = self._open.get(path)
        if span is None and new == RUNNING:
            plan = self.recipe.nodes.get(path)
            span = Span(path, level, plan.title if plan else "", at_s)
            self.spans.append(span)
            self._open[path] = span
        elif span is not None:
            span.state = new
            if new in FINAL:
                span.end_s = at_s
                del self._open[path]


def prepare(recipe: str, unit: str = "", entered: Mapping[str, str] | None = None) -> DryRun:
    """The checked recipe, with a plausible value for each that must be entered; raises BadInput
    for a recipe that cannot be loaded and for a unit nobody simulates."""
    path = find_recipe(recipe)
    profile, offer = load_unit(find_unit(unit or _unit_of(path)))
    if profile.id not in SIMULATED:
        raise BadInput(
            f"the unit {profile.id} is not simulated, and a dry run needs a vessel",
            do=f"Use --unit with one of {', '.join(SIMULATED)}, or `cellwright check`.",
        )
    given = dict(entered or {})
    control = load_recipe(path, offer, given)
    owed = {
        name: with_unit((item.low + item.high) / 2, item.dimension)
        for name, item in control.ranges.items() if name in missing(control.ranges)
    }  # fmt: skip
    if owed:
        control = load_recipe(path, offer, given | owed)
    return DryRun(control, check(control, plant_of(profile)), given | owed)


def dry_run(
    run: DryRun, out: Path, *, recipe: str, unit: str = "", script: Path | None = None,
    seed: int = 1, progress: Callable[[Rig], None] | None = None,
) -> DryRun:  # fmt: skip
    """Runs a prepared recipe to its end, or until nothing moves for a day of virtual time."""
    path = find_recipe(recipe)
    rig = Rig(
        out, seed=seed, unit=unit or run.recipe.unit, recipe=str(path), script=script or SCRIPT,
        formula=run.entered,
    )  # fmt: skip
    willing = Willing(rig)
    rig.supervisor.listeners.append(run.listen)
    rig.start()
    _beat(rig, run, willing, progress)
    run.given_up = willing.given_up
    run.state = rig.final_state if rig.closed or rig.final_state != COMPLETE else "not closed"
    run.truth = rig.at_harvest or rig.plant.truth()
    run.end_s = rig.clock.now_ns / 1e9
    rig.finish()
    return run


def _beat(
    rig: Rig, run: DryRun, willing: Willing, progress: Callable[[Rig], None] | None
) -> None:  # fmt: skip
    """Beat after beat; ended early when the batch cannot go on by itself any more.

    A wait may last for days. But once the procedure is Held or over, a question is open or the
    operator has given up on something, a day without anything that moves is the end.
    """
    end_ns, next_s = round(LONGEST_S * 1e9), 0.0
    while rig.clock.now_ns < end_ns and not rig.closed:
        rig.step(end_ns)
        now_s = rig.clock.now_ns / 1e9
        if now_s < next_s:
            continue
        next_s = now_s + 600.0
        if progress is not None:
            progress(rig)
        state = rig.supervisor.procedure_state
        asked = bool(rig.supervisor.state.prompts) or bool(willing.given_up)
        waits = state not in FINAL and state != HELD and not asked
        if not waits and now_s - run.moved_s >= (ENDED_S if state in FINAL else STUCK_S):
            willing.given_up += [f"{name}: nobody answers" for name in rig.supervisor.state.prompts]
            if state not in FINAL:
                willing.given_up.append(f"the procedure stayed {state} for {STUCK_S // 3600} h")
            elif rig.station.environment_on:
                willing.given_up.append(
                    f"the procedure is {state} and the environment still on: no phase ended it"
                )
            return


def _unit_of(path: Path) -> str:
    data = load(path).data
    return str(data.get("unit", "")) if isinstance(data, dict) else ""
