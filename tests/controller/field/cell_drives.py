"""How each condition of a requirement is brought to the last value that must not trip it on the
wire, and to the first that must.

Limits come from docs/requirements, never from the profile. What a value becomes on its line is the
device's business: a double of the skid, a float of a probe, a tenth of a gram or of a turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from wire_rig import WireRig

from hil_sim.plant.plant import CHANNEL_INDEX
from hil_sim.qualification.plant_state import G_PER_L, ML_PER_REV, STIR_RPM, TARE_G, channel_of
from hil_sim.qualification.requirements import Condition, Rule

Do = Callable[[WireRig], None]
PUMP_TAGS = {"ST_FEED": "feed", "ST_PERF": "perfusate", "ST_BASE": "base"}
PUMP_MAX = {"feed": 60.0, "perfusate": 60.0, "base": 0.175}  # what may be asked of each, mL/min
TOLD_S = 8.0  # a pump is written every 5 s
SPOILED = {"PT101", "AT101", "AT102"}
SEVERAL = 4  # steps beyond a limit that other conditions of a row stand while one is driven


@dataclass(frozen=True)
class Drive:
    """One way to one condition. `to(rig, n)` brings it n steps beyond its limit: 1 is the first
    value that must trip, 0 the last that must not, -1 one further inside. Switches have only two.
    """

    condition: Condition
    how: str
    to: Callable[[WireRig, int], None]
    steps: bool = False
    # One hysteresis inside the limit: 1 is the last value at which the cause stands, 0 is gone.
    back: Callable[[WireRig, float, int], None] | None = None

    def inside(self, rig: WireRig) -> None:
        self.to(rig, 0)

    def beyond(self, rig: WireRig) -> None:
        self.to(rig, 1)

    def seen(self, rig: WireRig) -> bool:
        """Whether the field has it beyond its limit, as the requirement reads."""
        value, op = rig.value(self.condition.signal), self.condition.op
        if op == "bad":
            return math.isnan(value)
        return value > self.condition.limit if op == ">" else value < self.condition.limit


# -- what a line can carry ----------------------------------------------------------------------


def double(value: float, up: bool) -> float:
    """The next double."""
    return math.nextafter(value, math.inf if up else -math.inf)


def single(value: float, up: bool) -> float:
    """The next float of four bytes."""
    return float(np.nextafter(np.float32(value), np.float32(math.inf if up else -math.inf)))


def tenth(value: float, up: bool) -> float:
    """The next tenth."""
    return (round(value * 10) + (1 if up else -1)) / 10


def billionth(value: float, up: bool) -> float:
    """A billionth of 1: what is left of a double once it was converted."""
    return value + (1e-9 if up else -1e-9)


Grid = Callable[[float, bool], float]
# Signal: channel, what it shows for a canonical value and back, and what its line can carry.
Shown = tuple[str, Callable[[float], float], Callable[[float], float], Grid]


def same(value: float) -> float:
    """As it is."""
    return value


ANALOG: dict[str, list[Shown]] = {
    "TT101": [("TT101", same, same, double)], "TT103": [("TT103", same, same, double)],
    "TT102": [("TT102", same, same, single)],
    "LT101": [("LT101", same, same, double)], "LEVEL": [("LT101", same, same, double)],
    "PT101": [("PT101", lambda kpa: 10 * kpa, lambda mbar: mbar / 10, billionth)],
    "AT101": [("AT101", same, same, single)], "AT102": [("AT102", same, same, single)],
    "ST101": [("ST_STIRRER", same, same, double)],
    "STIR_RATIO": [("ST_STIRRER", lambda pct: pct / 100 * STIR_RPM,
                    lambda rpm: 100 * rpm / STIR_RPM, double)],
    "VOL_W": [("WT101", lambda litres: TARE_G + litres * G_PER_L,
               lambda grams: (grams - TARE_G) / G_PER_L, tenth)],
    "T_DIFF": [("TT101", lambda k: 37.0 + k, lambda t: abs(t - 37.0), double),
               ("TT101", lambda k: 37.0 - k, lambda t: abs(t - 37.0), double)],
    "FT_CO2": [("FT_CO2", same, same, tenth)],
}  # fmt: skip


def edge(condition: Condition, limit: float, shown: Shown) -> Callable[[int], float]:
    """What an instrument shows n steps beyond a limit; 1 is the first value beyond it."""
    _, show, read, grid = shown
    beyond = (lambda x: read(x) > limit) if condition.op == ">" else (lambda x: read(x) < limit)
    rises = show(limit + 1e-3) > show(limit)
    outwards = rises == (condition.op == ">")
    value = show(limit)
    if grid is tenth:
        value = round(value, 1)
    elif grid is single:
        value = float(np.float32(value))
    while beyond(value):
        value = grid(value, not outwards)
    while not beyond(grid(value, outwards)):
        value = grid(value, outwards)

    def at(n: int) -> float:
        found = value
        for _ in range(abs(n)):
            found = grid(found, outwards == (n > 0))
        return found

    return at


def analog(condition: Condition) -> list[Drive]:
    """An instrument, from each side a value can come."""
    found = []
    for shown in ANALOG[condition.signal]:
        channel, at = shown[0], edge(condition, condition.limit, shown)

        def to(rig: WireRig, n: int, channel: str = channel,
               at: Callable[[int], float] = at) -> None:  # fmt: skip
            if abs(rig.shown.get(channel, math.inf) - at(0)) > 1e-3:
                rig.ramp(**{channel: at(-1)})
                rig.run(2)  # every poll has seen it
            rig.show(**{channel: at(n)})

        def back(rig: WireRig, hysteresis: float, n: int, shown: Shown = shown) -> None:
            sign = -1.0 if condition.op == ">" else 1.0
            inner = edge(condition, condition.limit + sign * hysteresis, shown)
            if n:
                rig.ramp(**{shown[0]: inner(2)})
                rig.run(2)
            rig.show(**{shown[0]: inner(n)})

        found.append(Drive(condition, f"{channel} {at(0):.10g} to {at(1):.10g}", to, True, back))
    return found


# -- pumps, switches, lines ---------------------------------------------------------------------


def pump(condition: Condition, stuck: bool) -> list[Drive]:
    """A pump's speed in tenths of a turn: told so, or by itself where nobody may ask for it."""
    name = PUMP_TAGS[condition.signal]
    ml = ML_PER_REV[name]
    tenths = math.floor(condition.limit / ml * 10 + 1e-9)  # the last speed that is not above
    sign = 1 if condition.op == ">" else -1
    first = tenths if condition.op == ">" else math.ceil(condition.limit / ml * 10 - 1e-9)
    by_itself = stuck or condition.limit > PUMP_MAX[name]

    def to(rig: WireRig, n: int) -> None:
        rpm = (first + sign * n) / 10
        if by_itself and rpm == 0.0:
            rig.want(name, 0.0)
            rig.until(lambda: rig.drive(name) == 0.0, TOLD_S)
        elif by_itself:
            rig.field.set_fault("pump_stuck_on", True, pump=name, rpm=max(rpm, 0.1))
        else:
            rig.want(name, rpm * ml)
            rig.until(lambda: abs(rig.drive(name) - rpm * ml) < 1e-9, TOLD_S)
        if n < 1:
            rig.run(2.5)  # until it was read back

    return [Drive(condition, f"{first / 10:g} to {(first + sign) / 10:g} rpm", to, not by_itself)]


def contact(condition: Condition) -> list[Drive]:
    """A valve's contact."""
    channel = channel_of(condition.signal)
    high = condition.op == ">"

    def to(rig: WireRig, n: int) -> None:
        rig.show(**{channel: float(high == (n > 0))})
        if n < 1:
            rig.run(1.5)

    return [Drive(condition, f"{channel} {int(not high)} to {int(high)}", to)]


def flag(condition: Condition) -> list[Drive]:
    """What a person or a recipe set."""
    high = condition.op == ">"
    return [Drive(condition, f"{condition.signal} {int(not high)} to {int(high)}",
                  lambda rig, n: rig.flag(condition.signal, float(high == (n > 0))))]  # fmt: skip


def requested(condition: Condition) -> list[Drive]:
    """What a pump was told last: one step of it beside the limit."""
    name = condition.signal
    low = condition.op == "<"
    size = ML_PER_REV[name] / 10
    values = (size, 0.0) if low else (0.0, size)

    def to(rig: WireRig, n: int) -> None:
        rig.want(name, values[min(max(n, 0), 1)])
        rig.until(lambda: abs(rig.value(name) - values[min(max(n, 0), 1)]) < 1e-9, TOLD_S)
        if n < 1:
            rig.run(2.5)

    return [Drive(condition, f"{name} {values[0]:g} to {values[1]:g}", to)]


def silence(condition: Condition) -> list[Drive]:
    """A line, or the supervisor, says nothing for too long; almost too long is half of it."""
    who = condition.signal.removesuffix(".age")

    def quiet(rig: WireRig, on: bool) -> None:
        if who == "supervisor":
            rig.beating = not on
        elif who == "skid":
            rig.field.set_fault("skid_killed", on)
        else:
            rig.field.set_fault("line_silent", on, link=who)

    def to(rig: WireRig, n: int) -> None:
        quiet(rig, True)
        if n < 1:
            rig.run(condition.limit / 2)
            quiet(rig, False)
            rig.run(1)

    return [Drive(condition, f"{who} silent for {condition.limit:g} s", to)]


def spoiled(condition: Condition) -> list[Drive]:
    """The device says that its value is not valid."""

    def to(rig: WireRig, n: int) -> None:
        rig.field.set_fault("bad_quality", n > 0, point=condition.signal)
        if n < 1:
            rig.run(1.5)

    return [Drive(condition, f"{condition.signal} bad", to)]


def drives_of(rule: Rule, condition: Condition, flags: set[str], outputs: set[str]) -> list[Drive]:
    """Every way to a condition; none when nobody knows one."""
    name = condition.signal
    if condition.op == "bad":
        return spoiled(condition) if name in SPOILED else []
    if name.endswith(".age"):
        return silence(condition)
    if name in PUMP_TAGS:
        # Not told: what a permit keeps at 0 cannot be told to turn a little faster.
        return pump(condition, rule.row.startswith("19."))
    if name in ANALOG:
        return analog(condition)
    if name in flags:
        return flag(condition)
    if name in outputs and name in ML_PER_REV:
        return requested(condition)
    if name.endswith(("_ZSO", "_ZSC")) and channel_of(name) in CHANNEL_INDEX:
        return contact(condition)
    return []
