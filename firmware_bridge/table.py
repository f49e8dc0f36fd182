"""The table that a board runs: signals, conditions, causes, effects, channels, analog inputs.

Meanings are those of PROTOCOL.md, The table. `join` puts the rows together and `split` takes them
apart; whether a table is one that may run (indices, ranges) the board decides at activation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from firmware_bridge.codes import TABLE_MAGIC
from firmware_bridge.layout import F64, U8, U16, U32, LayoutError, Raw4, Wire, layout


@dataclass(frozen=True, slots=True)
class Header(Wire):
    """How many rows of each kind follow; `size` of the whole table in bytes."""

    magic: Raw4
    n_signals: U8
    n_conditions: U8
    n_causes: U8
    n_effects: U8
    n_channels: U8
    n_analog: U8
    n_digital: U8
    n_groups: U8
    size: U16
    zero: U16 = 0


@dataclass(frozen=True, slots=True)
class Signal(Wire):
    """Where a signal comes from (Source) and the oldest age in us at which it is still good."""

    source: U8
    number: U8
    zero: U16
    max_age_us: U32


@dataclass(frozen=True, slots=True)
class Condition(Wire):
    """One comparison (Op), what a bad signal means (Bad), its delays in us."""

    signal: U8
    op: U8
    bad: U8
    zero: U8
    on_delay_us: U32
    off_delay_us: U32
    limit: F64
    hysteresis: F64


@dataclass(frozen=True, slots=True)
class Cause(Wire):
    """One row: its conditions, votes, delays in us, validity flag, effects, first-out group."""

    kind: U8
    first_condition: U8
    n_conditions: U8
    votes: U8
    on_delay_us: U32
    bad_delay_us: U32
    off_delay_us: U32
    valid_signal: U8
    valid_when: U8
    first_effect: U8
    n_effects: U8
    bypassable: U8
    group: U8
    zero: U16 = 0


@dataclass(frozen=True, slots=True)
class Effect(Wire):
    """The value that a row forces on a channel."""

    channel: U8
    zero: U8
    value: U16


@dataclass(frozen=True, slots=True)
class Channel(Wire):
    """One output: its rules when a lease ends, at boot, between two forces; longest lease in ms."""

    kind: U8
    keep: U8
    latch: U8
    retain: U8
    higher_wins: U8
    zero: U8
    lapse: U16
    start: U16
    lease_ms_max: U16


@dataclass(frozen=True, slots=True)
class AnalogInput(Wire):
    """value = raw * scale + offset; bad outside low_raw..high_raw or low..high."""

    low_raw: U16
    high_raw: U16
    scale: F64
    offset: F64
    low: F64
    high: F64


_Row = TypeVar("_Row", bound=Wire)

ROWS: tuple[type[Wire], ...] = (Header, Signal, Condition, Cause, Effect, Channel, AnalogInput)


@dataclass(frozen=True, slots=True)
class Table:
    """A whole table; `digital` and `groups` are counts: those rows have no bytes."""

    signals: tuple[Signal, ...]
    conditions: tuple[Condition, ...]
    causes: tuple[Cause, ...]
    effects: tuple[Effect, ...]
    channels: tuple[Channel, ...]
    analog: tuple[AnalogInput, ...]
    digital: int
    groups: int

    def join(self) -> bytes:
        """The table's bytes, as loaded and as its digest is computed."""
        kinds: tuple[tuple[Wire, ...], ...] = (
            self.signals, self.conditions, self.causes, self.effects, self.channels, self.analog,
        )  # fmt: skip
        rows = b"".join(row.pack() for kind in kinds for row in kind)
        n_signals, n_conditions, n_causes, n_effects, n_channels, n_analog = map(len, kinds)
        head = Header(
            TABLE_MAGIC, n_signals, n_conditions, n_causes, n_effects, n_channels, n_analog,
            self.digital, self.groups, layout(Header).fixed + len(rows),
        )  # fmt: skip
        return head.pack() + rows

    @classmethod
    def split(cls, data: bytes) -> Table:
        """The rows in these bytes; raises LayoutError if they are not exactly one table."""
        at = layout(Header).fixed
        head = Header.unpack(data[:at])
        if head.magic != TABLE_MAGIC or head.size != len(data):
            raise LayoutError(f"not a table of {len(data)} bytes")

        def take(kind: type[_Row], count: int) -> tuple[_Row, ...]:
            nonlocal at
            step = layout(kind).fixed
            begin, at = at, at + count * step
            return tuple(kind.unpack(data[k : k + step]) for k in range(begin, at, step))

        table = cls(
            take(Signal, head.n_signals), take(Condition, head.n_conditions),
            take(Cause, head.n_causes), take(Effect, head.n_effects),
            take(Channel, head.n_channels), take(AnalogInput, head.n_analog),
            head.n_digital, head.n_groups,
        )  # fmt: skip
        if at != len(data):
            raise LayoutError(f"{len(data)} bytes, not {at}")
        return table
