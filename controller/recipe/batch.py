"""The state of a batch and how records change it: `evolve`, the only way it ever changes.

Everything in it comes from records, so a batch is rebuilt from any prefix of its log, also after a
restart of the machine: times are batch time, which runs on across boots. Records of other rooms
leave the state untouched (the same object).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from controller.core.clock import NS_PER_MS, NS_PER_S, Stamp
from controller.core.events import Event
from controller.recipe.states import (
    ABORTING,
    FINAL,
    HELD,
    HOLDING,
    IDLE,
    RESTARTING,
    RUNNING,
    STOPPING,
)

Record = Event | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BatchClock:
    """Batch time in ns since the batch's first record: `mono_ns + base_ns` within one boot."""

    boot_id: str = ""
    base_ns: int = 0
    last_ns: int = 0
    last_utc_ms: int = 0

    def at(self, boot_id: str, mono_ns: int, utc_ms: int) -> int:
        """The batch time of an instant; over a change of boot the wall clock carries it."""
        if boot_id == self.boot_id:
            return mono_ns + self.base_ns
        if not self.boot_id:
            return 0
        return self.last_ns + max(0, utc_ms - self.last_utc_ms) * NS_PER_MS

    def of(self, stamp: Stamp) -> int:
        """The batch time of a stamp."""
        return self.at(stamp.boot_id, stamp.mono_ns, stamp.utc_ns // NS_PER_MS)


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a held phase goes on."""

    index: int
    elapsed_ns: int
    answered: bool
    skipped: bool
    last: str


@dataclass(frozen=True, slots=True)
class PhaseRun:
    """One active phase: which logic, which step, and its timers in batch time.

    `since_ns` is -1 while the timer stands still; `held` holds (part, since) of the step's
    `held(...)` conditions; `renew` asks for the step's commands again (after Hold or a restart of
    the supervisor); `last` is the value last followed.
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
    last: str = ""
    followed_ns: int = -1
    resume: Resume | None = None

    def elapsed(self, now_ns: int) -> int:
        """What the step's timer shows, in ns."""
        return self.elapsed_ns + (now_ns - self.since_ns if self.since_ns >= 0 else 0)


@dataclass(frozen=True, slots=True)
class Variable:
    """A unit variable: canonical value or text, and the batch time it was set."""

    value: float | str
    set_ns: int


@dataclass(frozen=True, slots=True)
class OpenPrompt:
    """A question that waits for people. `first` is an implausible first entry, by `first_by`."""

    path: str
    logic: str
    index: int
    opened_ns: int
    first: str = ""
    first_by: str = ""


@dataclass(frozen=True, slots=True)
class BatchState:
    """Everything the engine knows about a batch."""

    clock: BatchClock = BatchClock()
    nodes: Mapping[str, str] = field(default_factory=dict)
    runs: Mapping[str, PhaseRun] = field(default_factory=dict)
    variables: Mapping[str, Variable] = field(default_factory=dict)
    prompts: Mapping[str, OpenPrompt] = field(default_factory=dict)
    hold_causes: tuple[str, ...] = ()
    attached: bool = False

    def node(self, path: str) -> str:
        """The procedural state of an element; Idle until it was ever started."""
        return self.nodes.get(path, IDLE)


def state_digest(state: BatchState) -> str:
    """SHA-256 of the whole state; equal states have equal digests."""
    text = json.dumps(asdict(state), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def evolve(state: BatchState, record: Record) -> BatchState:
    """The state after one record: an Event, or the record of one as decoded from the log."""
    if isinstance(record, Event):
        name: str = record.name
        if name not in _HANDLERS:
            return state
        stamp = record.stamp
        data, actor = record.data, record.actor
        boot_id, mono_ns, utc_ms = stamp.boot_id, stamp.mono_ns, stamp.utc_ns // NS_PER_MS
    else:
        name = record["event"]
        if name not in _HANDLERS:
            return state
        data, actor = record["data"], record["actor"]
        boot_id = record.get("boot_id") or state.clock.boot_id
        mono_ns, utc_ms = int(record["mono_ns"]), _utc_ms(record["time"])
    now = state.clock.at(boot_id, mono_ns, utc_ms)
    clock = BatchClock(boot_id, now - mono_ns, now, utc_ms)
    return _HANDLERS[name](replace(state, clock=clock), data, now, actor)


def _utc_ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return round(moment.timestamp() * 1000)


def _put_run(state: BatchState, path: str, run: PhaseRun) -> BatchState:
    return replace(state, runs={**state.runs, path: run})


def _procedure(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    path, old, new = data["path"], data["old"], data["new"]
    state = replace(state, nodes={**state.nodes, path: new})
    if data["level"] == "procedure":
        if new == HOLDING:
            state = replace(state, hold_causes=(*state.hold_causes, data["cause"])[-16:])
        elif new != HELD:
            state = replace(state, hold_causes=())
    if data["level"] != "phase":
        return state
    runs = {name: run for name, run in state.runs.items() if name != path}
    if new not in FINAL:
        runs[path] = _enter(state.runs.get(path, PhaseRun()), old, new)
    kept = {
        name: prompt
        for name, prompt in state.prompts.items()
        if prompt.path != path or (prompt.logic == "running" and new in _KEEPS_PROMPTS)
    }
    return replace(state, runs=runs, prompts=kept)


_KEEPS_PROMPTS = frozenset({RUNNING, HOLDING, HELD, RESTARTING})
_LOGIC_OF = {
    HOLDING: "holding", RESTARTING: "restarting", STOPPING: "aborting", ABORTING: "aborting",
    HELD: "",
}  # fmt: skip


def _enter(run: PhaseRun, old: str, new: str) -> PhaseRun:
    """The run of a phase as it enters a state."""
    if new == RUNNING:
        back = run.resume
        if old != RESTARTING or back is None or back.index < 0:
            return PhaseRun()
        return PhaseRun(
            index=back.index, elapsed_ns=back.elapsed_ns, answered=back.answered,
            skipped=back.skipped, renew=True, last=back.last,
        )  # fmt: skip
    resume = run.resume
    if old == RUNNING:
        resume = Resume(run.index, run.elapsed_ns, run.answered, run.skipped, run.last)
    return PhaseRun(logic=_LOGIC_OF[new], resume=resume)


def _started(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    run = state.runs[data["path"]]
    if run.renew and run.index == data["index"]:
        since = run.since_ns if run.since_ns >= 0 else now
        return _put_run(
            state, data["path"], replace(run, renew=False, since_ns=since, followed_ns=-1)
        )
    fresh = PhaseRun(logic=run.logic, index=data["index"], since_ns=now, resume=run.resume)
    return _put_run(state, data["path"], fresh)


def _skipped(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    run = state.runs[data["path"]]
    fresh = PhaseRun(logic=run.logic, index=data["index"], skipped=True, resume=run.resume)
    return _put_run(state, data["path"], fresh)


def _timer(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    """A timer frozen at what it shows; the step's held(...) conditions begin anew."""
    run = state.runs[data["path"]]
    elapsed_ns = int(Decimal(data["elapsed_s"]) * NS_PER_S)
    return _put_run(state, data["path"], replace(run, elapsed_ns=elapsed_ns, since_ns=-1, held=()))


def _timeout(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    run = state.runs[data["path"]]
    return _put_run(state, data["path"], replace(run, elapsed_ns=0, since_ns=now))


def _condition(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    run, part = state.runs[data["path"]], data["part"]
    held = tuple(item for item in run.held if item[0] != part)
    if data["holds"]:
        held = (*held, (part, now))
    return _put_run(state, data["path"], replace(run, held=held))


def _followed(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    run = state.runs[data["path"]]
    return _put_run(
        state, data["path"], replace(run, last=data["value"], followed_ns=now, unknown=False)
    )


def _unknown(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    run = state.runs[data["path"]]
    return _put_run(state, data["path"], replace(run, unknown=True))


def _variable(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    value = data["new"] if data["unit"] == "text" else float(data["new"])
    return replace(state, variables={**state.variables, data["name"]: Variable(value, now)})


def _opened(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    run = state.runs[data["path"]]
    prompt = OpenPrompt(data["path"], run.logic, run.index, now)
    return replace(state, prompts={**state.prompts, data["prompt_id"]: prompt})


def _repeat(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    prompt = replace(state.prompts[data["prompt_id"]], first=data["value"], first_by=actor)
    return replace(state, prompts={**state.prompts, data["prompt_id"]: prompt})


def _answered(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    prompts = dict(state.prompts)
    path = prompts.pop(data["prompt_id"]).path
    state = replace(state, prompts=prompts)
    return _put_run(state, path, replace(state.runs[path], answered=True))


def _attached(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    """A supervisor took the batch up again: what was commanded last is commanded once more."""
    runs = {
        path: replace(run, renew=True, held=()) if run.index >= 0 and not run.skipped else run
        for path, run in state.runs.items()
    }
    return replace(state, runs=runs, attached=bool(runs))


def _flagged(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    return replace(state, attached=False)


_HANDLERS: dict[str, Callable[[BatchState, Mapping[str, Any], int, str], BatchState]] = {
    "procedure.state": _procedure,
    "step.started": _started,
    "step.skipped": _skipped,
    "step.timer": _timer,
    "step.timeout": _timeout,
    "step.condition": _condition,
    "step.followed": _followed,
    "step.unknown": _unknown,
    "variable.set": _variable,
    "prompt.opened": _opened,
    "prompt.repeat": _repeat,
    "prompt.answered": _answered,
    "batch.attached": _attached,
    "unit.hold": _flagged,
    "unit.hold_released": _flagged,
    "batch.state": _flagged,
}
