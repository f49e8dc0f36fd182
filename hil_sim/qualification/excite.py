"""How each signal of a rule is moved at the device side, to either side of its limit.

A module because a limit is proved only from outside: by what an instrument shows, a flag a person
set, a line that fell silent. Values are canonical; margins are the nearest that is tested.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from controller.core.errors import BadInput
from hil_sim.plant.plant import CHANNEL_INDEX
from hil_sim.qualification.bench import VIRTUAL, Bench
from hil_sim.qualification.plant_state import (
    G_PER_L,
    ML_PER_REV,
    OUTPUTS,
    STIR_RPM,
    TARE_G,
    channel_of,
)
from hil_sim.qualification.requirements import Condition, Rule

MBAR_PER_KPA = 10.0
# The nearest on either side of a limit that is tested, canonical: above the tag's resolution.
MARGINS = {
    "TT101": 0.1, "TT102": 0.1, "TT103": 0.2, "T_DIFF": 0.06, "PT101": 0.1, "LT101": 0.01,
    "VOL_W": 0.01, "LEVEL": 0.01, "AT101": 0.03, "AT102": 1.0, "STIR_RATIO": 2.0, "ST101": 2.0,
    "ST_FEED": 0.06, "ST_PERF": 0.06, "ST_BASE": 0.0008, "FT_CO2": 0.5,
    "abs(heater - JT101)": 0.3, "abs(feed - ST_FEED)": 0.09, "abs(perfusate - ST_PERF)": 0.09,
    "abs(base - ST_BASE)": 0.002, "abs(air - FT_AIR)": 0.5, "abs(o2 - FT_O2)": 0.5,
    "abs(co2 - FT_CO2)": 0.2, "abs(n2 - FT_N2)": 0.5,
}  # fmt: skip
# An actuator beside what shows what it does; a gas that is told less than the limit shows more.
OFF = re.compile(r"^abs\((\w+) - (\w+)\)$")
SHOWS_MORE = frozenset({"n2"})
UNITS = {"PT101": (MBAR_PER_KPA, "mbar")}
PUMPS = {"ST_FEED": "feed", "ST_PERF": "perfusate", "ST_BASE": "base"}
POINTS = {"T_DIFF": ("TT101", "TT102"), "VOL_W": ("WT101",), "LEVEL": ("LT101", "WT101"),
          "STIR_RATIO": ("ST101",), "BALANCE_10MIN": ("WT101",), "BALANCE_2S": ("WT101",),
          "T_RISE_10MIN": ("TT101",), "T_LOW": ("TT101",)}  # fmt: skip
LINE_UP = "lineup"  # the product line is confirmed: the waste valve is shut by its own row
LAPSE = "IO_LAPSE"  # a board that starts anew has shut its valves
RPM_STEP = 0.1  # the least a pump can turn
POLLED_S = 1.5  # until what a pump does is known
RATE_MARGIN = 0.02  # of 12 mL/h: a pump's speed is counted in pulses


@dataclass(frozen=True, slots=True)
class Excited:
    """One condition and how it is brought about."""

    condition: Condition
    bench: Bench
    stuck: bool = False  # a pump turns by itself, not as it was told

    @property
    def signal(self) -> str:
        """Its signal."""
        return self.condition.signal

    @property
    def analog(self) -> bool:
        """Whether it has a limit that can be approached from both sides."""
        return self.condition.op != "bad" and self.signal in MARGINS

    @property
    def margin(self) -> float:
        """How far from the limit it is tested, canonical."""
        if self.signal == "ST_BASE" and self.condition.limit > 0.1:
            return RATE_MARGIN
        return MARGINS.get(self.signal, 0.0)

    @property
    def sign(self) -> float:
        """+1 when it trips above its limit, -1 below."""
        return -1.0 if self.condition.op == "<" else 1.0

    def words(self, value: float) -> str:
        """A value of its signal as people read it."""
        factor, unit = UNITS.get(self.signal, (1.0, self.condition.unit))
        if self.signal == "ST_BASE" and self.condition.unit == "mL/h":
            factor = 60.0
        return f"{value * factor:.4g} {unit}".strip()

    def at(self, distance: float) -> float:
        """The value so many margins beyond the limit (negative: inside), as it can be had."""
        value = self.condition.limit + self.sign * distance * self.margin
        if self.signal in PUMPS:
            ml = ML_PER_REV[PUMPS[self.signal]]
            return max(RPM_STEP, round(value / ml, 1)) * ml
        return value

    def inside(self) -> int:
        """Just inside its limit; a switch is where it does no harm. Returns when."""
        return self.to(self.at(-1.0)) if self.analog else self._switch(False)

    def beyond(self) -> int:
        """Just beyond its limit; a switch is where it trips. Returns when."""
        return self.to(self.at(1.0)) if self.analog else self._switch(True)

    def to(self, value: float) -> int:
        """Brings the signal to a value, over its limit in one step; returns when it was there."""
        if self.signal in PUMPS:
            return self._turn(PUMPS[self.signal], value)
        off = OFF.match(self.signal)
        if off and off[1] in ML_PER_REV:
            # A pump says what it was told, but for one that is left in its manual mode.
            return self._by_itself(off[1], OUTPUTS[off[1]] - value)
        goal = self._shown_at(value)
        near = self._shown_at(self.condition.limit + 3 * self.margin)
        limit = self._shown_at(self.condition.limit)
        return self.bench.force(
            {name: abs(near[name] - limit[name]) for name in goal}, **goal
        )

    def _shown_at(self, value: float) -> dict[str, float]:
        """What instruments must show for a value of the signal, by channel."""
        name = self.signal
        if name == "T_DIFF":
            return {"TT102": 37.0, "TT101": 37.0 + value}
        if name == "VOL_W":
            return {"WT101": TARE_G + value * G_PER_L}
        if name == "LEVEL":
            return {"LT101": value}
        if name == "STIR_RATIO":
            return {"ST_STIRRER": value / 100.0 * STIR_RPM}
        if off := OFF.match(name):
            output, tag = off.groups()
            shown = OUTPUTS[output] + (value if output in SHOWS_MORE else -value)
            return {channel_of(tag): shown}
        return {channel_of(name): value * UNITS.get(name, (1.0, ""))[0]}

    def _turn(self, pump: str, value: float) -> int:
        """The pump turns at a rate: told so at the desk, or by itself."""
        bench = self.bench
        if self.stuck:
            at_ns = self._by_itself(pump, value)
            if value <= self.condition.limit:
                bench.wait(POLLED_S)
            return at_ns
        bench.answer("set_output", pump, f"{value:.6g}")
        bench.until(lambda: abs(bench.at_device(pump) - value) < 0.5 * RPM_STEP * ML_PER_REV[pump],
                    6.0, 0.1)  # fmt: skip
        at_ns = bench.now_ns
        if value <= self.condition.limit:
            bench.wait(POLLED_S)
        return at_ns

    def _by_itself(self, pump: str, value: float) -> int:
        rpm = value / ML_PER_REV[pump]
        return self.bench.hurt("pump_stuck_on", rpm >= RPM_STEP, pump=pump, rpm=rpm)

    def _switch(self, wanted: bool) -> int:
        bench, name = self.bench, self.signal
        at_ns = bench.now_ns
        if self.condition.op == "bad":
            return bench.spoil(name, wanted)
        if name.endswith(".age"):
            return self._silent(name.removesuffix(".age"), wanted)
        if name == LAPSE:
            return bench.hurt("io_reset", wanted)
        high = wanted == (self.condition.op == ">")
        if off := OFF.match(name):
            told = OUTPUTS[off[1]] > 0.5
            return bench.force(**{channel_of(off[2]): float(told != high)})
        if name in bench.profile.model.flags:
            if name == LINE_UP and high:
                # As the recipe has it: or the waste valve would close against a pump that turns.
                bench.answer("set_output", "perfusate", "0")
                bench.until(lambda: bench.at_device("perfusate") < 1e-3, 8.0)
                bench.wait(POLLED_S)
                at_ns = bench.now_ns
            result, why = bench.answer("set_flag", name, str(int(high)), "qualification")
            if result != "applied":
                raise BadInput(f"flag {name} was not set: {result} {why}")
            return at_ns
        if name in bench.profile.model.actuators:
            bench.answer("set_output", name, f"{OUTPUTS[name]:g}" if high else "0")
            return at_ns
        if channel_of(name) in CHANNEL_INDEX:
            return bench.force(**{channel_of(name): float(high)})
        raise BadInput(f"nobody knows how to move {name}")

    def _silent(self, link: str, on: bool) -> int:
        if link == "skid":
            return self.bench.hurt("server_frozen", on)
        return self.bench.hurt("line_silent", on, link=link)

    @property
    def points(self) -> tuple[str, ...]:
        """The measured points whose quality the condition depends on; empty if nobody spoils it."""
        name = self.signal
        if name in POINTS:
            return POINTS[name]
        if off := OFF.match(name):
            name = off[2]
        if name.endswith(".age") or name in self.bench.profile.model.flags:
            return ()
        return (name,) if name in self.bench.profile.model.tags else ()


def excited(bench: Bench, rule: Rule) -> list[Excited]:
    """The conditions of a rule on a bench.

    A pump that no permit lets start against a closed line turns by itself, or it would not turn.
    """
    stuck = rule.row.startswith("19.") or rule.row == "12.rate"
    return [Excited(condition, bench, stuck) for condition in rule.conditions]


def slack_s(bench: Bench, item: Excited) -> float:
    """By how much a trip may seem early: a silent line's age began at its last answer."""
    if item.signal.endswith(".age"):
        return 1.2
    return 0.15 if bench.fidelity == VIRTUAL else 0.3
