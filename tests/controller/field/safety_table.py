"""The rows of safety.md, written by hand, and the hands to drive the shipped unit to them.

Units inside are canonical: 10 mbar = 1 kPa, 12 mL/h = 0.2 mL/min.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kernel_bench import Bench, S

from controller.core.signal import Quality, Reason
from controller.field.ring import EventKind
from controller.field.verbs import Verb

BAD = (int(Quality.BAD), int(Reason.DEVICE))
FEED_SHUT = {"feed": 0, "xv201": 0}
PERF_SHUT = {"perfusate": 0, "xv202": 0}
BASE_SHUT = {"base": 0, "xv204": 0}
OUTLETS_SHUT = PERF_SHUT | {"xv203": 0}
MFC_0 = dict.fromkeys(("air", "o2", "co2", "n2"), 0)
HEAT_OFF = {"heater": 0, "km101": 0}
STEP_S = 0.1
Wish = Callable[[Bench], None]


@dataclass(frozen=True)
class Case:
    """`inside` is on the allowed side of the limit, `outside` just beyond; `setup` comes first."""

    row: str
    name: str
    inside: dict[str, float]
    outside: dict[str, float]
    delay_s: float
    outs: dict[str, float]
    phase: str  # H, alarm or none
    phase_delay_s: float = 0.0
    latches: bool = False
    setup: Wish | None = None
    step_s: float = STEP_S
    exact: bool = True  # whether the delay is that of the row alone
    also: tuple[str, ...] = ()  # rows that stand already inside the limit


def set_out(**outs: float) -> Wish:
    def apply(bench: Bench) -> None:
        for name, value in outs.items():
            assert bench.do(Verb.SET_OUTPUT, name, value) is None
        bench.run(6)
    return apply  # fmt: skip


def flag(name: str, value: int = 1) -> Wish:
    def apply(bench: Bench) -> None:
        assert bench.do(Verb.SET_FLAG, name, value) is None
    return apply  # fmt: skip


def both(*steps: Wish) -> Wish:
    return lambda bench: [step(bench) for step in steps] and None


def waste_not_closed(bench: Bench) -> None:
    """The product path is lined up, and the waste valve was told to close but does not say so."""
    bench.follow["XV202_ZSC"] = lambda _: 0.0
    flag("lineup")(bench)


def base_nearly_used_up(bench: Bench) -> None:
    """The batch total is no number of safety.md: 0.01 mL below the profile's own limit."""
    row = next(row for row in bench.profile.model.rows if row.id == "12.total")
    limit_ml = float(row.any[0].split()[2])
    bench.image.signals[bench.profile.index["BASE_TOTAL"]]["value"] = limit_ml / 1000 - 1e-5


def away(bench: Bench, outs: dict[str, float]) -> list[str]:
    """Actuators that are not, to half of their resolution, where they are wanted."""
    model = bench.profile.model.actuators
    return [n for n, v in outs.items() if abs(bench.out(n) - v) > 0.51 * model[n].resolution]


def causes(bench: Bench) -> set[str]:
    return {event.name for event in bench.told(EventKind.CAUSE_ACTIVE)}


CASES = [
    Case("1", "TT101", {"TT101": 38.5, "TT102": 38.3}, {"TT101": 38.51, "TT102": 38.3}, 3,
         HEAT_OFF, "H", latches=True),
    Case("1", "TT102", {"TT102": 38.5, "TT101": 38.3}, {"TT102": 38.51, "TT101": 38.3}, 3,
         HEAT_OFF, "H", latches=True),
    Case("2", "TT103", {"TT103": 45.0}, {"TT103": 45.01}, 3, {"heater": 0}, "alarm"),
    Case("3", "above", {"TT101": 37.69}, {"TT101": 37.71}, 60, {"heater": 30}, "alarm"),
    Case("3", "below", {"TT101": 36.31}, {"TT101": 36.29}, 60, {"heater": 30}, "alarm"),
    Case("5", "PT101", {"PT101": 3.0}, {"PT101": 3.01}, 1, MFC_0, "alarm"),
    Case("6", "PT101", {"PT101": 4.5}, {"PT101": 4.51}, 0.5,
         MFC_0 | FEED_SHUT | BASE_SHUT | {"xv100": 0}, "H", latches=True, also=("5",)),
    Case("7", "level", {"LT101": 2.3}, {"LT101": 2.301}, 5, FEED_SHUT | BASE_SHUT, "H", 600),
    Case("8", "level", {"LT101": 1.7}, {"LT101": 1.699}, 5, PERF_SHUT, "H"),
    Case("10", "level", {"LT101": 0.5}, {"LT101": 0.499}, 10,
         MFC_0 | {"heater": 0, "stirrer": 0}, "H",
         also=("8", "path.perfusate", "permit.heater")),
    Case("11", "pH", {"AT101": 7.5}, {"AT101": 7.501}, 30, BASE_SHUT, "H", 900),
    Case("12.total", "batch total", {"ST_BASE": 0.0001}, {"ST_BASE": 0.19}, 4, BASE_SHUT, "H",
         latches=True, setup=base_nearly_used_up, exact=False),
    Case("12.rate", "rate", {"ST_BASE": 0.2}, {"ST_BASE": 0.2001}, 0, BASE_SHUT, "H",
         latches=True),
    Case("13", "pH", {"AT101": 6.8}, {"AT101": 6.799}, 300, {"co2": 0}, "H", 900),
    Case("14", "base on", {"ST_BASE": 0.0}, {"ST_BASE": 0.05}, 0, BASE_SHUT, "none",
         setup=both(set_out(base=0), set_out(co2=50))),
    Case("14", "CO2 on", {"FT_CO2": 0.0}, {"FT_CO2": 50.0}, 0, BASE_SHUT, "none",
         setup=set_out(base=0.05005)),
    Case("15", "stirrer", {"ST101": 120.0}, {"ST101": 119.9}, 10, BASE_SHUT | {"heater": 20}, "H"),
    Case("16", "DO", {"AT102": 15.0}, {"AT102": 14.99}, 60, {"n2": 0, "air": 100}, "H", 180,
         setup=set_out(air=20)),
    Case("17", "DO", {"AT102": 90.0}, {"AT102": 90.01}, 600, {"o2": 0}, "alarm", step_s=1),
    Case("18.both", "both not closed", {"XV203_ZSC": 1.0}, {"XV203_ZSC": 0.0}, 0,
         OUTLETS_SHUT, "H", latches=True, setup=both(set_out(perfusate=0), waste_not_closed),
         also=("path.perfusate", "phase.no_waste", "p.xv202")),
    Case("18.lineup", "no line-up", {"XV203_ZSC": 1.0}, {"XV203_ZSC": 0.0}, 0,
         OUTLETS_SHUT, "H", latches=True, setup=both(set_out(perfusate=0), set_out(xv202=0)),
         also=("path.perfusate",)),
    Case("19.feed", "valve", {"XV201_ZSO": 1.0}, {"XV201_ZSO": 0.0}, 2, {"feed": 0}, "H"),
    Case("19.perfusate", "valve", {"XV202_ZSO": 1.0}, {"XV202_ZSO": 0.0}, 2, {"perfusate": 0}, "H"),
    Case("19.base", "valve", {"XV204_ZSO": 1.0}, {"XV204_ZSO": 0.0}, 2, {"base": 0}, "H"),
    Case("19.feed_stuck", "stuck", {"ST_FEED": 0.0}, {"ST_FEED": 1.0}, 5, FEED_SHUT, "H",
         latches=True, setup=set_out(feed=0)),
    Case("19.perfusate_stuck", "stuck", {"ST_PERF": 0.0}, {"ST_PERF": 1.0}, 5, PERF_SHUT, "H",
         latches=True, setup=set_out(perfusate=0)),
    Case("19.base_stuck", "stuck", {"ST_BASE": 0.0}, {"ST_BASE": 0.05}, 5, BASE_SHUT, "H",
         latches=True, setup=set_out(base=0, co2=0)),
]  # fmt: skip
WEIGHT = [
    ("7", 2.299, 2.301, 5, FEED_SHUT | BASE_SHUT), ("8", 1.701, 1.699, 5, PERF_SHUT),
    ("10", 0.501, 0.499, 10, MFC_0 | {"heater": 0, "stirrer": 0}),
]  # fmt: skip


def move(bench: Bench, values: dict[str, float]) -> None:
    """Takes tags to new values no faster than their sensors can, and stops their feedback."""
    for tag, value in values.items():
        bench.follow.pop(tag, None)
        now = bench.values[tag]
        model = bench.profile.model.tags[tag]
        rate = float(model.rate.split()[0]) * 0.9 * STEP_S if model.rate else 1e9
        while abs(value - now) > rate:
            now += rate if value > now else -rate
            bench.values[tag] = now
            bench.scan()
        bench.values[tag] = value


def tripped(case: Case, bench: Bench) -> float:
    """Seconds from the first sample beyond the limit to the trip; stops in the tripping scan."""
    move(bench, case.outside)
    bench.scan()
    start = bench.now
    while not bench.stands(case.row):
        assert bench.now - start < (case.delay_s + 10) * S, f"row {case.row} does not trip"
        bench.scan(round(case.step_s * S))
    return (bench.now - start) / S
