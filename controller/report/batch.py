"""The report of one batch as PDF: folded from its log into one canonical JSON, rendered by typst.

A module because everything the report says must come out of the log (and of what verification says
about it), so that the same log gives the same pages.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import rfc8785

from controller.core.errors import BadInput, CellwrightError, RecordFailure
from controller.core.yamltext import parse
from controller.record.changes import DONE, changes, mark_of, unit_words
from controller.record.checkpoints import LAST
from controller.record.export import EVIDENCE, Export
from controller.record.frame import read_limited
from controller.record.layout import BLOB_BYTES_MAX
from controller.record.note import NOTE_BYTES_MAX, Checkpoint, Note, NoteError
from controller.record.query import Filter
from controller.record.show import printable, select
from controller.record.sources import Source
from controller.record.state import must_be_sealed
from controller.record.verify import Report, verify
from controller.report.fold import Fold, Table
from controller.report.plots import MS_PER_H, draw, trends
from controller.report.render import render

TEMPLATE: Final = Path(__file__).with_name("batch.typ")
NAME: Final = "report.pdf"
MACHINE: Final = ("recipe", "system")  # who changes values by plan: counted, not listed
PROBLEMS_MAX: Final = 20


def make(source: Source, *, open_: bool | None = None) -> bytes:
    """The report's PDF. `open_`: whether the log may be unfinished; by default where it lies says.

    Raises BadInput for a log that is not a batch's, RecordFailure for one that cannot be read to
    its end, RenderFailure.
    """
    may_be_open = not must_be_sealed(source.directory) if open_ is None else open_
    verdict = verify(source.directory, expect_sealed=not may_be_open)
    if verdict.kind not in ("batch", ""):
        raise BadInput(f"this is a {verdict.kind} log", where=source.directory,
                       do="A report is made of a batch's log.")  # fmt: skip
    fold = Fold()
    for row in select(source, Filter()):
        fold.take(row)
    if not fold.batch:
        raise BadInput("no batch was opened in this log", where=source.directory,
                       do="A report is made of a batch's log.")  # fmt: skip
    pictures = {"code.svg": code(_note(source))}
    history, told = _history(source, fold)
    if history:
        pictures["history.svg"] = history
    return render(rfc8785.dumps({**document(source, fold, verdict), "history": told}), TEMPLATE,
                  pictures)  # fmt: skip


def of_export(done: Export, root: Path) -> bytes:
    """The report of a log that is being exported to `root`, from the copy that is handed over."""
    open_ = not done.sealed and not done.problems
    return make(Source(done.source.name, root / "log"), open_=open_)


def document(source: Source, fold: Fold, verdict: Report) -> dict[str, Any]:
    """Everything the report shows but its pictures."""
    by_people, by_plan = _changes(source, fold.sampled)
    empty = Table()
    names = ("states", "phases", "samples", "controls", "answers", "trips", "alarms", "holds",
             "signatures", "deviations", "bypasses", "amendments", "files")  # fmt: skip
    opened = fold.batch["data"]
    return {
        "batch": {name: _text(value) for name, value in opened.items() if name != "parameters"},
        "parameters": _pairs(opened.get("parameters")),
        "opened_by": _text(fold.batch["actor"]), "began": fold.first, "ended": fold.last,
        "duration": _duration(fold.first, fold.last), "state": fold.state, "closed": fold.closed,
        "records": fold.records, "events": sorted(fold.events.items()),
        "tables": {name: fold.tables.get(name, empty).document() for name in names},
        "changes": by_people.document(), "planned": by_plan,
        "verdict": _verdict(source, verdict),
    }  # fmt: skip


def _changes(source: Source, sampled: set[tuple[str, str]]) -> tuple[Table, list[dict[str, str]]]:
    """What people changed or were refused, and how often the recipe changed what."""
    listed, plan = Table(), dict[str, dict[str, Any]]()
    for change in changes(source, Filter()):
        name = change.what.partition(" ")[2]
        if (name, change.time) in sampled and change.event in ("sample.recorded", "variable.set"):
            continue  # the table of samples has it
        if change.who in MACHINE and change.result == DONE:
            unit = unit_words(change.unit)
            row = plan.setdefault(change.what, {"what": change.what, "count": 0, "first": "",
                                                "unit": unit, "last": ""})  # fmt: skip
            row["count"] += 1
            row["first"] = row["first"] or change.new
            row["last"] = change.new
            continue
        listed.add(
            seq=change.seq, time=change.time, what=change.what, old=change.old, new=change.new,
            unit=unit_words(change.unit), who=change.who, role=change.role, second=change.second,
            signed="; ".join(change.signed), why=change.why, result=change.result,
            mark=mark_of(change.result),
        )  # fmt: skip
    listed.rows.sort(key=lambda row: int(row["seq"]))
    return listed, [{name: printable(str(cell)) for name, cell in row.items()}
                    for row in sorted(plan.values(), key=lambda row: row["what"])]  # fmt: skip


def _verdict(source: Source, verdict: Report) -> dict[str, Any]:
    shown = verdict.problems[:PROBLEMS_MAX]
    root = bytes.fromhex(verdict.root)
    note = _parsed(_note(source))
    evidence = [name for name in EVIDENCE if (source.beside("evidence") / name).is_file()]
    return {
        "ok": verdict.ok, "sealed": verdict.sealed, "records": verdict.records,
        "covered": verdict.covered, "checkpoints": verdict.checkpoints,
        "origin": verdict.origin, "device": verdict.device, "root": root.hex(),
        "problems": [{"where": printable(p.where), "what": printable(p.what)} for p in shown],
        "count": len(verdict.problems),
        "signed_root": base64.b64encode(note.root).decode() if note else "",
        "signed_hex": note.root.hex() if note else "", "signed_size": note.size if note else 0,
        "witnesses": _witnesses(source), "evidence": evidence,
    }  # fmt: skip


def _note(source: Source) -> bytes:
    try:
        return read_limited(source.directory / LAST, NOTE_BYTES_MAX)
    except RecordFailure:
        return b""


def _parsed(note: bytes) -> Checkpoint | None:
    try:
        return Checkpoint.parse(Note.parse(note).text)
    except NoteError:
        return None


def _witnesses(source: Source) -> list[str]:
    """Under which names the last checkpoint is cosigned; their signatures are not checked here."""
    try:
        data = read_limited(source.beside("evidence") / EVIDENCE[0], NOTE_BYTES_MAX)
        cosigned, last = Note.parse(data, foreign=True), Note.parse(_note(source))
    except (RecordFailure, NoteError):
        return []
    if cosigned.text != last.text:
        return []
    own = {line.name for line in last.signatures}
    return sorted({line.name for line in cosigned.signatures} - own)


def code(note: bytes) -> bytes:
    """The signed checkpoint as a QR code (ISO/IEC 18004, level M), SVG. A scan gives the note."""
    import segno

    out = BytesIO()
    made = segno.make_qr(note.decode("utf-8", "replace") or "no checkpoint", error="m")
    made.save(out, kind="svg", border=4, xmldecl=False, svgclass=None, lineclass=None)
    return out.getvalue()


def _history(source: Source, fold: Fold) -> tuple[bytes, dict[str, Any]]:
    """The picture of the main tags, and what is said under it."""
    wanted, titles = _main_tags(source, fold)
    begin, end = _ms(fold.first), _ms(fold.last)
    try:
        found = trends(source.directory, wanted, begin, end, growing=not fold.closed)
    except CellwrightError as error:
        return b"", {"tags": [], "why": printable(error.what)}
    if not found:
        return b"", {"tags": [], "why": "the log keeps no values of the main tags"}
    held = [((_ms(row["time"]) - begin) / MS_PER_H,
             ((_ms(row["released"]) if row["released"] else end) - begin) / MS_PER_H)
            for row in fold.tables.get("holds", Table()).rows]  # fmt: skip
    return draw(found, (end - begin) / MS_PER_H, held, titles), {
        "tags": [trend.tag for trend in found], "why": "",
    }  # fmt: skip


def _main_tags(source: Source, fold: Fold) -> tuple[list[str], dict[str, str]]:
    """The process values of the unit's loops, in its order, and the titles of all tags.

    From the profile the batch keeps; without a readable one there are none.
    """
    path = next((f"blobs/sha256-{row['sha256']}" for row in fold.tables.get("files", Table()).rows
                 if row["name"] == "profile"), "")  # fmt: skip
    try:
        raw = read_limited(source.directory / path, BLOB_BYTES_MAX) if path else b"{}"
        profile = parse(raw, "profile").data
        loops, tags = profile.get("loops", {}), profile.get("tags", {})
        wanted = [str(loop["pv"]) for loop in loops.values() if "pv" in loop]
        titles = {str(name): printable(str(tag.get("title", ""))) for name, tag in tags.items()}
    except (CellwrightError, AttributeError, TypeError):
        return [], {}
    return list(dict.fromkeys(wanted)), titles


def _ms(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1_000)


def _duration(first: str, last: str) -> str:
    seconds = (_ms(last) - _ms(first)) // 1_000
    if abs(seconds) < 3_600:
        return f"{seconds} s"
    days, rest = divmod(seconds // 60, 1_440)
    return f"{days} d {rest // 60} h {rest % 60} min"


def _text(value: object) -> str:
    return printable(str(value))


def _pairs(value: object) -> list[list[str]]:
    known = value if isinstance(value, Mapping) else {}
    return [[_text(name), _text(part)] for name, part in sorted(known.items())]
