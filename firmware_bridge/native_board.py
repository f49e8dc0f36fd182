"""The board's own C core in this process, in virtual time: what the rig and tests drive.

Thin over `native/library.c`; every call passes the time in, in microseconds since the boot. What a
number means stands in PROTOCOL.md. `address` gives the address of a function for compiled Python.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Any, Final, Self

from firmware_bridge import build
from firmware_bridge.codes import ANALOG_MAX, EVENTS_KEPT, PASS_US, EventKind, ResetReason
from firmware_bridge.messages import Status

_TAKE_BYTES: Final = 1024
_EVENT: Final = struct.Struct("<QIBBBB")
_B, _I32, _U32, _I64, _U64 = (ctypes.c_void_p, ctypes.c_int32, ctypes.c_uint32, ctypes.c_int64,
                              ctypes.c_uint64)  # fmt: skip
_F64, _AT, _SIZE = ctypes.c_double, ctypes.c_void_p, ctypes.c_size_t

SIGNATURES: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "cw_board_new": (_B, ()),
    "cw_board_free": (None, (_B,)),
    "cw_board_bytes": (_SIZE, ()),
    "cw_retained_bytes": (_SIZE, ()),
    "cw_retained": (_AT, (_B,)),
    "cw_image": (_AT, ()),
    "cw_start": (None, (_B, _U64, _U32, ctypes.c_uint8, _AT)),
    "cw_receive": (None, (_B, _AT, _SIZE, _U64)),
    "cw_transmit": (_SIZE, (_B, _AT, _SIZE)),
    "cw_run": (None, (_B, _AT, _U64, _U64, _U64)),
    "cw_outputs": (None, (_B, _AT, _AT)),
    "cw_fed": (_I32, (_B,)),
    "cw_dropped": (_U32, (_B,)),
    "cw_load": (_I32, (_B, _AT, _SIZE)),
    "cw_command": (_I32, (_B, _I32, _I32, _I32, _U64)),
    "cw_beat": (_I32, (_B, _U32, _U32, _U64)),
    "cw_signal": (None, (_B, _I32, _F64, _I32, _I32, _I64)),
    "cw_give": (_I32, (_B, _I32, _F64, _I32, _I32, _I64, _U64)),
    "cw_reset": (_I32, (_B, _I32, _U64)),
    "cw_clear": (_I32, (_B, _U32, _U64)),
    "cw_bypass": (None, (_B, _U32, _U64)),
    "cw_scan_rows": (None, (_B, _U64)),
    "cw_row": (_I32, (_B, _I32)),
    "cw_forced": (_I32, (_B, _I32)),
    "cw_value": (_I32, (_B, _I32)),
    "cw_events_head": (_U32, (_B,)),
    "cw_events": (_I32, (_B, _U32, _AT)),
    "cw_status": (_I32, (_B, _AT)),
}


class Inputs(ctypes.Structure):
    """The raw pins: counts of the converter, bit n = digital input n (core/board.h)."""

    _fields_ = (("analog", ctypes.c_uint16 * ANALOG_MAX), ("digital", ctypes.c_uint32))


@dataclass(frozen=True, slots=True)
class BoardEvent:
    """An event as the board keeps it, at board time; place 255: none."""

    number: int
    time_us: int
    kind: EventKind
    index: int
    place: int
    detail: int


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """The core, built if needed, with its signatures; raises BadInput without a C compiler."""
    return typed(ctypes.CDLL(str(build.library())))


def typed(found: ctypes.CDLL) -> ctypes.CDLL:
    """Gives every function of a library its signature."""
    for name, (result, arguments) in SIGNATURES.items():
        function = getattr(found, name)
        function.restype, function.argtypes = result, arguments
    return found


def address(name: str) -> int:
    """Where a function of the library lies, for compiled Python."""
    return int(ctypes.cast(getattr(library(), name), ctypes.c_void_p).value or 0)


class NativeBoard:
    """One board. `inputs` are its pins; `now_us` the time of its last pass."""

    def __init__(self, core: ctypes.CDLL | None = None) -> None:
        self.core = core or library()
        self.handle = self.core.cw_board_new()
        if not self.handle:
            raise MemoryError("no memory for a board")
        self.inputs = Inputs()
        self.now_us = 0
        self._taken = ctypes.create_string_buffer(_TAKE_BYTES)
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Frees it. Idempotent; nothing else may be called afterwards."""
        if getattr(self, "handle", None):
            self.core.cw_board_free(self.handle)
            self.handle = None

    def start(
        self, boot_id: int = 1, reason: ResetReason = ResetReason.POWER_UP,
        image: bytes | None = None,
    ) -> None:  # fmt: skip
        """Boots at time 0; retained memory stays as the last boot left it. `image`: 32 bytes; None
        is the library's own digest."""
        self.now_us = 0
        self.core.cw_start(self.handle, 0, boot_id, int(reason), image)

    # -- line and pins ----------------------------------------------------------------------

    def receive(self, data: bytes, now_us: int) -> None:
        """Bytes that came on the line."""
        self.core.cw_receive(self.handle, data, len(data), now_us)

    def transmit(self, room: int = _TAKE_BYTES) -> bytes:
        """At most `room` bytes for the line; at most 1024."""
        count = self.core.cw_transmit(self.handle, self._taken, min(room, _TAKE_BYTES))
        return self._taken.raw[:count]

    def run(self, until_us: int, step_us: int = PASS_US) -> None:
        """Passes at `now_us` + step, ... up to and with `until_us`."""
        at = ctypes.addressof(self.inputs)
        self.core.cw_run(self.handle, at, self.now_us, until_us, step_us)
        self.now_us += (until_us - self.now_us) // step_us * step_us

    def passes(self, count: int) -> None:
        """So many passes, CW_PASS_US apart."""
        self.run(self.now_us + count * PASS_US)

    def set_digital(self, number: int, closed: bool) -> None:
        """One contact."""
        bit = 1 << number
        self.inputs.digital = self.inputs.digital & ~bit | (bit if closed else 0)

    def outputs(self) -> tuple[int, int]:
        """What the pins do: digital outputs (bit n = channel n), PWM in per mille."""
        digital, pwm = ctypes.c_uint8(), ctypes.c_uint16()
        self.core.cw_outputs(self.handle, ctypes.addressof(digital), ctypes.addressof(pwm))
        return digital.value, pwm.value

    def value(self, channel: int) -> int:
        """What one channel does; -1: no such channel."""
        return int(self.core.cw_value(self.handle, channel))

    def fed(self) -> bool:
        """Whether the watchdog would be fed now."""
        return bool(self.core.cw_fed(self.handle))

    # -- what messages do, without frames: 0 or the code of a NAK ---------------------------

    def load(self, table: bytes) -> int:
        """Stages, activates and arms."""
        return int(self.core.cw_load(self.handle, table, len(table)))

    def command(self, channel: int, value: int, lease_ms: int, now_us: int) -> int:
        """One write of a COMMAND."""
        return int(self.core.cw_command(self.handle, channel, value, lease_ms, now_us))

    def beat(self, progress: int, now_us: int, bypassed: int = 0) -> int:
        """A BEAT without signals; those come by `signal`."""
        return int(self.core.cw_beat(self.handle, progress, bypassed, now_us))

    def signal(
        self, index: int, value: float, quality: int, reason: int, sample_us: int, now_us: int
    ) -> int:
        """A sample as the host gives it in a BEAT: judged."""
        return int(
            self.core.cw_give(self.handle, index, value, quality, reason, sample_us, now_us)
        )

    def reset(self, row: int, now_us: int) -> int:
        """RESET."""
        return int(self.core.cw_reset(self.handle, row, now_us))

    def clear(self, channels: int, now_us: int) -> int:
        """CLEAR, bit n = channel n."""
        return int(self.core.cw_clear(self.handle, channels, now_us))

    # -- rows alone -------------------------------------------------------------------------

    def set_signal(
        self, index: int, value: float, quality: int, reason: int, sample_us: int
    ) -> None:
        """A signal as it stands, unjudged."""
        self.core.cw_signal(self.handle, index, value, quality, reason, sample_us)

    def bypass(self, rows: int, now_us: int) -> None:
        """Bypasses exactly these rows in the scan at `now_us`, bit n = row n."""
        self.core.cw_bypass(self.handle, rows, now_us)

    def scan_rows(self, now_us: int) -> None:
        """Causes and effects once, on the signals as they stand, aged."""
        self.core.cw_scan_rows(self.handle, now_us)

    def row(self, row: int) -> tuple[int, int]:
        """Flags (codes.RowFlag) and first-out place of a row; 255: it never had one."""
        both = self.core.cw_row(self.handle, row)
        return both & 255, both >> 8

    def forced(self, channel: int) -> int:
        """What rows force on a channel; -1: nothing."""
        return int(self.core.cw_forced(self.handle, channel))

    # -- what it tells ----------------------------------------------------------------------

    @property
    def events_head(self) -> int:
        """Events since the boot."""
        return int(self.core.cw_events_head(self.handle))

    def events(self, first: int = 0) -> list[BoardEvent]:
        """The kept events from this number on."""
        rows = ctypes.create_string_buffer(_EVENT.size * EVENTS_KEPT)
        count = self.core.cw_events(self.handle, first, rows)
        found = _EVENT.iter_unpack(rows.raw[: count * _EVENT.size])
        return [BoardEvent(number, time_us, EventKind(kind), *rest)
                for time_us, number, kind, *rest in found]  # fmt: skip

    def status(self) -> Status:
        """What a STATUS would say now."""
        count = self.core.cw_status(self.handle, self._taken)
        return Status.unpack(self._taken.raw[:count])

    def dropped(self) -> int:
        """Frames that were none, or came in a session that is over."""
        return int(self.core.cw_dropped(self.handle))

    def retained(self) -> ctypes.Array[ctypes.c_char]:
        """Its retained memory itself, to save or to spoil."""
        size = self.core.cw_retained_bytes()
        memory: ctypes.Array[ctypes.c_char] = (ctypes.c_char * size).from_address(
            self.core.cw_retained(self.handle)
        )
        return memory


def image() -> bytes:
    """The digest the library carries."""
    return ctypes.string_at(library().cw_image(), 32)


def steady(values: Sequence[int]) -> ctypes.Array[ctypes.c_uint16]:
    """Counts for `Inputs.analog`."""
    return (ctypes.c_uint16 * ANALOG_MAX)(*values)
