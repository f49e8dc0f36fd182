"""One activation of a phase: which logic, which step, its timers; and how it enters a state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from controller.recipe.states import (
    ABORTING,
    HELD,
    HOLDING,
    PAUSED,
    PAUSING,
    RESTARTING,
    RUNNING,
    STOPPING,
)

LEAVES = frozenset({"phase", "transition"})  # the levels that have steps
_GOES_ON = frozenset({RUNNING, PAUSING, PAUSED})  # between these a phase stays where it is
_LOGIC_OF = {
    HOLDING: "holding", RESTARTING: "restarting", STOPPING: "stopping", ABORTING: "aborting",
    HELD: "",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a held phase goes on. `over`: the step is over and the next one has not begun."""

    index: int
    elapsed_ns: int
    answered: bool
    skipped: bool
    last: str
    over: bool
    extra_ns: int
    overdue: int


@dataclass(frozen=True, slots=True)
class PhaseRun:
    """One active phase: which logic, which step, and its timers in batch time.

    `since_ns` is -1 while the timer stands still; `held` holds (part, since) of the step's
    `held(...)` conditions; `renew` asks for the step's commands again (after Hold or a restart of
    the supervisor); `over`: the step is over, the phase paused before the next; `last` is the value
    last followed; `extra_ns`: by how much people extended the step; `overdue`: its time-outs.
    """

    logic: str = "running"
    index: int = -1
    since_ns: int = -1
    elapsed_ns: int = 0
    held: tuple[tuple[int, int], ...] = ()
    answered: bool = False
    skipped: bool = False
    renew: bool = False
    unknown: bool = False
    over: bool = False
    last: str = ""
    followed_ns: int = -1
    extra_ns: int = 0
    overdue: int = 0
    resume: Resume | None = None

    def elapsed(self, now_ns: int) -> int:
        """What the step's timer shows, in ns."""
        return self.elapsed_ns + (now_ns - self.since_ns if self.since_ns >= 0 else 0)

    @property
    def renewable(self) -> bool:
        """Whether the present step's commands are to be given again after a restart."""
        return self.index >= 0 and not self.skipped and not self.over


def is_left(path: str, ended: Iterable[str], whole: str) -> bool:
    """Whether the procedure, in the state `whole`, goes on without a phase: what it is in was
    skipped, or left for an alternative (`ended`), or it is the care of a Hold that ends."""
    care = whole == RESTARTING  # nothing else stops then by itself
    return care or any(path == one or path.startswith(f"{one}/") for one in ended)


def entered(run: PhaseRun, old: str, new: str, left: bool) -> PhaseRun:
    """The run of a phase as it enters a state; `left`: the procedure goes on without it."""
    if old in _GOES_ON and new in _GOES_ON:
        return replace(run, over=True) if new == PAUSED else run
    if new == RUNNING:
        back = run.resume
        if old != RESTARTING or back is None or back.index < 0:
            return PhaseRun()
        return PhaseRun(
            index=back.index, elapsed_ns=back.elapsed_ns, answered=back.answered,
            skipped=back.skipped, renew=not back.over, last=back.last, over=back.over,
            extra_ns=back.extra_ns, overdue=back.overdue,
        )  # fmt: skip
    resume = run.resume
    if old in _GOES_ON:
        resume = Resume(
            run.index, run.elapsed_ns, run.answered, run.skipped, run.last, run.over, run.extra_ns,
            run.overdue,
        )  # fmt: skip
    logic = "leaving" if left and new == STOPPING else _LOGIC_OF[new]
    return PhaseRun(logic=logic, resume=resume)


def held_parts(
    parts: Mapping[str, int], path: str, new: str, whole: bool, now_ns: int
) -> Mapping[str, int]:
    """What is held by itself, since when, after an element entered a state.

    A part is so until it goes on or ends; while the whole did not run its time does not count.
    """
    if whole and new == RUNNING:
        return dict.fromkeys(parts, now_ns)
    if path in parts and new not in (HOLDING, HELD):
        return {part: since for part, since in parts.items() if part != path}
    return parts
