"""Feedback loops against an independent plain-Python ISA PID, and everything around the formula."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_bench import S, unit

from controller.core.signal import Quality, Reason
from controller.field.ring import EventKind, Why
from controller.field.verbs import Verb

BAD = (int(Quality.BAD), int(Reason.DEVICE))
OFF, MANUAL, AUTO, CASCADE = 0, 1, 2, 3
FINE = {"a": {"resolution": 1e-6}}


def loop(**more):
    base = {"title": "L", "pv": "X", "period": "1 s", "tuning": {"gain": 2, "ti": "20 s"},
            "output": [0, 100], "setpoint": [0, 100],
            "segments": [{"actuator": "a", "demand": [0, 100], "value": [0, 100]}],
            "fallback": {"mean": True, "after": "60 s"}}  # fmt: skip
    return base | more


def loop_unit(values=None, tags=None, actuators=None, rows=(), flags=(), **more):
    bench = unit(values, tags=tags or {"X": {}, "Y": {}}, actuators=actuators or dict(FINE),
                 loops={"L": loop(**more)}, rows=list(rows), flags=flags)  # fmt: skip
    bench.scan(S)
    return bench


def start(bench, sp, op=0.0, mode=AUTO, name="L"):
    """Setpoint and mode; the loop takes over from an actuator at `op`."""
    if op:
        bench.do(Verb.SET_OUTPUT, "a", op)
        bench.scan(S)
    assert bench.do(Verb.SET_SP, name, sp) is None
    assert bench.do(Verb.SET_MODE, name, mode) is None


class IsaPid:
    """u = K (b r - y) + I - D; D filtered by N and on y alone; I by back-calculation.

    Written from Astrom and Hagglund (2006), ch. 3, not from the kernel.
    """

    def __init__(self, k, ti, td, n, b, low, high, tracking):
        self.k, self.ti, self.td, self.n, self.b = k, ti, td, n, b
        self.low, self.high, self.tracking = low, high, tracking
        self.integral = self.derivative = 0.0
        self.last = None

    def begin(self, r, y, u):
        self.integral = u - self.k * (self.b * r - y)
        self.derivative, self.last = 0.0, y

    def step(self, r, y, h):
        if self.td:
            self.derivative = self.td / (self.td + self.n * h) * self.derivative - (
                self.k * self.td * self.n / (self.td + self.n * h) * (y - self.last)
            )
        self.last = y
        v = self.k * (self.b * r - y) + self.integral + self.derivative
        u = min(max(v, self.low), self.high)
        self.integral += self.k * h / self.ti * (r - y) + min(1.0, h / self.tracking) * (u - v)
        return u


@pytest.mark.parametrize("tuning", [
    {"gain": 2, "ti": "20 s"}, {"gain": -1.5, "ti": "30 s"}, {"gain": 2, "ti": "20 s", "beta": 0.4},
    {"gain": 3, "ti": "40 s", "td": "6 s", "n": 8},
])  # fmt: skip
def test_a_step_response_is_that_of_an_independent_isa_pid(tuning):
    sign = math.copysign(1.0, tuning["gain"])
    bench = loop_unit({"X": 30.0}, tuning=tuning)
    start(bench, 30, op=35)
    ti = float(tuning["ti"].split()[0])
    td = float(tuning.get("td", "0 s").split()[0])
    pid = IsaPid(tuning["gain"], ti, td, 8, tuning.get("beta", 1), 0, 100, max(ti / 10, 5))
    pid.begin(30.0, 30.0, bench.out("a"))
    bench.command(Verb.SET_SP, "L", 45)
    y, u = 30.0, bench.out("a")
    for _ in range(300):
        y += (10 + sign * 0.4 * u + (0 if sign > 0 else 30) - y) / 15
        bench.values["X"] = y
        bench.scan(S)
        u = pid.step(45.0, y, 1.0)
        assert bench.out("a") == pytest.approx(u, abs=1e-4)
    assert y == pytest.approx(45 if sign > 0 else y, abs=1.5)


@pytest.mark.parametrize("deadband", [0, 2])
@pytest.mark.parametrize("td", [None, "4 s"])
def test_no_change_of_mode_moves_the_actuator(deadband, td):
    bench = loop_unit({"X": 30.0}, deadband=deadband, tuning={"gain": 3, "ti": "600 s", "td": td})
    bench.do(Verb.SET_OUTPUT, "a", 42)
    bench.do(Verb.SET_SP, "L", 33)
    for mode in (MANUAL, AUTO, MANUAL, AUTO, OFF, AUTO, MANUAL, OFF, OFF):
        before = bench.out("a")
        assert bench.do(Verb.SET_MODE, "L", mode) is None
        assert bench.out("a") == pytest.approx(before, abs=1e-5)
        bench.scan(S)
        # In automatic the error of 3 % may move it by K e h / Ti = 0.015 a second, no more.
        assert bench.out("a") == pytest.approx(before, abs=0.02)


def test_the_derivative_does_not_kick_on_a_setpoint():
    bench = loop_unit({"X": 30.0}, tuning={"gain": 1, "ti": "1000 s", "td": "50 s", "beta": 0})
    start(bench, 30, op=40)
    bench.run(3, S)
    bench.do(Verb.SET_SP, "L", 60)
    bench.scan(S)
    assert bench.out("a") == pytest.approx(40, abs=0.2)


def test_a_forced_output_winds_nothing_up():
    rows = [{"id": "r", "any": ["Y > 50 %"], "then": ["a = 5"]}]
    bench = loop_unit({"X": 30.0}, rows=rows)
    start(bench, 40, op=20)
    bench.values["Y"] = 60.0
    bench.run(1200, S)
    assert bench.out("a") == 5
    bench.values["Y"] = 0.0
    bench.scan(S)
    # Free again: the proportional part and at most a few seconds of the integral above the force.
    assert bench.out("a") <= 5 + 2 * 10 + 5


def test_a_saturated_output_leaves_its_limit_as_soon_as_the_error_turns():
    bench = loop_unit({"X": 0.0})
    start(bench, 50, op=20)
    bench.run(600, S)
    assert bench.out("a") == 100
    bench.values["X"] = 55.0
    bench.run(10, S)
    assert bench.out("a") < 100


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1000, 1000), min_size=5, max_size=40), st.floats(-200, 200))
def test_demand_and_output_stay_inside_their_limits_whatever_comes(values, gain):
    bench = LIMITED
    bench.image.loops["integral"] = 0
    for value in values:
        bench.values["X"] = value
        bench.scan(S)
        assert 10 <= float(bench.image.loops[0]["op"]) <= 60
        assert 10 <= bench.out("a") <= 60


LIMITED = loop_unit({"X": 30.0}, output=[10, 60])
start(LIMITED, 40, op=20)


def test_the_rate_limit_bounds_each_step_and_winds_nothing_up():
    bench = loop_unit({"X": 30.0}, rate="0.5 /s")
    start(bench, 30, op=20)
    bench.do(Verb.SET_SP, "L", 90)
    bench.scan(900_000_000)
    last = bench.out("a")
    for _ in range(60):
        bench.scan(S)
        assert bench.out("a") - last <= 0.5 + 1e-6
        last = bench.out("a")
    bench.values["X"] = 95.0
    bench.run(40, S)
    assert bench.out("a") < last


def test_inside_the_dead_band_noise_moves_nothing():
    bench = loop_unit({"X": 30.0}, deadband=2)
    start(bench, 30, op=20)
    for turn in range(200):
        bench.values["X"] = 30.0 + 1.9 * math.sin(turn)
        bench.scan(S)
        assert bench.out("a") == pytest.approx(20, abs=1e-5)
    bench.values["X"] = 25.0
    bench.run(5, S)
    assert bench.out("a") > 20


def split_unit(**more):
    actuators = {name: {"unit": "mL/min", "range": [0, 300], "resolution": 0.1} for name in "nx"}
    segments = [{"actuator": "n", "demand": [-20, 0], "value": [150, 0]},
                {"actuator": "x", "demand": [0, 40], "value": [0, 300]},
                {"actuator": "a", "demand": [40, 100], "value": [0, 100]}]  # fmt: skip
    return loop_unit({"X": 40.0}, actuators=actuators | dict(FINE), segments=segments,
                     output=[-20, 100], **more)  # fmt: skip


@pytest.mark.parametrize(("demand", "outs"), [
    (-20, (150, 0, 0)), (-10, (75, 0, 0)), (0, (0, 0, 0)), (20, (0, 150, 0)), (40, (0, 300, 0)),
    (70, (0, 300, 50)), (100, (0, 300, 100)),
])  # fmt: skip
def test_a_split_range_gives_each_actuator_its_share_and_takes_over_from_it_without_a_bump(
    demand, outs
):
    bench = split_unit()
    bench.do(Verb.SET_SP, "L", 40)
    bench.do(Verb.SET_MODE, "L", MANUAL)
    assert bench.do(Verb.SET_OP, "L", demand) is None
    bench.run(2, S)
    assert tuple(bench.outs("n", "x", "a").values()) == pytest.approx(outs, abs=0.06)
    bench.do(Verb.SET_MODE, "L", AUTO)
    bench.run(3, S)
    assert tuple(bench.outs("n", "x", "a").values()) == pytest.approx(outs, abs=0.2)


@pytest.mark.parametrize("fallback", [
    {"mean": True}, {"value": 12}, {"other": "Y"},
])  # fmt: skip
def test_a_bad_process_value_holds_the_output_and_then_falls_back_as_declared(fallback):
    bench = loop_unit({"X": 30.0, "Y": 31.0}, fallback={"after": "60 s"} | fallback,
                      tuning={"gain": 2, "ti": "1000 s"})  # fmt: skip
    start(bench, 30, op=40)
    bench.run(700, S)
    bench.do(Verb.SET_SP, "L", 35)
    bench.run(3, S)
    held = bench.out("a")
    assert held > 45
    bench.quality["X"] = BAD
    for _ in range(59):
        bench.scan(S)
        assert bench.out("a") == held
    bench.run(3, S)
    assert len(bench.told(EventKind.FALLBACK, "L")) == 1
    if "mean" in fallback:
        assert bench.out("a") == pytest.approx(40, abs=0.5)
    elif "value" in fallback:
        assert bench.out("a") == pytest.approx(12)
    else:
        assert bench.out("a") == pytest.approx(held, abs=0.1), "no bump onto the other sensor"
        bench.values["Y"] = 20.0
        bench.run(2, S)
        assert bench.out("a") > held + 10, "it controls on the other sensor"
    before = bench.out("a")
    del bench.quality["X"]
    bench.scan(S)
    assert bench.out("a") == pytest.approx(before, abs=0.1), "and no bump back"
    assert len(bench.told(EventKind.RESTORED, "L")) == 1


def test_with_the_other_sensor_bad_too_the_output_stays_where_it_was():
    bench = loop_unit({"X": 30.0, "Y": 31.0}, fallback={"after": "5 s", "other": "Y"})
    start(bench, 30, op=40)
    bench.run(5, S)
    held = bench.out("a")
    bench.quality |= {"X": BAD, "Y": BAD}
    bench.run(100, S)
    assert bench.out("a") == held
    del bench.quality["Y"]
    bench.scan(S)
    bench.scan(S)
    assert bench.out("a") == pytest.approx(held, abs=0.3)


def cascade(rows=()):
    """Master M on Y sets the slave L on X; L heats through a."""
    loops = {
        "M": loop(pv="Y", tuning={"gain": 1, "ti": "100 s"}, output=[10, 80], segments=[],
                  fallback={"value": 30, "after": "60 s"}),
        "L": loop(master="M"),
    }  # fmt: skip
    bench = unit({"X": 30.0, "Y": 30.0}, tags={"X": {}, "Y": {}, "Z": {}}, actuators=dict(FINE),
                 loops=loops, rows=list(rows))  # fmt: skip
    bench.scan(S)
    bench.do(Verb.SET_OUTPUT, "a", 40)
    for name in "ML":
        bench.do(Verb.SET_SP, name, 30)
    assert bench.do(Verb.SET_MODE, "M", AUTO) is None
    assert bench.do(Verb.SET_MODE, "L", CASCADE) is None
    bench.run(5, S)
    return bench


def slave_sp(bench):
    return bench.board.read("L.sp").value


def test_the_slave_follows_its_master_inside_its_own_setpoint_range():
    bench = cascade()
    assert bench.out("a") == pytest.approx(40, abs=1.5)
    bench.values["Y"] = 20.0
    bench.run(2, S)
    assert slave_sp(bench) == pytest.approx(bench.board.read("M.op").value)
    assert slave_sp(bench) > 38


@pytest.mark.parametrize("hindrance", ["forced", "saturated", "bad"])
def test_a_master_does_not_wind_up_while_its_slave_cannot_follow(hindrance):
    bench = cascade([{"id": "r", "any": ["Z > 50 %"], "then": ["a = 0"]}])
    bench.values["Y"] = 25.0
    if hindrance == "forced":
        bench.values["Z"] = 60.0
    elif hindrance == "bad":
        bench.quality["X"] = BAD
    else:
        bench.values["X"] = -20.0
    bench.run(10, S)
    early = bench.board.read("M.op").value
    bench.run(900, S)
    assert bench.board.read("M.op").value <= early + 6, "900 s of integral would be 45"


def test_leaving_and_rejoining_the_cascade_moves_nothing():
    bench = cascade()
    for mode in (AUTO, CASCADE, MANUAL, CASCADE):
        before, sp = bench.out("a"), slave_sp(bench)
        assert bench.do(Verb.SET_MODE, "L", mode) is None
        bench.run(1, S)
        assert bench.out("a") == pytest.approx(before, abs=1.5)
        assert slave_sp(bench) == pytest.approx(sp, abs=0.7)


def test_a_master_that_ran_alone_takes_its_slave_back_where_it_is():
    bench = cascade()
    bench.do(Verb.SET_MODE, "L", AUTO)
    bench.values["Y"] = 25.0
    bench.run(600, S)
    before = slave_sp(bench)
    assert bench.do(Verb.SET_MODE, "L", CASCADE) is None
    bench.run(1, S)
    assert slave_sp(bench) == pytest.approx(before, abs=0.5)


def test_a_master_in_manual_starts_at_what_its_slave_follows_and_back_to_automatic_too():
    bench = cascade()
    sp = slave_sp(bench)
    for mode in (MANUAL, AUTO):
        bench.do(Verb.SET_MODE, "M", mode)
        bench.run(2, S)
        assert slave_sp(bench) == pytest.approx(sp, abs=0.5)


def test_commands_that_would_do_nothing_are_refused_not_applied():
    bench = cascade()
    assert bench.do(Verb.SET_SP, "L", 50) is Why.NOT_POSSIBLE, "its master sets it"
    assert bench.do(Verb.SET_OP, "L", 50) is Why.NOT_POSSIBLE, "it is not in manual"
    assert bench.do(Verb.SET_OUTPUT, "a", 50) is Why.NOT_POSSIBLE, "a loop drives it"
    assert bench.do(Verb.SET_MODE, "M", CASCADE) is Why.NOT_POSSIBLE, "it has no master"
    bench.do(Verb.SET_MODE, "L", MANUAL)
    bench.do(Verb.SET_MODE, "M", OFF)
    assert bench.do(Verb.SET_MODE, "L", CASCADE) is Why.NOT_POSSIBLE, "its master is off"


def test_a_proportional_loop_without_integral_time_stays_finite():
    bench = loop_unit({"X": 30.0}, tuning={"gain": 2, "ti": "0 s"})
    start(bench, 40, op=20)
    bench.run(30, S)
    assert bench.out("a") == pytest.approx(20, abs=25)
    assert math.isfinite(float(bench.image.loops[0]["op"]))


# -- started before anything is known -----------------------------------------------------------


def test_a_loop_started_while_its_process_value_is_unknown_moves_nothing_when_it_comes():
    bench = loop_unit({"X": 50.0})
    bench.do(Verb.SET_OUTPUT, "a", 40.0)
    bench.quality["X"] = BAD
    bench.run(2)
    start(bench, 52.0)
    bench.run(5)
    assert bench.out("a") == 40.0
    bench.quality.pop("X")
    bench.seen.clear()
    bench.run(1)
    assert bench.out("a") == pytest.approx(40.0, abs=0.3)
    assert not [e for e in bench.seen if e.kind is EventKind.RESTORED]
    bench.run(10)
    assert 40.0 < bench.out("a") < 45.0


def test_a_loop_started_blind_falls_back_when_its_value_does_not_come_in_time():
    bench = loop_unit({"X": 50.0})
    bench.quality["X"] = BAD
    bench.run(2)
    start(bench, 52.0)
    bench.run(65)
    assert [e.name for e in bench.seen if e.kind is EventKind.FALLBACK] == ["L"]


def test_a_slave_that_joins_its_master_from_off_starts_where_its_process_value_is():
    bench = cascade()
    for name in "LM":
        assert bench.do(Verb.SET_MODE, name, OFF) is None
    bench.values["X"] = 55.0
    bench.do(Verb.SET_OUTPUT, "a", 30.0)
    bench.run(5, S)
    assert bench.do(Verb.SET_MODE, "M", AUTO) is None
    assert bench.do(Verb.SET_MODE, "L", CASCADE) is None
    bench.run(2, S)
    assert slave_sp(bench) == pytest.approx(55.0, abs=0.7)
    assert bench.out("a") == pytest.approx(30.0, abs=1.5)
