"""What an I/O board has to tell, as notes: one kind, whose words are a record's name and fields.

A module because both ends must agree on it: the link machine makes these notes, the supervisor
makes records of them. Every field is a word, a number or a yes of bounded size, so that the longest
note fits its ring.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum

from controller.field.links.note import Note, NoteKind

WORD_MAX = 80  # characters of one field; a SHA-256 in hex has 64
Field = str | int | bool


class Told(StrEnum):
    """What a board tells; the values are names of records (`core/events.py`)."""

    SESSION = "board.session"
    UNKNOWN = "board.unknown"
    RESTARTED = "board.restarted"
    STARTED = "board.started"
    TRIP = "board.trip"
    ROW_GONE = "board.row_gone"
    ROW_RESET = "board.row_reset"
    BYPASS = "board.bypass"
    LAPSED = "board.lapsed"
    LATCHED = "board.latched"
    CLEARED = "board.cleared"
    EVENTS_LOST = "board.events_lost"
    REFUSED = "board.refused"


def board_note(told: Told, device: str, at_ns: int, **fields: Field) -> Note:
    """The note of one thing a board tells; long words are cut."""
    cut = {name: part[:WORD_MAX] if isinstance(part, str) else part
           for name, part in fields.items()}  # fmt: skip
    what = json.dumps([told.value, cut], separators=(",", ":"))
    return Note(NoteKind.BOARD, device, what, at_ns)


def read_note(note: Note) -> tuple[Told, Mapping[str, Field]]:
    """The inverse of `board_note`; raises ValueError for anything else."""
    told, fields = json.loads(note.what)
    return Told(told), fields
