"""The states of the host's session as one table; what is not in it is an error of ours."""

from __future__ import annotations

from enum import Enum
from typing import Final

from controller.core.errors import BrokenInvariant


class Phase(Enum):
    """Where the session stands; in each but REST and ARMED one request is in flight."""

    REST = "rest"
    CALL = "call"
    OPEN = "open"
    BEGIN = "begin"
    DATA = "data"
    READ = "read"
    ACTIVATE = "activate"
    ARM = "arm"
    ARMED = "armed"


class Turn(Enum):
    """What happened to the request in flight."""

    DUE = "the rest is over"
    ANSWER = "answered"
    LAST = "answered, and it was the last of its kind"
    SAME = "answered, and the board has the table already"
    DIFFERS = "what was read back is not what was sent"
    REFUSED = "refused"
    UNFIT = "refused, and only a new session can help"
    SILENT = "no answer to any attempt"


NEXT: Final[dict[tuple[Phase, Turn], Phase]] = {
    (Phase.REST, Turn.DUE): Phase.CALL,
    (Phase.CALL, Turn.ANSWER): Phase.OPEN,
    (Phase.CALL, Turn.SILENT): Phase.CALL,
    (Phase.CALL, Turn.REFUSED): Phase.REST,
    (Phase.OPEN, Turn.ANSWER): Phase.BEGIN,
    (Phase.OPEN, Turn.SAME): Phase.ARM,
    (Phase.OPEN, Turn.REFUSED): Phase.REST,
    (Phase.BEGIN, Turn.ANSWER): Phase.DATA,
    (Phase.BEGIN, Turn.REFUSED): Phase.REST,
    (Phase.DATA, Turn.ANSWER): Phase.DATA,
    (Phase.DATA, Turn.LAST): Phase.READ,
    (Phase.DATA, Turn.REFUSED): Phase.REST,
    (Phase.READ, Turn.ANSWER): Phase.READ,
    (Phase.READ, Turn.LAST): Phase.ACTIVATE,
    (Phase.READ, Turn.DIFFERS): Phase.BEGIN,
    (Phase.READ, Turn.REFUSED): Phase.REST,
    (Phase.ACTIVATE, Turn.ANSWER): Phase.ARM,
    (Phase.ACTIVATE, Turn.REFUSED): Phase.REST,
    (Phase.ARM, Turn.ANSWER): Phase.ARMED,
    (Phase.ARM, Turn.REFUSED): Phase.REST,
    (Phase.ARMED, Turn.ANSWER): Phase.ARMED,
    (Phase.ARMED, Turn.REFUSED): Phase.ARMED,
} | {
    (phase, turn): Phase.CALL
    for phase in Phase
    if phase not in (Phase.REST, Phase.CALL)
    for turn in (Turn.SILENT, Turn.UNFIT)
}


def after(phase: Phase, turn: Turn) -> Phase:
    """The next phase; raises BrokenInvariant for a pair that is not in the table."""
    found = NEXT.get((phase, turn))
    if found is None:
        raise BrokenInvariant(
            f"{turn.value} in phase {phase.value}", where="firmware_bridge.states"
        )
    return found
