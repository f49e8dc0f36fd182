"""What a device file says of our I/O board: its inputs, its channels, and what a channel does when
nobody renews its lease.

A module because these keys have their own sense: every input and channel has a number on the
board, and safety.md's column for a lost field or link stands here, beside the wiring.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from controller.core.quantity import canonical
from firmware_bridge.codes import ANALOG_MAX, CHANNELS_MAX, DIGITAL_MAX, PWM_CHANNEL, PWM_MAX

LEASE_MS_MAX = 65_535
RAW_MAX = 65_535


class BoardPoint(BaseModel):
    """Of a point: an analog or digital input, what a channel does, or whether one has lapsed.

    Analog: value = raw * `factor` + `offset` in the point's unit; outside the raw counts `raw` the
    loop is broken or at fault. `lapse` is 1 for a moment when a channel that latches has lapsed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    analog: int | None = Field(default=None, ge=0, lt=ANALOG_MAX)
    digital: int | None = Field(default=None, ge=0, lt=DIGITAL_MAX)
    driven: int | None = Field(default=None, ge=0, lt=CHANNELS_MAX)
    lapse: bool = False
    raw: tuple[int, int] | None = None
    offset: float = 0.0

    def place(self) -> tuple[str, int] | None:
        """(kind, number) of a point of the board; None unless exactly one is given."""
        given = [(kind, number) for kind, number in (
            ("analog", self.analog), ("digital", self.digital), ("driven", self.driven),
            ("lapse", 0 if self.lapse else None)) if number is not None]  # fmt: skip
        return given[0] if len(given) == 1 else None


class BoardWrite(BaseModel):
    """Of a write: its channel, the longest lease, and what the channel does when that runs out.

    `lapse` and `start` are raw values: 0 or 1, or per mille of the PWM channel; `keep` leaves the
    channel where it is. `latch`: after a lapse it takes only that value until somebody clears it.
    `retain`: over a reset of the board it comes up as it was. The annunciator follows the standing
    alarms, no command.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    channel: int | None = Field(default=None, ge=0, lt=CHANNELS_MAX)
    lease: str = ""
    lapse: int | Literal["keep"] | None = None
    latch: bool = False
    retain: bool = False
    start: int = 0
    annunciator: bool = False

    @property
    def pwm(self) -> bool:
        """Whether its values are per mille."""
        return self.channel == PWM_CHANNEL

    @property
    def raw_max(self) -> int:
        """Its highest raw value."""
        return PWM_MAX if self.pwm else 1

    @property
    def lease_ms(self) -> int:
        """The longest lease in ms; raises ValueError for what is none."""
        value = round(canonical(self.lease, "time") * 1e3)
        if not 1 <= value <= LEASE_MS_MAX:
            raise ValueError(f"a lease of {self.lease!r} is not 1 ms to {LEASE_MS_MAX} ms")
        return value


def check_board(
    is_board: bool, points: Mapping[str, BoardPoint], writes: Mapping[str, BoardWrite]
) -> None:
    """Raises ValueError for keys of the board at another device, or a board that is not whole."""
    if not is_board:
        keys = {*BoardPoint.model_fields, *BoardWrite.model_fields}
        for name, item in (*points.items(), *writes.items()):
            found = sorted(keys & item.model_fields_set)
            if found:
                raise ValueError(f"{name}: {found[0]} belongs to a device with protocol: bridge")
        return
    for name, point in points.items():
        _check_point(name, point, writes)
    places = [point.place() for point in points.values()]
    if len(set(places)) != len(places):
        raise ValueError("two points are the same input or channel")
    channels = [write.channel for write in writes.values()]
    if len(set(channels)) != len(channels):
        raise ValueError("two writes are the same channel")
    if sum(write.annunciator for write in writes.values()) > 1:
        raise ValueError("a board has one annunciator")
    for kind in ("analog", "digital"):
        _check_numbers(kind, [place[1] for place in places if place and place[0] == kind])
    for name, write in writes.items():
        _check_write(name, write)


def _check_point(name: str, point: BoardPoint, writes: Mapping[str, BoardWrite]) -> None:
    place = point.place()
    if place is None:
        raise ValueError(f"point {name}: give exactly one of analog, digital, driven, lapse")
    if (place[0] == "analog") != (point.raw is not None):
        raise ValueError(f"point {name}: `raw` is the range of counts of an analog input")
    if point.raw is not None and not 0 <= point.raw[0] < point.raw[1] <= RAW_MAX:
        raise ValueError(f"point {name}: {point.raw} is no range of counts 0 to {RAW_MAX}")
    if not math.isfinite(point.offset) or (point.offset and place[0] != "analog"):
        raise ValueError(f"point {name}: only an analog input has an offset, a finite one")
    if place[0] == "driven" and place[1] not in {write.channel for write in writes.values()}:
        raise ValueError(f"point {name}: no write has channel {place[1]}")


def _check_numbers(kind: str, numbers: Iterable[int]) -> None:
    found = sorted(numbers)
    if found != list(range(len(found))):
        raise ValueError(f"{kind} inputs are numbered from 0 without gaps, not {found}")


def _check_write(name: str, write: BoardWrite) -> None:
    if write.channel is None or write.lapse is None:
        raise ValueError(f"write {name}: a channel of the board needs `channel`, `lease`, `lapse`")
    for key, value in (("lapse", write.lapse), ("start", write.start)):
        if value != "keep" and not 0 <= int(value) <= write.raw_max:
            raise ValueError(f"write {name}: {key} {value} is not 0 to {write.raw_max}")
    if write.retain and write.lapse != "keep":
        raise ValueError(f"write {name}: what lapses to a value cannot be retained over a reset")
    if write.annunciator and not write.pwm:
        raise ValueError(f"write {name}: the annunciator is the PWM channel, {PWM_CHANNEL}")
    try:
        write.lease_ms  # noqa: B018
    except ValueError as error:
        raise ValueError(f"write {name}: {error}") from None
