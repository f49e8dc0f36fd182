"""The life of an alarm: one table after ANSI/ISA-18.2-2016 and IEC 62682, states A to I.

Whatever the process says is never illegal: where the table has no move, the state stays. What a
person asks for and the table does not have is an error, and nothing happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from controller.core.errors import Refused

NORM: Final = "NORM"  # A
UNACK: Final = "UNACK"  # B
ACK: Final = "ACK"  # C
RTN_UNACK: Final = "RTN-UNACK"  # D
LATCHED_UNACK: Final = "LATCHED-UNACK"  # E
LATCHED_ACK: Final = "LATCHED-ACK"  # F
SHELVED: Final = "SHELVED"  # G
SUPPRESSED: Final = "SUPPRESSED-BY-DESIGN"  # H
OUT_OF_SERVICE: Final = "OUT-OF-SERVICE"  # I
STATES: Final = (
    NORM, UNACK, ACK, RTN_UNACK, LATCHED_UNACK, LATCHED_ACK, SHELVED, SUPPRESSED, OUT_OF_SERVICE,
)  # fmt: skip
WAITING: Final = (UNACK, RTN_UNACK, LATCHED_UNACK)
HIDDEN: Final = (SHELVED, SUPPRESSED, OUT_OF_SERVICE)

# What the process says, what the design says, what people ask.
RAISE, RETURN, LATCH, RESET = "raise", "return", "latch", "reset"
SUPPRESS, RELEASE = "suppress", "release"
ACKNOWLEDGE, SHELVE, UNSHELVE = "acknowledge", "shelve", "unshelve"
TAKE_OUT, PUT_BACK = "out_of_service", "in_service"
PROCESS: Final = (RAISE, RETURN, LATCH, RESET)
TRIGGERS: Final = (*PROCESS, SUPPRESS, RELEASE, ACKNOWLEDGE, SHELVE, UNSHELVE, TAKE_OUT, PUT_BACK)

# What the process says of an alarm, whatever state people have put it in.
NORMAL, STANDS, LATCHED = "normal", "stands", "latched"
CONDITION_OF: Final[Mapping[str, str]] = {
    NORM: NORMAL, UNACK: STANDS, ACK: STANDS, RTN_UNACK: NORMAL, LATCHED_UNACK: LATCHED,
    LATCHED_ACK: LATCHED,
}  # fmt: skip
AS_IT_IS: Final = "as the process says"
_SEEN_AGAIN: Final[Mapping[str, str]] = {NORMAL: NORM, STANDS: UNACK, LATCHED: LATCHED_UNACK}

TABLE: Final[Mapping[tuple[str, str], str]] = {
    (NORM, RAISE): UNACK,
    (NORM, SHELVE): SHELVED,
    (NORM, SUPPRESS): SUPPRESSED,
    (NORM, TAKE_OUT): OUT_OF_SERVICE,
    (UNACK, RETURN): RTN_UNACK,
    (UNACK, LATCH): LATCHED_UNACK,
    (UNACK, ACKNOWLEDGE): ACK,
    (UNACK, SHELVE): SHELVED,
    (UNACK, SUPPRESS): SUPPRESSED,
    (UNACK, TAKE_OUT): OUT_OF_SERVICE,
    (ACK, RETURN): NORM,
    (ACK, LATCH): LATCHED_ACK,
    (ACK, SHELVE): SHELVED,
    (ACK, SUPPRESS): SUPPRESSED,
    (ACK, TAKE_OUT): OUT_OF_SERVICE,
    (RTN_UNACK, RAISE): UNACK,
    (RTN_UNACK, ACKNOWLEDGE): NORM,
    (RTN_UNACK, SHELVE): SHELVED,
    (RTN_UNACK, SUPPRESS): SUPPRESSED,
    (RTN_UNACK, TAKE_OUT): OUT_OF_SERVICE,
    (LATCHED_UNACK, RAISE): UNACK,
    (LATCHED_UNACK, RESET): RTN_UNACK,
    (LATCHED_UNACK, ACKNOWLEDGE): LATCHED_ACK,
    (LATCHED_UNACK, SHELVE): SHELVED,
    (LATCHED_UNACK, SUPPRESS): SUPPRESSED,
    (LATCHED_UNACK, TAKE_OUT): OUT_OF_SERVICE,
    (LATCHED_ACK, RAISE): UNACK,
    (LATCHED_ACK, RESET): NORM,
    (LATCHED_ACK, SHELVE): SHELVED,
    (LATCHED_ACK, SUPPRESS): SUPPRESSED,
    (LATCHED_ACK, TAKE_OUT): OUT_OF_SERVICE,
    (SHELVED, UNSHELVE): AS_IT_IS,
    (SHELVED, TAKE_OUT): OUT_OF_SERVICE,
    (SUPPRESSED, RELEASE): AS_IT_IS,
    (SUPPRESSED, TAKE_OUT): OUT_OF_SERVICE,
    (OUT_OF_SERVICE, PUT_BACK): AS_IT_IS,
}
# (condition, what the process says) -> condition; a pair that is not here changes nothing.
CONDITIONS: Final[Mapping[tuple[str, str], str]] = {
    (NORMAL, RAISE): STANDS,
    (STANDS, RETURN): NORMAL,
    (STANDS, LATCH): LATCHED,
    (LATCHED, RAISE): STANDS,
    (LATCHED, RESET): NORMAL,
}


def moved(name: str, state: str, trigger: str, condition: str) -> str:
    """The state after a trigger. `condition` decides it where an alarm is seen again: one that
    stands comes back unacknowledged. Raises Refused for a move the table does not have."""
    new = TABLE.get((state, trigger))
    if new is None:
        raise Refused(f"alarm {name} is {state}: {_WHY[trigger]}")
    return _SEEN_AGAIN[condition] if new == AS_IT_IS else new


_WHY: Final[Mapping[str, str]] = {
    ACKNOWLEDGE: "there is nothing to acknowledge",
    SHELVE: "it cannot be shelved now",
    UNSHELVE: "it is not shelved",
    TAKE_OUT: "it is out of service already",
    PUT_BACK: "it is not out of service",
    SUPPRESS: "it cannot be suppressed now",
    RELEASE: "it is not suppressed",
    RAISE: "it cannot be raised",
    RETURN: "it cannot return to normal",
    LATCH: "it cannot latch",
    RESET: "there is no latch to take off",
}
