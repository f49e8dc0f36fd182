"""The engine on small recipes: steps, timers, prompts, hold, abort, recovery, and its cost."""

from __future__ import annotations

from itertools import pairwise

import pytest
from recipe_bench import HEAD, VARIABLES, Desk, P, desk, offer_of, recipe_of

from controller.core.clock import NS_PER_S
from controller.core.errors import Refused
from controller.core.events import Event
from controller.core.signal import Reading
from controller.recipe.decision import Command
from controller.recipe.engine import Inputs, Order

FILL = """
      - text: Open
        set: {xv201: open, feed: 25 mL/min}
      - text: Wait
        wait: VOL > 1 L
        timeout: 1 h
        on_timeout: hold
      - text: Stop
        set: {feed: 0 mL/min}
"""


def test_a_recipe_runs_from_start_to_complete() -> None:
    bench = desk(FILL, VOL=0.2)
    assert bench.sent() == [("set_output", "xv201", 1.0), ("set_output", "feed", 25.0)]
    bench.go(10)
    assert len(bench.commands) == 2
    bench.readings["VOL"] = 1.01
    bench.go(1)
    assert bench.sent()[-1] == ("set_output", "feed", 0.0)
    assert [bench.state_of(path) for path in ("small", "u", "u/o", P)] == ["Complete"] * 4
    states = [event.data["state"] for event in bench.records if event.name == "batch.state"]
    assert states == ["Running", "Complete"]


def test_a_step_is_on_record_before_its_commands_and_the_next_step_after_them() -> None:
    bench = desk(FILL, VOL=2.0)
    line = [
        item.target if isinstance(item, Command) else item.data["index"]
        for item in bench.log
        if isinstance(item, Command) or item.name == "step.started"
    ]
    assert line == [0, "xv201", "feed", 1, 2, "feed"]


def test_a_hundred_trivial_steps_take_fewer_than_a_hundred_ticks_and_none_is_lost() -> None:
    steps = "".join(f"      - {{text: N, set: {{mark: {n}}}}}\n" for n in range(100))
    bench = desk(steps, others="")
    bench.go(2)
    assert bench.state_of("small") == "Complete"
    values = [event.data["new"] for event in bench.records if event.name == "variable.set"]
    assert values == [str(number) for number in range(100)]


def test_a_time_stands_still_while_held_and_is_on_record() -> None:
    bench = desk("      - {text: Hold it, for: 10 min}\n", others="")
    bench.go(240)
    bench.order("hold")
    assert bench.state_of("small") == bench.state_of(P) == "Held"
    timer = next(event for event in bench.records if event.name == "step.timer")
    assert timer.data == {"path": P, "index": 0, "elapsed_s": "240"}
    bench.go(3600)
    bench.order("restart")
    bench.go(359)
    assert bench.state_of(P) == "Running"
    bench.go(1)
    assert bench.state_of(P) == "Complete"


@pytest.mark.parametrize(
    ("action", "batch", "alarms"),
    [("alarm", "Running", 2), ("hold", "Held", 1), ("abort", "Aborted", 1),
     ("continue", "Complete", 1)],
)  # fmt: skip
def test_a_wait_that_is_overdue_does_what_its_author_said(
    action: str, batch: str, alarms: int
) -> None:
    bench = desk(
        f"      - {{text: W, wait: VOL > 1 L, timeout: 1 h, on_timeout: {action}}}\n", VOL=0.0
    )
    bench.go(3599)
    assert bench.names().count("step.timeout") == 0
    bench.go(3601)
    assert bench.state_of("small") == batch
    assert bench.names().count("step.timeout") == alarms


def test_a_wait_that_was_held_for_being_late_gets_its_time_again_after_restart() -> None:
    bench = desk(FILL, VOL=0.2)
    bench.go(3600)
    assert bench.state_of("small") == "Held"
    bench.order("restart")
    bench.go(3599)
    assert bench.state_of("small") == "Running"
    bench.go(1)
    assert bench.state_of("small") == "Held"


def test_an_unknown_reading_is_never_a_met_condition() -> None:
    bench = desk(FILL, VOL=0.2)
    bench.bad.add("VOL")
    bench.readings["VOL"] = 5.0
    bench.go(60)
    assert bench.state_of(P) == "Running"
    bench.bad.clear()
    bench.go(1)
    assert bench.state_of(P) == "Complete"


def test_a_band_must_hold_without_a_break_and_a_bad_signal_breaks_it() -> None:
    bench = desk(
        "      - {text: Band, wait: 'held(TT101 within 36.5..37.5 degC, 30 min)', timeout: 9 h}\n",
        others="", TT101=37.0,
    )  # fmt: skip
    bench.go(1000)
    bench.bad.add("TT101")
    bench.go(1)
    bench.bad.clear()
    bench.go(1)
    bench.go(1799)
    assert bench.state_of(P) == "Running"
    bench.go(1)
    assert bench.state_of(P) == "Complete"
    marks = [event.data["holds"] for event in bench.records if event.name == "step.condition"]
    assert marks == [True, False, True]


def test_a_false_when_skips_a_step_and_an_unknown_one_does_not() -> None:
    text = "      - {text: S, when: mark == 1, set: {vcd: 1 /mL}}\n"
    bench = desk("      - {text: M, set: {mark: 0}}\n" + text, others="")
    assert "step.skipped" in bench.names()
    assert "vcd" not in bench.state.variables
    bench = desk(text, others="")
    assert "vcd" in bench.state.variables


def test_an_unknown_value_holds_the_batch_and_restart_tries_again() -> None:
    bench = desk(
        "      - {text: W, for: 5 s}\n      - {text: S, set: {feed: 10 mL/min * VOL / 1 L}}\n",
        VOL=2.0,
    )
    bench.bad.add("VOL")
    bench.go(5)
    assert bench.state_of("small") == "Held"
    assert not [command for command in bench.commands if command.verb == "set_output"]
    cause = next(event for event in bench.records if event.name == "unit.hold").data["cause"]
    assert "feed is unknown" in cause
    bench.bad.clear()
    bench.order("restart")
    assert ("set_output", "feed", 20.0) in bench.sent()
    assert bench.state_of("small") == "Complete"


FOLLOW = """
      - text: Start
        set: {vcd: 1e6 /mL}
      - text: Follow
        follow: {feed: "2 L * 80 pL/cell/d * vcd"}
        every: 10 min
        until: VOL > 3 L
        timeout: 9 h
"""


def test_a_followed_rate_is_set_at_its_times_and_ends_with_its_condition() -> None:
    bench = desk(FOLLOW, VOL=1.0)
    bench.go(1800)
    rates = [value for verb, target, value in bench.sent() if target == "feed"]
    assert rates == [pytest.approx(160 / 1440, rel=1e-5)] * 4
    bench.readings["VOL"] = 3.5
    bench.go(10)
    assert bench.state_of(P) == "Complete"


def test_a_followed_rate_changes_at_most_twofold_at_a_time() -> None:
    bench = desk(FOLLOW, VOL=1.0)
    bench.record("variable.set", name="vcd", old="1", new="10", unit="1e6/mL", source="test")
    bench.go(1800)
    rates = [float(value) for verb, target, value in bench.sent() if target == "feed"]
    steps = [after / before for before, after in pairwise(rates)]
    assert steps == [pytest.approx(2.0, rel=1e-5)] * 3
    bench.record("variable.set", name="vcd", old="10", new="0.1", unit="1e6/mL", source="test")
    bench.go(600)
    last = [float(value) for verb, target, value in bench.sent() if target == "feed"][-1]
    assert last == pytest.approx(rates[-1] / 2, rel=1e-5)


def test_a_followed_rate_keeps_its_last_value_while_its_input_is_unknown() -> None:
    bench = desk(FOLLOW.replace("* vcd", "* vcd * (VOL / 1 L)"), VOL=1.0)
    bench.bad.add("VOL")
    bench.go(3600)
    assert len([1 for verb, target, value in bench.sent() if target == "feed"]) == 1
    assert bench.names().count("step.unknown") == 1
    assert bench.state_of(P) == "Running"


def test_hold_runs_the_holding_logic_and_restart_comes_back_to_the_same_step() -> None:
    bench = desk(FILL, VOL=0.2, others="""
    holding:
      - {text: Shut, set: {feed: 0 mL/min, xv201: closed}}
    restarting:
      - {text: Open, set: {xv201: open, feed: 25 mL/min}}
    aborting:
      - {text: Shut, set: {feed: 0 mL/min, xv201: closed}}
""")  # fmt: skip
    before = len(bench.commands)
    bench.order("hold")
    assert bench.sent()[before:] == [
        ("set_flag", "unit_held", True), ("set_output", "feed", 0.0), ("set_output", "xv201", 0.0),
    ]  # fmt: skip
    held = next(event for event in bench.records if event.name == "unit.hold")
    assert held.actor == "anna"
    before = len(bench.commands)
    bench.order("restart")
    assert bench.sent()[before:] == [
        ("set_flag", "unit_held", False), ("set_output", "xv201", 1.0),
        ("set_output", "feed", 25.0),
    ]  # fmt: skip
    bench.readings["VOL"] = 2.0
    bench.go(1)
    assert bench.state_of(P) == "Complete"


SLOW_HOLD = """
    holding:
      - {text: First, set: {feed: 0 mL/min}}
      - {text: Then wait, for: 1 min}
    aborting:
      - {text: Shut, set: {feed: 0 mL/min, xv201: closed}}
"""


def test_a_further_cause_restarts_the_holding_logic_and_the_same_cause_does_not() -> None:
    bench = desk(FILL, VOL=0.2, others=SLOW_HOLD)
    bench.protect("hold", "row 1")
    bench.go(30)
    assert bench.state_of(P) == "Holding"
    count = len(bench.commands)
    bench.protect("hold", "row 1")
    assert len(bench.commands) == count
    bench.protect("hold", "row 9")
    assert bench.sent()[count:] == [("set_output", "feed", 0.0)]
    bench.go(59)
    assert bench.state_of(P) == "Holding"
    bench.go(1)
    assert bench.state_of("small") == "Held"
    bench.protect("hold", "row 12")
    assert bench.state_of("small") == "Holding"


@pytest.mark.parametrize(("verb", "end"), [("abort", "Aborted"), ("stop", "Stopped")])
@pytest.mark.parametrize("when", ["running", "holding", "held"])
def test_stop_and_abort_shut_the_liquids_and_leave_the_environment(
    verb: str, end: str, when: str
) -> None:
    bench = desk(FILL, VOL=0.2, others=SLOW_HOLD)
    if when != "running":
        bench.order("hold")
    if when == "held":
        bench.go(60)
    count = len(bench.commands)
    bench.order(verb)
    assert [bench.state_of(path) for path in ("small", "u", "u/o", P)] == [end] * 4
    outputs = [item for item in bench.sent()[count:] if item[0] != "set_flag"]
    assert outputs == [("set_output", "feed", 0.0), ("set_output", "xv201", 0.0)]
    assert not bench.state.runs
    assert not bench.state.prompts


def test_an_illegal_order_is_refused_on_record_and_nothing_else_happens() -> None:
    bench = desk(FILL, VOL=0.2)
    before, count = bench.state, len(bench.records)
    bench.order("restart")
    assert bench.state is before
    refused = bench.records[count:]
    assert [event.name for event in refused] == ["command.refused"]
    assert "restart is not possible while Running" in refused[0].data["why"]
    with pytest.raises(Refused):
        bench.engine.check_order(bench.state, "start")
    bench.engine.check_order(bench.state, "hold")


def test_a_request_of_a_row_after_the_end_changes_nothing() -> None:
    bench = desk(FILL, VOL=2.0)
    count = len(bench.records)
    bench.protect("hold", "row 1")
    bench.protect("abort", "row 1")
    assert len(bench.records) == count


def test_after_a_crash_the_commands_of_the_present_step_are_given_once_more() -> None:
    bench = desk(FILL, VOL=0.2)
    cut = next(
        place for place, item in enumerate(bench.log)
        if isinstance(item, Event) and item.name == "step.started"
    )  # fmt: skip
    again = Desk(bench.recipe, {"VOL": 0.2})
    for item in bench.log[: cut + 1]:
        if isinstance(item, Event):
            again.state = again.engine.evolve(again.state, item)
    again.record("batch.attached", gap_s="3", state="Running")
    again.tick()
    assert again.sent() == [
        ("set_flag", "unit_held", False),
        ("set_output", "xv201", 1.0), ("set_output", "feed", 25.0),
    ]  # fmt: skip
    assert again.engine.positions(again.state)[0].index == 1


def test_a_batch_taken_up_in_hold_stays_held_until_a_person_restarts_it() -> None:
    bench = desk(FILL, VOL=0.2)
    bench.order("hold")
    bench.record("batch.attached", gap_s="60", state="Held")
    count = len(bench.commands)
    bench.go(5)
    assert bench.sent()[count:] == [("set_flag", "unit_held", True)]
    assert bench.state_of("small") == "Held"


def test_branches_run_side_by_side_and_join() -> None:
    offer = offer_of(f"{VARIABLES}\nphases:\n  - id: p\n    parameters:\n"
                     "      time: {dimension: time, low: 1 s, high: 1 h, default: 1 min}\n"
                     "    running:\n      - {text: T, for: time}\n")  # fmt: skip
    recipe = recipe_of(
        HEAD + "        branches:\n"
        "          - [{phase: a, use: p}, {phase: b, use: p}]\n"
        "          - [{phase: c, use: p, with: {time: 90 s}}]\n", offer,
    )  # fmt: skip
    bench = Desk(recipe)
    bench.order("start")
    assert sorted(bench.state.runs) == ["u/o/a", "u/o/c"]
    bench.go(60)
    assert sorted(bench.state.runs) == ["u/o/b", "u/o/c"]
    bench.go(30)
    assert sorted(bench.state.runs) == ["u/o/b"]
    bench.order("hold")
    assert bench.state_of("u/o") == "Held"
    bench.order("restart")
    bench.go(30)
    assert bench.state_of("small") == "Complete"


def test_a_waiting_batch_is_not_looked_at_before_its_time() -> None:
    bench = desk(FILL.replace("timeout: 1 h", "timeout: 1 h\n        every: 30 s"), VOL=0.2)
    looks: list[str] = []

    def read(tag: str) -> Reading:
        looks.append(tag)
        return bench.read(tag)

    inputs = Inputs(read)
    for _ in range(300):
        bench.clock.advance_to(bench.clock.now_ns + NS_PER_S)
        decision = bench.engine.decide(bench.state, inputs, bench.clock.stamp())
        assert not decision.records
    assert len(looks) == 10
    order = Inputs(read, orders=(Order("hold", "anna"),))
    assert bench.engine.decide(bench.state, order, bench.clock.stamp()).records
