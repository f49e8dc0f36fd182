"""One pass over a log's records: what a batch report tells, as plain data.

A module because the report is a fold like everything that is rebuilt from a log, with a limit on
every list: what does not fit is counted, and stands in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from controller.core.events import EVENTS, Severity
from controller.core.wording import alarm_words, lasting
from controller.record.show import Row, printable, said

ROWS_MAX: Final = 500  # of each table
EARLIER: Final = "before"  # in place of a time: in another log
LEVELS: Final = ("unit_procedure", "operation", "phase")
ENDED: Final = ("Complete", "Aborted", "Stopped")
_ACKNOWLEDGED: Final = (
    ("UNACK", "ACK"), ("RTN-UNACK", "NORM"), ("LATCHED-UNACK", "LATCHED-ACK"),
)  # fmt: skip
_HIDDEN: Final = ("SHELVED", "SUPPRESSED-BY-DESIGN", "OUT-OF-SERVICE")
# What is told elsewhere, or is no deviation though it is loud.
_NOT_HERE: Final = ("alarm.state", "cause.active", "unit.hold", "account.locked")
_ALSO: Final = ("batch.attached", "field.restored", "recipe.unapproved", "field.stopping",
                "run.ending", "prompt.refused", "prompt.repeat")  # fmt: skip
Cells = dict[str, str]


@dataclass(slots=True)
class Table:
    """Rows up to ROWS_MAX, and how many there were."""

    rows: list[Cells] = field(default_factory=list)
    count: int = 0

    def add(self, **cells: object) -> Cells:
        """Adds a row; returns it, to be completed later."""
        row = {name: "" if cell is None else printable(str(cell)) for name, cell in cells.items()}
        self.count += 1
        if self.count <= ROWS_MAX:
            self.rows.append(row)
        return row

    def document(self) -> dict[str, Any]:
        """The table for the template."""
        return {"rows": self.rows, "count": self.count, "left": max(0, self.count - ROWS_MAX)}


@dataclass(slots=True)
class Fold:
    """What is known of a batch after its records so far."""

    opening: Row = field(default_factory=dict)
    batch: Row = field(default_factory=dict)
    first: str = ""
    last: str = ""
    state: str = ""
    closed: str = ""
    records: int = 0
    events: dict[str, int] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    sampled: set[tuple[str, str]] = field(default_factory=set)  # name and time
    _open: dict[str, Cells] = field(default_factory=dict)
    _holds: list[Cells] = field(default_factory=list)

    def take(self, row: Row) -> None:
        """One record."""
        event, time = row["event"], row["time"]
        self.records += 1
        self.first = self.first or time
        self.last = time
        self.events[event] = self.events.get(event, 0) + 1
        known = _TAKERS.get(event)
        if known is not None:
            known(self, row, row["data"])
        declared = EVENTS.get(event)
        loud = declared is None or declared.severity in (Severity.ALARM, Severity.CRITICAL)
        if (loud and event not in _NOT_HERE) or event in _ALSO:
            self.deviation(row)

    def table(self, name: str) -> Table:
        """One of the tables."""
        return self.tables.setdefault(name, Table())

    def deviation(self, row: Row) -> None:
        """Something a reviewer must look at."""
        self.table("deviations").add(seq=row["seq"], time=row["time"], what=said(row),
                                     event=row["event"])  # fmt: skip

    def opened(self, row: Row, data: Row) -> None:
        self.opening = row

    def begun(self, row: Row, data: Row) -> None:
        self.batch = row

    def batch_state(self, row: Row, data: Row) -> None:
        self.state = str(data["state"])
        self.table("states").add(time=row["time"], state=data["state"], cause=data["cause"])

    def closing(self, row: Row, data: Row) -> None:
        self.closed = str(data["state"])

    def procedure(self, row: Row, data: Row) -> None:
        """Each unit procedure, operation and phase: when it ran, how it ended."""
        if data["level"] not in LEVELS:
            return
        path, new = str(data["path"]), str(data["new"])
        if new == "Running" and data["old"] == "Idle":
            self._open[path] = self.table("phases").add(
                path=path, level=data["level"], began=row["time"], ended="", state=new, held="0",
            )  # fmt: skip
        cells = self._open.get(path)
        if cells is None:
            return
        cells["state"] = new
        if new == "Held":
            cells["held"] = str(int(cells["held"]) + 1)
        if new in ENDED:
            cells["ended"] = row["time"]
            del self._open[path]

    def sample(self, row: Row, data: Row) -> None:
        self.sampled.add((str(data["name"]), row["time"]))
        self.table("samples").add(
            seq=row["seq"], time=row["time"], name=data["name"],
            value=f"{data['value']} {data['unit']}", predicted=data["predicted"], who=row["actor"],
            source=data["source"], file=_file_of(str(data["source"])),
        )  # fmt: skip

    def control(self, row: Row, data: Row) -> None:
        """A result against its acceptance limits; one outside them is looked at by a reviewer."""
        self.table("controls").add(
            seq=row["seq"], time=row["time"], control=data["control"], name=data["name"],
            value=data["value"], limits=data["limits"], who=row["actor"], then=data["then"],
            verdict="within" if data["within"] is True else "OUTSIDE",
        )  # fmt: skip
        if data["within"] is not True:
            self.deviation(row)

    def prompt(self, row: Row, data: Row) -> None:
        self._open[f"prompt {data['prompt_id']}"] = {"text": printable(str(data["text"]))}

    def answer(self, row: Row, data: Row) -> None:
        asked = self._open.pop(f"prompt {data['prompt_id']}", {}).get("text", "")
        self.table("answers").add(
            seq=row["seq"], time=row["time"], text=asked or data["prompt_id"], value=data["value"],
            who=row["actor"], second=data["second"], limits=data.get("limits", ""),
        )  # fmt: skip

    def trip(self, row: Row, data: Row) -> None:
        self._open[f"row {data['row']}"] = self.table("trips").add(
            seq=row["seq"], time=row["time"], row=data["row"], title=data["title"],
            signals=", ".join(map(str, data["signals"])), first=data["first_out"], cleared="",
            reset="",
        )  # fmt: skip

    def trip_gone(self, row: Row, data: Row) -> None:
        cells = self._open.get(f"row {data['row']}")
        if cells is not None:
            name = "cleared" if row["event"] == "cause.cleared" else "reset"
            cells[name] = row["time"]

    def alarm(self, row: Row, data: Row) -> None:
        """An alarm from where it is raised to where it is normal again, and who acknowledged it.

        One that stood when the batch was opened begins with the first that is recorded of it here.
        """
        name, new = f"alarm {data['alarm']}", data["new"]
        cells, begins = self._open.get(name), data["old"] in ("NORM", "")
        if cells is None and (new in _HIDDEN or (data["old"] in _HIDDEN and new == "NORM")):
            return  # nobody was called
        if cells is None or (begins and new == "UNACK"):
            cells = self._open[name] = self.table("alarms").add(
                seq=row["seq"], time=row["time"] if begins else EARLIER,
                alarm=alarm_words(str(data["alarm"])),
                text=data["text"], priority=data["priority"], acknowledged="", who="", reason="",
                normal="",
            )  # fmt: skip
        if new == "UNACK":
            cells["normal"] = ""  # it came again before anybody acknowledged it
        over = new in ("RTN-UNACK", "LATCHED-UNACK", "LATCHED-ACK")
        if (over or new == "NORM") and not cells["normal"]:
            cells["normal"] = row["time"]
        if (data["old"], new) in _ACKNOWLEDGED:
            cells["acknowledged"], cells["who"] = row["time"], printable(row["actor"])
            cells["reason"] = printable(row["reason"])

    def hold(self, row: Row, data: Row) -> None:
        self._holds.append(self.table("holds").add(
            seq=row["seq"], time=row["time"], cause=data["cause"], who=row["actor"], released="",
            by="", reason="",
        ))  # fmt: skip

    def released(self, row: Row, data: Row) -> None:
        for cells in self._holds:
            cells["released"], cells["by"] = row["time"], printable(row["actor"])
            cells["reason"] = printable(row["reason"])
        self._holds.clear()

    def signature(self, row: Row, data: Row) -> None:
        self.table("signatures").add(
            seq=row["seq"], time=data["utc"], meaning=data["meaning"], name=data["name"],
            user=data["user"], role=data["role"], station=data["station"], reason=row["reason"],
        )  # fmt: skip

    def outcome(self, row: Row, data: Row) -> None:
        asked = self._open.pop(f"command {data['id']}", None)
        if asked is not None and data["result"] != "applied":
            asked["state"] = str(data["result"])
        if data["result"] in ("unknown", "not_delivered"):
            self.deviation(row)

    def bypass(self, row: Row, data: Row) -> None:
        """A bypass asked for, with its deviation; a person closes that, outside the log."""
        self._open[f"bypass {data['row']}"] = self._open[f"command {data['id']}"] = self.table(
            "bypasses"
        ).add(
            seq=row["seq"], time=row["time"], deviation=data["deviation"], row=data["row"],
            title=data["title"], reason=row["reason"], measure=data["measure"], who=row["actor"],
            second=data["second"], seconds=data["seconds"], state="not set", ended="",
        )  # fmt: skip

    def bypassed(self, row: Row, data: Row) -> None:
        """It was set, or has lapsed."""
        cells = self._open.get(f"bypass {data['row']}")
        if cells is not None:
            ended = row["event"] == "bypass.lapsed"
            cells["state"] = "lapsed" if ended else "set"
            cells["ended"] = row["time"] if ended else ""

    def changed(self, row: Row, data: Row) -> None:
        """A change of the running recipe: a deviation of two people, as old and new value."""
        new = data["new"]
        if isinstance(new, Mapping):
            new = ", ".join(f"{name} = {value}" for name, value in sorted(new.items()))
        behind = f" behind {data['after']}" if data["after"] else ""
        said = f"{data['old']} -> {new}" if data["old"] else str(new)
        if data["change"] == "extend":
            said = f"{lasting(data['old'])} and {lasting(new)} more"
        said = f"{data['name']}: {said}" if data["name"] else said
        self._amendment(
            row, data["deviation"], f"{data['change']} {data['path']}{behind}", said, data["second"]
        )

    def found_later(self, row: Row, data: Row) -> None:
        """A deviation that somebody recorded."""
        self._amendment(row, data["deviation"], data["target"], data["what"], data["second"])

    def _amendment(self, row: Row, number: str, where: str, what: str, second: str) -> None:
        self.table("amendments").add(
            seq=row["seq"], time=row["time"], deviation=number, where=where, what=what,
            reason=row["reason"], who=row["actor"], second=second,
        )  # fmt: skip

    def blob(self, row: Row, data: Row) -> None:
        self.table("files").add(name=data["name"], bytes=data["bytes"], sha256=data["sha256"])


def _file_of(source: str) -> str:
    """File, line, instrument and time of a result that was handed in as a file."""
    return source.partition(", ")[2].partition(", SHA-256")[0] if ", SHA-256 " in source else ""


_TAKERS: Final[Mapping[str, Callable[[Fold, Row, Row], None]]] = {
    "log.opened": Fold.opened,
    "batch.opened": Fold.begun,
    "batch.state": Fold.batch_state,
    "batch.closed": Fold.closing,
    "procedure.state": Fold.procedure,
    "sample.recorded": Fold.sample,
    "control.result": Fold.control,
    "prompt.opened": Fold.prompt,
    "prompt.answered": Fold.answer,
    "cause.active": Fold.trip,
    "cause.cleared": Fold.trip_gone,
    "cause.reset": Fold.trip_gone,
    "alarm.state": Fold.alarm,
    "unit.hold": Fold.hold,
    "unit.hold_released": Fold.released,
    "signature.given": Fold.signature,
    "command.outcome": Fold.outcome,
    "recipe.changed": Fold.changed,
    "deviation.recorded": Fold.found_later,
    "deviation.opened": Fold.bypass,
    "bypass.set": Fold.bypassed,
    "bypass.lapsed": Fold.bypassed,
    "blob.stored": Fold.blob,
}
