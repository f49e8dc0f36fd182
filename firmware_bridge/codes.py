"""The numbers of the I/O board's protocol (`PROTOCOL.md`): types, codes, reasons and limits.

With `messages.py` and `table.py` the only source of `core/protocol.h`
(`python -m firmware_bridge.header`). Numbers may be added, never given another meaning.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final

VERSION: Final = 1


class Type(IntEnum):
    """Types of frames: below 0x40 the host asks, from 0x40 the board speaks."""

    HELLO = 0x01
    OPEN = 0x02
    TABLE_BEGIN = 0x03
    TABLE_DATA = 0x04
    TABLE_READ = 0x05
    TABLE_ACTIVATE = 0x06
    ARM = 0x07
    COMMAND = 0x08
    BEAT = 0x09
    RESET = 0x0A
    CLEAR = 0x0B
    EVENTS = 0x0C
    HELLO_ACK = 0x41
    ACK = 0x42
    NAK = 0x43
    TABLE_BYTES = 0x45
    EVENTS_LIST = 0x4C
    STATUS = 0x50


class Nak(IntEnum):
    """Why a request was refused; `words` says it to a person."""

    VERSION = 1
    SCHEMA = 2
    LENGTH = 3
    TYPE = 4
    SESSION = 5
    SEQUENCE = 6
    NOT_ARMED = 7
    ARMED = 8
    TABLE_SIZE = 9
    TABLE_DIGEST = 10
    TABLE_BAD = 11
    CHANNEL = 12
    VALUE = 13
    LEASE = 14
    LATCHED = 15
    SIGNAL = 16
    ROW = 17
    STANDS = 18
    BLIND = 19
    BYPASS = 20

    @property
    def words(self) -> str:
        """What the board means; `detail` of the NAK belongs at its end."""
        return _NAK_WORDS[self]


_NAK_WORDS: Final = {
    Nak.VERSION: "the board speaks another protocol version",
    Nak.SCHEMA: "the board was built from other message layouts",
    Nak.LENGTH: "payload of a wrong length, in bytes",
    Nak.TYPE: "no such request, type",
    Nak.SESSION: "the session is not the pending one",
    Nak.SEQUENCE: "not the next request; the board's last one is",
    Nak.NOT_ARMED: "nothing is armed: no actuation",
    Nak.ARMED: "not while the session is armed",
    Nak.TABLE_SIZE: "the table is too large; most bytes",
    Nak.TABLE_DIGEST: "the table's digest is not the one named",
    Nak.TABLE_BAD: "the bytes are no table; first wrong byte",
    Nak.CHANNEL: "no such channel",
    Nak.VALUE: "not a value of the channel",
    Nak.LEASE: "the lease is 0 or longer than the limit of channel",
    Nak.LATCHED: "the channel is latched and takes only its lapse value; channel",
    Nak.SIGNAL: "no such signal, or not one that the host gives; signal",
    Nak.ROW: "no such row",
    Nak.STANDS: "the cause still stands; row",
    Nak.BLIND: "the row reads a bad signal; row",
    Nak.BYPASS: "the row may never be bypassed; row",
}


class LatchReason(IntEnum):
    """Why a channel is latched."""

    RESTART = 1
    LEASE = 2
    IMAGE = 3
    TABLE = 4


class EventKind(IntEnum):
    """What an event of the board tells."""

    STANDS = 1
    CLEARED = 2
    RESET = 3
    LAPSED = 4
    LATCHED = 5
    UNLATCHED = 6
    BOOT = 7
    ARMED = 8
    BYPASS_BEGAN = 9
    BYPASS_ENDED = 10
    LOST = 11


class ResetReason(IntEnum):
    """Why the board booted."""

    POWER_UP = 0
    WATCHDOG = 1
    OTHER = 2


class RowFlag(IntFlag):
    """Flags of a row in STATUS."""

    STANDS = 1
    LATCHED = 2
    BYPASSED = 4
    NOT_VALID = 8


class State(IntEnum):
    """Bits 0-1 of `state` in STATUS: the session."""

    NONE = 0
    OPEN = 1
    ARMED = 2


class Source(IntEnum):
    """Where a signal of the table comes from."""

    HOST = 0
    ANALOG = 1
    DIGITAL = 2


class Op(IntEnum):
    """How a condition compares its signal."""

    ABOVE = 0
    BELOW = 1
    BAD = 2


class Bad(IntEnum):
    """What a bad signal means to a condition."""

    TRIP = 0
    DEGRADE = 1
    IGNORE = 2


class Kind(IntEnum):
    """Kinds of rows that a board runs."""

    INTERLOCK = 2
    PROTECT = 3


class ChannelKind(IntEnum):
    """Kinds of channels."""

    DIGITAL = 0
    PWM = 1


class Quality(IntEnum):
    """The numbers of `controller.core.signal.Quality` (a test compares them)."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


class Reason(IntEnum):
    """The numbers of `controller.core.signal.Reason` (a test compares them)."""

    NONE = 0
    NEVER_READ = 1
    TOO_OLD = 2
    NOT_FINITE = 3
    OUT_OF_RANGE = 4
    TOO_FAST = 5
    DEVICE = 6
    COMMUNICATION = 7
    STUCK = 8
    OPERAND = 9
    SUBSTITUTED = 10
    DRIVER = 11


# Limits. Sizes in bytes; times with their unit in the name.
PAYLOAD_MAX: Final = 240
HEAD_SIZE: Final = 8
CRC_SIZE: Final = 4
FRAME_MAX: Final = HEAD_SIZE + PAYLOAD_MAX + CRC_SIZE
ENCODED_MAX: Final = 256
CHUNK_MAX: Final = 200
WRITES_MAX: Final = 8
GIVEN_MAX: Final = 17
EVENTS_MAX: Final = 12
EVENTS_KEPT: Final = 24
SIGNALS_MAX: Final = 24
CONDITIONS_MAX: Final = 32
CAUSES_MAX: Final = 16
EFFECTS_MAX: Final = 32
CHANNELS_MAX: Final = 8
ANALOG_MAX: Final = 4
DIGITAL_MAX: Final = 32
GROUPS_MAX: Final = 4
PWM_CHANNEL: Final = 7
PWM_MAX: Final = 1000
NONE: Final = 255
PASS_US: Final = 500
BEAT_MS: Final = 250
BEAT_ALIVE_MS: Final = 1000
STATUS_MS: Final = 100
STATUS_GAP_MS: Final = 10
STATUS_CHANGE_US: Final = 1000
RETRY_MS: Final = 60
RETRIES: Final = 4
TABLE_MAGIC: Final = b"CWT1"
