"""One snapshot: the whole state of the unit as a person may see it, as plain data.

Built in the supervisor's thread, a few times a second; nothing in it refers to anything that can
change afterwards, so that it may be handed to another thread.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from itertools import islice
from typing import Any

from controller.alarms import SHELVED, WAITING, Alarm
from controller.core.clock import NS_PER_MS, NS_PER_S, Stamp
from controller.core.errors import RecordFailure
from controller.field.image import Image
from controller.hmi.causes import Causes
from controller.hmi.consequence import Consequences
from controller.hmi.procedure import Procedures
from controller.hmi.reading import Reader
from controller.recipe.batch import BatchState
from controller.recipe.states import HELD, HOLDING, RESTARTING
from controller.record.entry import read_records
from controller.station import NOTICE, Station

Data = dict[str, Any]
FIRST_RECORDS = 64
LOOK_AGAIN = 10
_UNSAID = {"set_lot": "", "identity": "", "opened_by": "", "opened_utc": ""}


class Snapshots:
    """Builds the snapshots of one station, numbered 1, 2, 3, ..."""

    def __init__(self, station: Station, commands: Callable[[], list[Data]]) -> None:
        """`commands` gives the last commands with what became of each."""
        self._station, self._commands = station, commands
        self._reader = Reader(station.profile)
        self._causes = Causes(station.profile)
        self._consequences = Consequences(station.profile)
        self._seq = 0
        self._since = ""
        self._opened: Data = {"batch_id": "", **_UNSAID}
        self._procedures = Procedures()
        self.tag_names = self._reader.names

    def build(self, stamp: Stamp, speed: float, records: int) -> Data:
        """The snapshot at `stamp`. `records` is the number of the last record."""
        station, supervisor = self._station, self._station.supervisor
        board = station.board
        image: Image = board.image
        scan_ns = int(image.head["now_ns"][0])
        now_ns = max(stamp.mono_ns, scan_ns)
        self._seq += 1
        self._since = self._since or stamp.rfc3339()
        beat = image.beat[0]
        measures = supervisor.orders.standing.measures
        return {
            "seq": self._seq, "scan": int(image.head["scan"][0]),
            "generation": int(image.head["generation"][0]),
            "mono_ns": str(stamp.mono_ns), "utc": stamp.rfc3339(), "speed": speed,
            "scan_age_ms": (now_ns - scan_ns) // NS_PER_MS,
            "links": self._reader.links(image, now_ns),
            "tags": self._reader.tags(image, now_ns),
            "loops": self._reader.loops(image),
            "outputs": self._reader.outputs(image),
            "causes": self._causes.in_force(image, now_ns, measures),
            "not_valid": self._causes.not_valid(image),
            "not_confirmed": self._reader.not_confirmed(image),
            "procedure": self._procedure(stamp),
            "prompts": self._prompts(),
            "orders": self._consequences.orders(supervisor),
            "alarms": self._alarms(supervisor.alarms.active(), stamp),
            "hidden_alarms": self._alarms(supervisor.alarms.hidden(), stamp),
            "horn": supervisor.alarms.horn,
            "commands": self._commands(), "since": self._since,
            "records": {"last": records},
            "log": {"failed": supervisor.failed},
            "health": {
                "scans": int(beat["scans"]), "late": int(beat["late"]),
                "missed": int(beat["missed"]),
                "policy": f"FIFO {int(beat['priority'])}" if beat["policy"] else "ordinary",
            },
        }  # fmt: skip

    def _procedure(self, stamp: Stamp) -> Data:
        station, supervisor = self._station, self._station.supervisor
        standing = supervisor.orders.standing
        head = {
            "batch_id": standing.batch_id, "state": supervisor.procedure_state, "recipe": "",
            "use": standing.use, "notice": NOTICE,
            "restart_needs_identity": bool(standing.unidentified),
            **self._identity(standing.batch_id), "changes": 0, "causes": [], "places": [],
            "tree": [],
        }  # fmt: skip
        engine, recipe = supervisor.engine, station.recipe
        if engine is None or recipe is None:
            self._procedures.forget()
            return head
        state, read = supervisor.state, station.board.read
        return {
            **head, "recipe": f"{recipe.title} ({recipe.id} {recipe.version})",
            "changes": len(standing.changes), "causes": list(state.hold_causes),
            "places": self._procedures.places(engine, state, read, stamp, standing.held),
            "tree": self._procedures.tree(engine, state, standing.changes),
        }  # fmt: skip

    def _identity(self, batch_id: str) -> Data:
        """Lot, pseudonym and who opened the batch, from the beginning of its log, once a batch."""
        if batch_id == self._opened["batch_id"] and self._opened["opened_utc"]:
            return {key: self._opened[key] for key in _UNSAID}
        log, looked = self._station.batch_log, batch_id == self._opened["batch_id"]
        if log is None or not batch_id or (looked and self._seq % LOOK_AGAIN):
            return _UNSAID
        self._opened = {"batch_id": batch_id, **_UNSAID}
        with suppress(RecordFailure, OSError):
            for record in islice(read_records(log.directory), FIRST_RECORDS):
                if record["event"] == "batch.opened":
                    data = record["data"]
                    self._opened = {
                        "batch_id": batch_id, "set_lot": str(data.get("set_lot", "")),
                        "identity": str(data.get("identity", "")), "opened_by": record["actor"],
                        "opened_utc": record["time"],
                    }  # fmt: skip
                    return self._identity(batch_id)
        return _UNSAID

    def _prompts(self) -> list[Data]:
        """The open prompts; `blocked` says why the engine would refuse an answer now."""
        supervisor = self._station.supervisor
        if supervisor.engine is None:
            return []
        views = supervisor.engine.prompts(supervisor.state)
        batch = supervisor.orders.standing.batch_id
        return [
            {**asdict(view), "options": list(view.options),
             "sample": f"{batch}/{view.sample}" if view.sample else "",
             "blocked": _no_answer(supervisor.state, view.prompt_id)}
            for view in views
        ]  # fmt: skip

    def _alarms(self, shown: list[Alarm], stamp: Stamp) -> list[Data]:
        book, now_ns = self._station.supervisor.alarms.book, stamp.mono_ns
        found = []
        for alarm in shown:
            entry = book.entry(alarm.name)
            # Both on the clock of `mono_ns`, also when the machine was started since.
            due_ns = now_ns - alarm.since.elapsed_ns(stamp) + entry.respond_ns
            until_ns = now_ns - alarm.moved.elapsed_ns(stamp) + alarm.lasts_s * NS_PER_S
            found.append({
                "name": alarm.name, "state": alarm.state, "priority": alarm.priority,
                "text": alarm.text, "since": str(alarm.since_ns), "expected": alarm.expected,
                "condition": alarm.condition, "consequence": entry.consequence,
                "action": entry.action, "respond_s": entry.respond_s,
                "due": str(due_ns) if alarm.state in WAITING else "",
                "shelved_until": str(until_ns) if alarm.state == SHELVED else "",
                "shelve_s": entry.shelve_s, "reason": alarm.reason, "by": alarm.by,
                "suppressed_by": list(alarm.of), "calls": alarm.calls,
                "silenced": alarm.silenced,
            })  # fmt: skip
        return found


def _no_answer(state: BatchState, prompt_id: str) -> str:
    """Why the engine refuses an answer to an open prompt: its phase is not at it."""
    prompt = state.prompts[prompt_id]
    run = state.runs.get(prompt.path)
    if run is not None and (run.logic, run.index) == (prompt.logic, prompt.index):
        return ""
    now = state.node(prompt.path)
    after = "; answer after Restart" if now in (HOLDING, HELD, RESTARTING) else ""
    return f"no answer counts now: its phase is {now}{after}"
