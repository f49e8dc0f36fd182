"""Effects and the gate: what leaves when commands, permits, forces and bounds disagree."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_bench import S, unit

from controller.core.signal import Quality, Reason
from controller.field.ring import EventKind
from controller.field.verbs import Verb

RESOLUTION, LOW, HIGH = 0.9, -2.0, 60.0
BAD = (int(Quality.BAD), int(Reason.DEVICE))
WISHES = ["a = -2", "a = 7", "a = 33.3", "a <= 40", "a <= 12.5", "a <= 0.1", "a >= 5", "a >= 20",
          "a >= 59.5", "a = mean"]  # fmt: skip


def contest(winner, **more):
    """One actuator and a row for every wish, each switched by a flag of its own."""
    flags = [f"f{at}" for at in range(len(WISHES))]
    rows = [{"id": f"r{at}", "any": [f"f{at} > 0.5"], "then": [wish]}
            for at, wish in enumerate(WISHES)]  # fmt: skip
    actuator = {"unit": "mL/min", "range": [LOW, HIGH], "resolution": RESOLUTION, "start": 1.8,
                "safe": -2, "winner": winner} | more  # fmt: skip
    return unit(actuators={"a": actuator}, rows=rows, flags=flags)


BENCHES = {winner: contest(winner) for winner in ("lower", "higher")}
CONTESTS = st.lists(
    st.tuples(st.sets(st.integers(0, len(WISHES) - 1), max_size=4), st.floats(LOW, HIGH)),
    min_size=1, max_size=4,
)  # fmt: skip


def model(winner, wishes, request, mean):
    """The value that must win, before the device's resolution: safety.md's rule in five lines."""
    numbers = [(w.split()[1], mean if w.endswith("mean") else float(w.split()[2])) for w in wishes]
    forces = [v for op, v in numbers if op == "="]
    most = min([v for op, v in numbers if op == "<="], default=math.inf)
    least = max([v for op, v in numbers if op == ">="], default=-math.inf)
    if winner == "lower":
        return min(min(forces), most) if forces else min(max(request, least), most)
    return max(max(forces), least) if forces else max(min(request, most), least)


@pytest.mark.parametrize("winner", ["lower", "higher"])
@settings(max_examples=120, deadline=None)
@given(contests=CONTESTS)
def test_what_is_released_is_the_declared_winner_inside_the_range_and_on_the_grid(winner, contests):
    bench = BENCHES[winner]
    for chosen, request in contests:
        for at in range(len(WISHES)):
            bench.command(Verb.SET_FLAG, f"f{at}", float(at in chosen))
        bench.command(Verb.SET_OUTPUT, "a", request)
        mean = WISHES.index("a = mean")
        bench.scan()
        bench.scan()
        state = bench.image.effects[mean]
        wishes = [WISHES[at] for at in chosen]
        wanted = model(winner, wishes, request, float(state["mean"]))
        released = bench.out("a")
        assert LOW - 1e-9 <= released <= HIGH + 1e-9
        assert abs(released / RESOLUTION - round(released / RESOLUTION)) < 1e-6
        assert abs(released - min(max(wanted, LOW), HIGH)) <= RESOLUTION + 1e-9
        numbers = [(w.split()[1], float(w.split()[2])) for w in wishes if "mean" not in w]
        if winner == "lower":
            assert all(released <= v + 1e-9 for op, v in numbers if op == "<=")
        else:
            assert all(released >= v - 1e-9 for op, v in numbers if op == ">=" and v <= 59.4)


@pytest.mark.parametrize("seed", range(3))
def test_a_rate_limited_actuator_never_moves_faster_and_never_beyond_a_bound(seed):
    rows = [{"id": "r", "any": ["f > 0.5"], "then": ["a <= 30"]}]
    actuator = {"unit": "mL/min", "range": [0, 60], "resolution": 0.5, "rate": "2 /s"}
    bench = unit(actuators={"a": actuator}, rows=rows, flags=["f"])
    bench.scan()
    wanted = [50.0, 10.0, 55.0][seed]
    bench.do(Verb.SET_OUTPUT, "a", wanted)
    last, start = bench.out("a"), bench.now
    for turn in range(400):
        if turn == 150:
            bench.command(Verb.SET_FLAG, "f", 1.0)
        bench.scan()
        out = bench.out("a")
        if turn > 150:
            assert out <= 30
        if turn != 150:
            assert abs(out - last) <= 2 * (bench.now - start) / S + 0.5
        last = out
    assert last == min(wanted, 30)


def test_a_bound_that_does_not_bind_moves_nothing_even_on_a_rate_limited_actuator():
    rows = [{"id": "r", "any": ["f > 0.5"], "then": ["a <= 59"]}]
    actuator = {"unit": "mL/min", "range": [0, 60], "resolution": 0.5, "rate": "0.1 /s"}
    bench = unit(actuators={"a": actuator}, rows=rows, flags=["f"])
    bench.scan()
    bench.command(Verb.SET_OUTPUT, "a", 50)
    bench.run(5)
    before = bench.out("a")
    bench.do(Verb.SET_FLAG, "f", 1)
    assert abs(bench.out("a") - before) <= 0.5


def test_values_leave_at_the_write_class_and_a_forced_one_at_once_and_first():
    bench = unit(actuators={"a": {"every": "5 s"}}, rows=[
        {"id": "r", "any": ["X > 50 %"], "then": ["a = 0"]}])  # fmt: skip
    bench.run(6)
    bench.do(Verb.SET_OUTPUT, "a", 40)
    assert bench.out("a") == 40
    count = bench.sequence("a")
    for request in range(41, 50):
        bench.do(Verb.SET_OUTPUT, "a", request)
    assert bench.sequence("a") == count
    assert not bench.marked_safe("a")
    bench.values["X"] = 60.0
    bench.scan()
    assert (bench.out("a"), bench.sequence("a"), bench.marked_safe("a")) == (0, count + 1, True)


def test_an_effect_on_an_actuator_that_is_there_already_is_written_again():
    bench = unit(rows=[{"id": "r", "any": ["X > 50 %"], "then": ["a = 0"]}])
    bench.run(1)
    count = bench.sequence("a")
    bench.values["X"] = 60.0
    bench.scan()
    assert bench.sequence("a") == count + 1
    assert bench.marked_safe("a")


def test_the_first_value_of_every_actuator_is_its_start_value():
    actuators = {"a": {"start": 12.5, "safe": 0}, "b": {"start": 0, "safe": 0}}
    bench = unit(actuators=actuators)
    assert (bench.out("a"), bench.sequence("a"), bench.marked_safe("a")) == (12.5, 1, True)
    bench.scan()
    assert bench.outs("a", "b") == {"a": 12.5, "b": 0.0}


def test_a_permit_blocks_leaving_the_safe_position_and_stops_nothing_that_runs():
    permits = [{"id": "p", "title": "p", "any": ["X > 50 %"], "then": ["a = 0"]}]
    bench = unit(permits=permits)
    bench.values["X"] = 60.0
    bench.scan()
    bench.do(Verb.SET_OUTPUT, "a", 40)
    bench.run(5)
    assert bench.out("a") == 0
    bench.values["X"] = 40.0
    bench.scan()
    assert bench.out("a") == 40
    bench.values["X"] = 60.0
    bench.run(5)
    assert bench.out("a") == 40, "it runs: a permit is no interlock"
    bench.do(Verb.SET_OUTPUT, "a", 0)
    bench.do(Verb.SET_OUTPUT, "a", 40)
    assert bench.out("a") == 0


def test_a_bad_signal_withdraws_a_permit_at_once():
    permits = [{"id": "p", "title": "p", "any": ["X > 50 %"], "then": ["a = 0"], "bad": "trip"}]
    bench = unit(permits=permits)
    bench.scan()
    bench.quality["X"] = BAD
    bench.command(Verb.SET_OUTPUT, "a", 40)
    bench.run(5)
    assert bench.out("a") == 0


def protected(**follow):
    """Actuator a, proven by X, whose second final element is b."""
    actuators = {"a": {"proof": "X < 2 %", "second": "b = 0"}, "b": {}}
    rows = [{"id": "r", "kind": "protect", "any": ["Y > 50 %"], "then": ["a = 0"]},
            {"id": "i", "kind": "interlock", "any": ["Z > 50 %"], "then": ["a = 0"]}]  # fmt: skip
    bench = unit(tags={"X": {}, "Y": {}, "Z": {}}, actuators=actuators, rows=rows, follow=follow)
    bench.scan()
    bench.command(Verb.SET_OUTPUT, "b", 10)
    bench.do(Verb.SET_OUTPUT, "a", 40)
    bench.run(3)
    return bench


def test_an_effect_confirmed_by_its_feedback_leaves_the_second_element_alone():
    bench = protected(X=lambda bench: bench.out("a"))
    bench.values["Y"] = 60.0
    bench.run(10)
    assert bench.outs("a", "b") == {"a": 0, "b": 10}
    assert [e.name for e in bench.told(EventKind.CONFIRMED)] == ["r a"]


def test_an_effect_not_confirmed_within_two_seconds_escalates_to_the_second_element():
    bench = protected(X=lambda _: 40.0)
    bench.values["Y"] = 60.0
    bench.scan()
    for _ in range(20):
        bench.scan()
        assert bench.out("b") == 10
    count = bench.sequence("b")
    bench.scan()
    assert bench.out("b") == 0
    assert bench.marked_safe("b")
    assert bench.sequence("b") == count + 1
    assert [e.name for e in bench.told(EventKind.NOT_CONFIRMED)] == ["r a"]


def test_a_sample_from_before_the_effect_confirms_nothing():
    bench = protected()
    bench.push("X", 0.0)
    bench.scan()
    for _ in range(15):
        bench.push("X", 0.0, sample_ns=bench.now)
        bench.scan()
    frozen = bench.now
    bench.values["Y"] = 60.0
    for _ in range(25):
        bench.push("X", 0.0, sample_ns=frozen - 1)
        bench.scan()
    assert bench.out("b") == 0
    assert not bench.told(EventKind.CONFIRMED)


def test_bad_feedback_confirms_nothing():
    bench = protected(X=lambda bench: bench.out("a"))
    bench.quality["X"] = BAD
    bench.values["Y"] = 60.0
    bench.run(3)
    assert bench.out("b") == 0


def test_feedback_that_leaves_the_safe_value_later_escalates_too():
    bench = protected(X=lambda bench: bench.out("a"))
    bench.values["Y"] = 60.0
    bench.run(30)
    assert bench.out("b") == 10
    bench.follow["X"] = lambda _: 40.0
    bench.run(2.5)
    assert bench.out("b") == 0


def test_an_interlock_not_confirmed_says_so_and_leaves_the_second_element_alone():
    bench = protected(X=lambda _: 40.0)
    bench.values["Z"] = 60.0
    bench.run(5)
    assert bench.outs("a", "b") == {"a": 0, "b": 10}
    assert [e.name for e in bench.told(EventKind.NOT_CONFIRMED)] == ["i a"]


def test_the_second_element_stays_after_a_late_confirmation_and_starts_nothing_at_the_reset():
    bench = protected(X=lambda _: 40.0)
    bench.values["Y"] = 60.0
    bench.run(3)
    bench.follow["X"] = lambda bench: bench.out("a")
    bench.run(3)
    assert bench.out("b") == 0
    bench.values["Y"] = 0.0
    bench.scan()
    assert bench.do(Verb.RESET, "r") is None
    bench.run(10)
    assert bench.outs("a", "b") == {"a": 0, "b": 0}


def stuck_unit():
    blocks = {"SPREAD": {"unit": "%", "spread": {"of": "X", "over": "30 min", "until_full": 100}}}
    rows = [{"id": "bad", "any": ["X is bad"], "delay": "5 s", "then": ["a = mean"]}]
    plausible = [{"id": "still", "title": "still", "signal": "X", "window": "30 min",
                  "all": ["SPREAD < 0.05 %"]}]  # fmt: skip
    return unit({"X": 40.0}, rows=rows, blocks=blocks, plausibility=plausible)


def test_a_stuck_signal_becomes_bad_and_its_row_takes_the_mean_from_before_it_stuck():
    bench = stuck_unit()
    bench.scan()
    bench.do(Verb.SET_OUTPUT, "a", 30)
    for turn in range(1200):
        bench.values["X"] = 40.0 + turn % 2
        bench.scan(S)
    bench.do(Verb.SET_OUTPUT, "a", 90)
    bench.run(29 * 60, S)
    assert bench.board.read("X").good
    assert bench.out("a") == 90
    bench.run(120, S)
    assert bench.board.read("X").reason is Reason.STUCK
    assert bench.out("a") == pytest.approx(30, abs=0.1)
    assert [e.name for e in bench.told(EventKind.QUALITY)][-1] == "X"


def test_a_stuck_signal_stays_bad_until_it_is_reset_and_only_then_lives_again():
    bench = stuck_unit()
    bench.run(31 * 60, S)
    assert bench.board.read("X").quality is Quality.BAD
    for turn in range(60):
        bench.values["X"] = 40.0 + turn
        bench.scan(S)
    assert bench.board.read("X").quality is Quality.BAD
    assert bench.do(Verb.RESET, "still") is None
    bench.scan()
    assert bench.board.read("X").good


def test_the_history_names_the_cause_that_decided_the_value_and_no_other():
    rows = [{"id": "low", "any": ["f > 0.5"], "then": ["a >= 50"]},
            {"id": "off", "any": ["g > 0.5"], "then": ["a = 0"]},
            {"id": "cap", "any": ["g > 0.5"], "then": ["a <= 99"]}]  # fmt: skip
    bench = unit(rows=rows, flags=["f", "g"])
    found = []
    bench.board.history_done = lambda rows: None
    for verb, target, value in ((Verb.SET_OUTPUT, "a", 80), (Verb.SET_FLAG, "f", 1),
                                (Verb.SET_OUTPUT, "a", 70), (Verb.SET_OUTPUT, "a", 20),
                                (Verb.SET_FLAG, "g", 1)):  # fmt: skip
        bench.do(verb, target, value)
    for row in bench.board.history():
        cause = bench.profile.causes[row["cause"]].row if row["cause"] >= 0 else ""
        found.append((float(row["value"]), cause))
    assert found == [(80, ""), (80, ""), (70, ""), (50, "low"), (0, "off")]
