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

from controller.core.clock import NS_PER_MS, NS_PER_S
from controller.core.events import Event
from controller.recipe.batchclock import BatchClock
from controller.recipe.plan import Amendment, amend
from controller.recipe.runs import LEAVES, PhaseRun, Resume, entered, held_parts, is_left
from controller.recipe.states import (
    ABORTED,
    FINAL,
    HELD,
    HOLDING,
    IDLE,
    PAUSED,
    PAUSING,
    RESTARTING,
    RUNNING,
    STOPPED,
)

Record = Event | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Variable:
    """A unit variable: canonical value or text, and the batch time it was set."""

    value: float | str
    set_ns: int


@dataclass(frozen=True, slots=True)
class OpenPrompt:
    """A question that waits for people. `first` is an implausible first entry, by `first_by`.

    `outside`: control -> results outside its limits so far; `again`: why the last one does not
    count, since `judged_ns`; `owes`: the hold that a control asked for and that has not begun.
    """

    path: str
    logic: str
    index: int
    opened_ns: int
    first: str = ""
    first_by: str = ""
    outside: tuple[tuple[str, int], ...] = ()
    again: str = ""
    judged_ns: int = -1
    owes: str = ""


@dataclass(frozen=True, slots=True)
class BatchState:
    """Everything the engine knows about a batch.

    `loops`: rounds that are over; `taken`: branches of selections; `amendments` and `skipped`: what
    people changed; `diverted`: operation -> alternative; `held_ns`: since when it is Held, or -1;
    `held_parts`: what was held by itself, and since when;
    `gap_ns`: for how long nobody followed the recipe before it was taken up, -1 unknown.
    """

    clock: BatchClock = field(default_factory=BatchClock)
    nodes: Mapping[str, str] = field(default_factory=dict)
    runs: Mapping[str, PhaseRun] = field(default_factory=dict)
    variables: Mapping[str, Variable] = field(default_factory=dict)
    prompts: Mapping[str, OpenPrompt] = field(default_factory=dict)
    loops: Mapping[str, int] = field(default_factory=dict)
    taken: Mapping[str, int] = field(default_factory=dict)
    amendments: tuple[Amendment, ...] = ()
    skipped: tuple[str, ...] = ()
    diverted: Mapping[str, str] = field(default_factory=dict)
    hold_causes: tuple[str, ...] = ()
    deviations: int = 0
    held_ns: int = -1
    held_parts: Mapping[str, int] = field(default_factory=dict)
    gap_ns: int = 0
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
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _put_run(state: BatchState, path: str, run: PhaseRun) -> BatchState:
    return replace(state, runs={**state.runs, path: run})


def _changed_run(state: BatchState, path: str, **changes: Any) -> BatchState:
    return _put_run(state, path, replace(state.runs[path], **changes))


def _procedure(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    path, old, new = data["path"], data["old"], data["new"]
    held = held_parts(state.held_parts, path, new, data["level"] == "procedure", now)
    state = replace(state, nodes={**state.nodes, path: new}, held_parts=held)
    if data["level"] == "procedure":
        if new == HOLDING:
            state = replace(state, hold_causes=(*state.hold_causes, data["cause"])[-16:])
        elif new != HELD:
            state = replace(state, hold_causes=())
        state = replace(state, held_ns=now if new == HELD else -1)
    if data["level"] not in LEAVES:
        return state
    runs = {name: run for name, run in state.runs.items() if name != path}
    if new not in FINAL:
        run = state.runs.get(path, PhaseRun())
        anew = data["level"] == "transition" and new == PAUSED  # what it waits for is not over
        left = is_left(path, (*state.skipped, *state.diverted), next(iter(state.nodes.values())))
        runs[path] = PhaseRun() if anew else entered(run, old, new, left)
    kept = {
        name: replace(prompt, owes="") if prompt.path == path and new == HOLDING else prompt
        for name, prompt in state.prompts.items()
        if prompt.path != path or (prompt.logic == "running" and new in _KEEPS_PROMPTS)
    }
    return replace(state, runs=runs, prompts=kept)


_KEEPS_PROMPTS = frozenset({RUNNING, PAUSING, PAUSED, HOLDING, HELD, RESTARTING})


def _started(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    run = state.runs[data["path"]]
    if run.renew and run.index == data["index"]:
        since = run.since_ns if run.since_ns >= 0 else now
        return _changed_run(state, data["path"], renew=False, since_ns=since, followed_ns=-1)
    fresh = PhaseRun(logic=run.logic, index=data["index"], since_ns=now, resume=run.resume)
    return _put_run(state, data["path"], fresh)


def _skipped(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    path, old = data["path"], state.runs[data["path"]]
    run = PhaseRun(old.logic, data["index"], skipped=True, resume=old.resume)
    return _put_run(state, path, run)


def _timer(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    """A timer frozen at what it shows; the step's held(...) conditions begin anew."""
    elapsed_ns = int(Decimal(data["elapsed_s"]) * NS_PER_S)
    return _changed_run(state, data["path"], elapsed_ns=elapsed_ns, since_ns=-1, held=())


def _timeout(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    path, times = data["path"], state.runs[data["path"]].overdue + 1
    return _changed_run(state, path, elapsed_ns=0, since_ns=now, extra_ns=0, overdue=times)


def _condition(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    run, part = state.runs[data["path"]], data["part"]
    held = tuple(item for item in run.held if item[0] != part)
    if data["holds"]:
        held = (*held, (part, now))
    return _changed_run(state, data["path"], held=held)


def _followed(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    return _changed_run(state, data["path"], last=data["value"], followed_ns=now, unknown=False)


def _unknown(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    return _changed_run(state, data["path"], unknown=True)


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
    return _changed_run(replace(state, prompts=prompts), path, answered=True)


def _attached(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    """A supervisor took the batch up again: what was commanded last is commanded once more."""
    runs = {
        path: replace(run, renew=True, held=()) if run.renewable else run
        for path, run in state.runs.items()
    }
    gap_ns = int(Decimal(data["gap_s"]) * NS_PER_S) if data["gap_s"] else -1
    if state.attached:  # the last one never came to look at its own gap
        gap_ns = -1 if min(gap_ns, state.gap_ns) < 0 else gap_ns + state.gap_ns
    return replace(state, runs=runs, attached=bool(state.nodes), gap_ns=gap_ns)


def _re_entry(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    """The step before the one a phase goes on from counts as over."""
    back = Resume(data["index"] - 1, 0, False, False, "", True, 0, 0)
    return _changed_run(state, data["path"], resume=back)


def _control(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    prompt = state.prompts[data["prompt_id"]]
    if data["within"]:
        return state
    counts = dict(prompt.outside)
    counts[data["control"]] = counts.get(data["control"], 0) + 1
    why = f"{data['control']}: {data['value']}, limits {data['limits']}"
    changed = replace(
        prompt, outside=tuple(sorted(counts.items())), again=why, first="", first_by="",
        judged_ns=now, owes=why if data["then"] == "hold" else prompt.owes,
    )  # fmt: skip
    return replace(state, prompts={**state.prompts, data["prompt_id"]: changed})


def _deviation(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    # Those of controls have numbers of their own: a gap in them would look like one that is lost.
    own = str(data["deviation"]).startswith("DEV-IPC-")
    return replace(state, deviations=state.deviations + own)


# -- structures, alternatives, changes --------------------------------------------------------


def _again(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    """A further round: what is below the loop is as if it had never run, and so are the
    alternatives its operations went to. What people put into the last round was for that round."""
    below = f"{data['path']}/"
    for target in [t for name, t in state.diverted.items() if name.startswith(below)]:
        state = _forget(state, target)
    return _limit(_forget(state, below), data, now, actor)


def _limit(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    return replace(state, loops={**state.loops, data["path"]: data["count"]})


def _reset(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    return _forget(state, data["path"])


def _forget(state: BatchState, path: str) -> BatchState:
    """An element and everything below it (`path/`: only that) is as if it had never run."""
    below = path if path.endswith("/") else f"{path}/"

    def stays(name: str) -> bool:
        return name != path and not name.startswith(below)

    def kept(found: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in found.items() if stays(name)}

    put = {a.path for a in state.amendments if a.kind == "insert" and not stays(a.path)}
    return replace(
        state, nodes=kept(state.nodes), runs=kept(state.runs), loops=kept(state.loops),
        taken=kept(state.taken), diverted=kept(state.diverted),
        skipped=tuple(name for name in state.skipped if stays(name)),
        prompts={name: p for name, p in state.prompts.items() if stays(p.path)},
        amendments=tuple(a for a in state.amendments if a.path not in put),
    )  # fmt: skip


def _taken(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    return replace(state, taken={**state.taken, data["path"]: data["branch"]})


def _diverted(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    if state.node(data["target"]) in FINAL:  # it ran for another operation: now for this one
        state = _forget(state, data["target"])
    return replace(state, diverted={**state.diverted, data["operation"]: data["target"]})


def _resolved(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    return _amend(state, Amendment("resolved", data["path"], data["name"], data["value"]))


def _amend(state: BatchState, new: Amendment) -> BatchState:
    return replace(state, amendments=amend(state.amendments, new))


def _changed(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    kind, path, name, new = data["change"], data["path"], data["name"], data["new"]
    if kind == "set":
        return _amend(state, Amendment("value", path, name, new))
    if kind == "skip":
        return replace(state, skipped=(*state.skipped, path))
    if kind == "extend":
        extra_ns = state.runs[path].extra_ns + int(Decimal(new) * NS_PER_S)
        return _changed_run(state, path, extra_ns=extra_ns)
    if kind == "repeat" and state.node(data["old"]) in (STOPPED, ABORTED):
        state = replace(state, skipped=(*state.skipped, data["old"]))  # this one stands for it
    values = tuple((str(key), str(text)) for key, text in sorted(new.items()))
    return _amend(state, Amendment("insert", path, name, after=data["after"], values=values))


def _opened_batch(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    texts = {f"batch_{key}": Variable(str(data[key]), now) for key in ("set_lot", "identity")}
    return replace(state, variables={**state.variables, **texts})


def _flagged(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    return replace(state, attached=False)


def _part_held(state: BatchState, data: Mapping[str, Any], now: int, actor: str) -> BatchState:
    return replace(state, held_parts={**state.held_parts, data["path"]: now})


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
    "batch.opened": _opened_batch,
    "step.re_entry": _re_entry,
    "loop.again": _again,
    "loop.limit": _limit,
    "selection.taken": _taken,
    "procedure.reset": _reset,
    "exception.taken": _diverted,
    "parameter.resolved": _resolved,
    "recipe.changed": _changed,
    "control.result": _control,
    "part.held": _part_held,
    "deviation.recorded": _deviation,
    "batch.state": _flagged,
}
