"""A log in which people, a recipe and field change things, to be asked about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from record_logs import chunk_bytes, stamp_at

from controller.core.events import Event
from controller.record.files import VolatileFiles
from controller.record.keys import Keys
from controller.record.log import BatchLog

PLAN = b'{"units": {"feed": ["mL/min", "mL/min"], "TIC101.sp": ["degC", "Cel"]}}'


def event(
    name: str,
    at: float,
    actor: str = "system",
    /,
    *,
    by: str = "",
    because: str = "",
    **fields: Any,
) -> Event:
    """An event; `by` is the record's role, `because` its reason."""
    return Event(name, stamp_at(at), actor, by, because, fields)


def intent(
    number: int, at: float, actor: str, verb: str, target: str, old: str, new: str,
    *, second: str = "", by: str = "", because: str = "",
) -> Event:  # fmt: skip
    """A command's intent."""
    return event("command.intent", at, actor, by=by, because=because, id=number, verb=verb,
                 target=target, old=old, new=new, second=second, expected="",
                 valid_until="")  # fmt: skip


def outcome(number: int, at: float, result: str = "applied", why: str = "") -> Event:
    """What became of a command."""
    return event("command.outcome", at, id=number, result=result, why=why)


def story() -> list[Event]:
    """Two people, a recipe, a trip, a bypass, accounts; and commands that did not take effect."""
    ana, bo = "ana@desk", "unverified:bo@station"
    return [
        intent(1, 10, ana, "set_sp", "TIC101", "37", "36.5", by="operator", because="too warm",
               second="bo"),
        event("signature.given", 10, ana, id=1, user="ana", name="Ana Lind", role="operator",
              meaning="performed", digest="ab" * 32, utc="2026-01-05T08:00:10Z", station="desk"),
        intent(2, 11, "recipe", "set_output", "feed", "0", "25.0", because="grow step 2"),
        outcome(2, 12),
        outcome(1, 13),
        intent(3, 14, bo, "set_flag", "no_base", "0", "true"),
        outcome(3, 15, "refused", "a permit is missing"),
        event("command.refused", 16, bo, verb="set_sp", target="AIC101", new="9", why="too high"),
        event("cause.active", 17, row="18.both", title="No flow", scan=4, first_out=1,
              signals=["TT101 = 39.1, and a text that is too long for an index to keep its words"]),
        event("variable.set", 18, ana, name="set_lot", old="", new="LOT-7", unit="text",
              source="leak_test.set_lot"),
        event("sample.recorded", 19, ana, name="vcd", value="0.4", unit="1e6/mL",
              predicted="", source="grow.vcd"),
        event("bypass.set", 20, row="18.both", until="2026-01-05T09:00:00Z", scan=9),
        event("account.added", 21, "root@console", user="eva", name="Eva", role="operator"),
        intent(4, 22, ana, "acknowledge", "row:18.both", "", ""),
        outcome(4, 22),
        intent(5, 23, ana, "hold", "procedure", "Running", "", because="foam"),
    ]  # fmt: skip


def make_trail(directory: Path, *, purpose: str = "B-7", begin: float = 0,
               sealed: bool = True) -> BatchLog:  # fmt: skip
    """The story as a log, with a plan that gives a unit and a chunk of writes."""
    log = BatchLog.create(
        directory, Keys.from_seed(5), stamp_at(begin), purpose=purpose, files=VolatileFiles(),
        kind="station" if purpose == "station" else "batch",
    )  # fmt: skip
    log.store_blob("plan", PLAN, stamp_at(begin))
    for each in story():
        log.append(Event(each.name, stamp_at(begin + each.stamp.mono_ns / 1e9), each.actor,
                         each.role, each.reason, each.data))  # fmt: skip
    log.store_chunk(chunk_bytes(), stamp_at(begin + 30))
    log.checkpoint(stamp_at(begin + 30))
    if sealed:
        log.seal(stamp_at(begin + 31))
    else:
        log.close()
    return log
