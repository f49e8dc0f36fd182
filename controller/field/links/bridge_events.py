"""The events of an I/O board as notes: its first-out, its time on our clock, the error of it."""

from __future__ import annotations

from collections.abc import Mapping

from controller.field.links.bridge_notes import Field, Told, board_note
from controller.field.links.note import Note
from controller.profile.link_plan import BoardPlan
from firmware_bridge.codes import EventKind, LatchReason, ResetReason
from firmware_bridge.messages import Event

RESET_WORDS: Mapping[int, str] = {
    ResetReason.POWER_UP: "power-up", ResetReason.WATCHDOG: "its watchdog",
    ResetReason.OTHER: "another reset",
}  # fmt: skip
LATCH_WORDS: Mapping[int, str] = {
    LatchReason.RESTART: "the board was started", LatchReason.LEASE: "its lease ran out",
    LatchReason.IMAGE: "nobody named the board's image",
    LatchReason.TABLE: "the board's table was changed",
}  # fmt: skip
_ROWS: Mapping[int, Told] = {
    EventKind.STANDS: Told.TRIP, EventKind.CLEARED: Told.ROW_GONE,
    EventKind.RESET: Told.ROW_RESET, EventKind.BYPASS_BEGAN: Told.BYPASS,
    EventKind.BYPASS_ENDED: Told.BYPASS,
}  # fmt: skip
_CHANNELS: Mapping[int, Told] = {
    EventKind.LAPSED: Told.LAPSED, EventKind.LATCHED: Told.LATCHED,
    EventKind.UNLATCHED: Told.CLEARED,
}  # fmt: skip


def reset_words(reason: int) -> str:
    """Why a board was started, as people say it."""
    return RESET_WORDS.get(reason, f"reason {reason}")


def event_note(
    plan: BoardPlan, event: Event, number: int, boot_id: int, at_ns: int, error_ns: int
) -> Note | None:
    """The note of event `number` of a boot, at host time `at_ns` +- `error_ns`; None for what the
    session's own note tells."""
    common: dict[str, Field] = {
        "at_us": event.time_us, "error_us": -(-error_ns // 1000), "boot_id": boot_id,
        "number": number,
    }  # fmt: skip

    def note(told: Told, **fields: Field) -> Note:
        return board_note(told, plan.device, at_ns, **fields, **common)

    if event.kind in _ROWS:
        row = next((row.id for row in plan.rows if row.row == event.index), str(event.index))
        if event.kind == EventKind.STANDS:
            return note(Told.TRIP, row=row, first_out=event.place)
        if event.kind in (EventKind.BYPASS_BEGAN, EventKind.BYPASS_ENDED):
            return note(Told.BYPASS, row=row, stands=event.kind == EventKind.BYPASS_BEGAN)
        return note(_ROWS[event.kind], row=row)
    if event.kind in _CHANNELS:
        names = {channel.channel: channel.name for channel in plan.channels}
        name = names.get(event.index, f"channel {event.index}")
        if event.kind == EventKind.LATCHED:
            why = LATCH_WORDS.get(event.detail, f"reason {event.detail}")
            return note(Told.LATCHED, channel=name, why=why)
        return note(_CHANNELS[event.kind], channel=name)
    if event.kind == EventKind.BOOT:
        return note(Told.STARTED, reset=reset_words(event.detail))
    if event.kind == EventKind.LOST:
        return note(Told.EVENTS_LOST, count=event.detail)
    return None
