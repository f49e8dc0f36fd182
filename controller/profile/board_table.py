"""The rows marked `on_board` of a compiled unit become the table that our I/O board runs.

Out of the same condition, cause and effect rows the kernel executes, so that nothing can mean
something else on the board; times in us instead of ns, signals and effects by the board's numbers.
Of a row's effects those on the board's channels go with it; all others are the kernel's alone. What
the board could not do as the kernel does is refused at its line. Layouts: firmware_bridge/table.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.core.quantity import unit_factor
from controller.core.yamltext import Document, Path_
from controller.profile.device import Point, Write
from controller.profile.plan import EffectOp, SignalKind
from controller.profile.unit import UnitModel
from firmware_bridge import codes
from firmware_bridge import table as rows

NS_PER_US = 1_000
U32_MAX = 0xFFFF_FFFF
GIVEN_AGE_US = 2_000_000
"""How long a computed signal, a flag or an output counts on the board after the host gave it."""
_SOURCES = {"analog": codes.Source.ANALOG, "digital": codes.Source.DIGITAL}


@dataclass(frozen=True, slots=True)
class Compiled:
    """The unit's tables as far as a board needs them; positions are the kernel's indices."""

    document: Document
    model: UnitModel
    signals: Sequence[str]
    signal_rows: Sequence[Mapping[str, Any]]
    conditions: Sequence[Mapping[str, Any]]
    causes: Sequence[Mapping[str, Any]]
    effects: Sequence[Mapping[str, Any]]
    ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Wiring:
    """The board as the unit uses it: points and writes of its device file with what they are."""

    device: str
    points: Sequence[tuple[Point, int]]  # (point, kernel signal or -1)
    writes: Sequence[tuple[str, Write, int, float]]  # (name, write, kernel output or -1, scale)


class BoardTable:
    """Builds the table. `causes[n]` is the kernel's cause of board row n, `given` what the host
    gives, as (board signal, kernel signal)."""

    def __init__(self, unit: Compiled, wiring: Wiring) -> None:
        self._unit, self._wiring = unit, wiring
        self._own = {
            signal: place for point, signal in wiring.points
            if (place := point.place()) and place[0] in _SOURCES and signal >= 0
        }  # fmt: skip
        self._channel = {output: (write, scale) for _, write, output, scale in wiring.writes
                         if output >= 0}  # fmt: skip
        self._place: dict[int, int] = {}
        self._signals: list[rows.Signal] = []
        self._conditions: list[rows.Condition] = []
        self._causes: list[rows.Cause] = []
        self._effects: list[rows.Effect] = []
        self._groups: dict[int, int] = {}
        self.causes: list[int] = []
        self.given: list[tuple[int, int]] = []
        for at, row in enumerate(unit.model.rows):
            if row.on_board:
                self._row(unit.ids.index(row.id), at)

    def table(self) -> rows.Table:
        """The whole table; raises BadInput when the rows are more than a board holds."""
        found = rows.Table(
            tuple(self._signals), tuple(self._conditions), tuple(self._causes),
            tuple(self._effects), self._channels(), self._analog(), self._digital(),
            len(self._groups),
        )  # fmt: skip
        for what, has, limit in (
            ("rows", len(found.causes), codes.CAUSES_MAX),
            ("conditions", len(found.conditions), codes.CONDITIONS_MAX),
            ("effects", len(found.effects), codes.EFFECTS_MAX),
            ("signals", len(found.signals), codes.SIGNALS_MAX),
            ("signals given by the host", len(self.given), codes.GIVEN_MAX),
            ("first-out groups", found.groups, codes.GROUPS_MAX),
        ):
            if has > limit:
                raise self._unit.document.error(
                    f"the rows on {self._wiring.device} need {has} {what}, a board has {limit}",
                    "devices", self._wiring.device,
                    do="Take `on_board` from the rows that the kernel alone may run.",
                )  # fmt: skip
        return found

    # -- rows ---------------------------------------------------------------------------------

    def _row(self, index: int, at: int) -> None:
        unit, row = self._unit, self._unit.model.rows[at]
        cause, path = unit.causes[index], ("rows", at)
        first, first_effect = len(self._conditions), len(self._effects)
        key = next(key for key in ("any", "all", "of") if getattr(row, key))
        for number in range(cause["n_conditions"]):
            self._condition(
                unit.conditions[cause["first_condition"] + number], (*path, key, number)
            )
        for number in range(cause["n_effects"]):
            self._effect(unit.effects[cause["first_effect"] + number], (*path, "then"))
        if len(self._effects) == first_effect:
            raise unit.document.error(
                f"row {row.id} moves nothing on {self._wiring.device}: the board has no use for it",
                *path, "on_board",
            )  # fmt: skip
        valid = cause["valid_flag"]
        self.causes.append(index)
        self._causes.append(rows.Cause(
            kind=cause["kind"], first_condition=first, n_conditions=cause["n_conditions"],
            votes=cause["votes"], on_delay_us=self._us(cause["on_delay_ns"], *path, "delay"),
            bad_delay_us=self._us(cause["bad_delay_ns"], *path, "bad_after"),
            off_delay_us=self._us(cause["off_delay_ns"], *path, "off_delay"),
            valid_signal=self._signal(valid) if valid >= 0 else codes.NONE,
            valid_when=cause["valid_when"], first_effect=first_effect,
            n_effects=len(self._effects) - first_effect, bypassable=cause["bypassable"],
            group=self._groups.setdefault(cause["group"], len(self._groups)),
        ))  # fmt: skip

    def _condition(self, row: Mapping[str, Any], path: Path_) -> None:
        self._conditions.append(rows.Condition(
            signal=self._signal(row["signal"]), op=row["op"], bad=row["bad"], zero=0,
            on_delay_us=self._us(row["on_delay_ns"], *path, "delay"),
            off_delay_us=self._us(row["off_delay_ns"], *path, "off_delay"),
            limit=row["limit"], hysteresis=row["hysteresis"],
        ))  # fmt: skip

    def _effect(self, row: Mapping[str, Any], path: Path_) -> None:
        if row["output"] not in self._channel:
            return
        write, scale = self._channel[row["output"]]
        name = list(self._unit.model.actuators)[row["output"]]
        raw = row["value"] * scale
        if row["op"] != EffectOp.FORCE or raw != round(raw) or not 0 <= raw <= write.raw_max:
            raise self._unit.document.error(
                f"{self._wiring.device} can only force {name} to one of its values: a row with "
                "another effect on it stays with the kernel", *path,
            )  # fmt: skip
        self._effects.append(rows.Effect(write.channel or 0, 0, round(raw)))

    def _signal(self, index: int) -> int:
        """The board's number of a kernel signal: its own input, or given by the host."""
        if index not in self._place:
            self._place[index] = len(self._signals)
            if index in self._own:
                kind, number = self._own[index]
                self._signals.append(rows.Signal(_SOURCES[kind], number, 0, 0))
            else:
                self.given.append((self._place[index], index))
                self._signals.append(rows.Signal(codes.Source.HOST, 0, 0, self._age_us(index)))
        return self._place[index]

    def _age_us(self, index: int) -> int:
        row = self._unit.signal_rows[index]
        if row["kind"] != SignalKind.INPUT:
            return GIVEN_AGE_US
        return self._us(row["max_age_ns"], "tags", self._unit.signals[index], "max_age")

    def _us(self, time_ns: int, *path: str | int) -> int:
        if time_ns % NS_PER_US or time_ns // NS_PER_US > U32_MAX:
            raise self._unit.document.error(
                f"{time_ns * 1e-9:.9g} s: the board counts whole microseconds, at most "
                f"{U32_MAX // 60_000_000} min", *path,
            )  # fmt: skip
        return int(time_ns // NS_PER_US)

    # -- wiring -------------------------------------------------------------------------------

    def _channels(self) -> tuple[rows.Channel, ...]:
        """One row a channel up to the highest; one that nothing uses stays at 0."""
        free = rows.Channel(codes.ChannelKind.DIGITAL, 0, 0, 0, 0, 0, 0, 0, 1)
        by_number = {write.channel or 0: (write, output)
                     for _, write, output, _ in self._wiring.writes}  # fmt: skip
        found = []
        for number in range(max(by_number) + 1):
            if number not in by_number:
                found.append(free)
                continue
            write, output = by_number[number]
            actuators = list(self._unit.model.actuators.values())
            higher = output >= 0 and actuators[output].winner == "higher"
            keep = write.lapse == "keep"
            found.append(rows.Channel(
                kind=codes.ChannelKind.PWM if write.pwm else codes.ChannelKind.DIGITAL,
                keep=int(keep), latch=int(write.latch), retain=int(write.retain),
                higher_wins=int(higher), zero=0, lapse=0 if keep else int(write.lapse or 0),
                start=write.start, lease_ms_max=write.lease_ms,
            ))  # fmt: skip
        return tuple(found)

    def _analog(self) -> tuple[rows.AnalogInput, ...]:
        """In canonical units; the range of the tag, or that of the counts if none is bound."""
        found = {}
        for point, signal in self._wiring.points:
            if point.analog is None or point.raw is None:
                continue
            unit = float(unit_factor(point.unit)[1])
            scale, offset = point.factor * unit, point.offset * unit
            ends = sorted(raw * scale + offset for raw in point.raw)
            if signal >= 0:
                ends = [self._unit.signal_rows[signal][key] for key in ("low", "high")]
            found[point.analog] = rows.AnalogInput(*point.raw, scale, offset, *ends)
        return tuple(found[number] for number in sorted(found))

    def _digital(self) -> int:
        return sum(point.digital is not None for point, _ in self._wiring.points)
