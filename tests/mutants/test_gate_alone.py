"""The gate's own numbers, one at a time: where a value goes on the grid, when it may wait."""

from __future__ import annotations

import math
from fractions import Fraction
from types import SimpleNamespace as Row

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.field import gate
from controller.field.image import HEAD, HISTORY
from controller.profile.plan import Mode
from hil_sim.bench.interpreted import as_objects

S = 1_000_000_000
LOW, HIGH = -math.inf, math.inf


def output(**fields):
    """What the image knows of an output at rest at 40."""
    return Row(**{
        "forced": 0, "force": 0.0, "force_cause": 7, "low_bound": LOW, "high_bound": HIGH,
        "low_cause": 8, "high_cause": 9, "released": 40.0, "released_ns": 0, "wanted": 40.0,
        "request": 40.0, "locked": 0, "reassert": 0, "safe": 0, "by_cause": -1, "sequence": 1,
        "adopting": 0,
    } | fields)  # fmt: skip


def limits(**fields):
    return Row(**{
        "low": 0.0, "high": 100.0, "resolution": 0.1, "interval_ns": 5 * S, "rate_max": 0.0,
        "higher_wins": 0, "loop": -1, "signal": 0, "readback": 0, "asked": -1, "safe": 0.0,
    } | fields)  # fmt: skip


def image_of(state, **more):
    """An image of one output, with rings to write to."""
    rings = {"head": as_objects(np.zeros(1, HEAD)), "history": as_objects(np.zeros(8, HISTORY))}
    return Row(outputs=[state], **rings, **more)


def released(state, now_ns=S, modes=(), **of_plan):
    """Releases one output; what left, and None if nothing did."""
    plan = Row(outputs=[limits(**of_plan)])
    image = image_of(state, loops=[Row(mode=mode) for mode in modes])
    before = state.sequence
    gate.release_one(plan, image, 0, now_ns)
    return state.released if state.sequence > before else None


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([(1, 10), (37, 100), (1, 1), (9, 100), (35, 100_000)]),
    st.integers(-40, 40), st.integers(0, 40), st.integers(0, 9), st.integers(0, 9),
    st.integers(0, 1000),
)  # fmt: skip
def test_a_value_goes_to_the_nearest_step_inside_its_limits(step, low, span, off, over, share):
    size = Fraction(*step)
    lowest = low * size + off * size / 10
    highest = max((low + span) * size + over * size / 10, lowest)
    value = lowest + (highest - lowest) * share / 1000
    first, last = math.ceil(lowest / size), math.floor(highest / size)
    found = gate.on_grid(float(value), float(lowest), float(highest), float(size))
    steps = round(found / float(size))
    assert found == pytest.approx(steps * float(size), abs=1e-12)
    if first <= last:
        assert first <= steps <= last
        assert abs(steps - value / size) <= Fraction(1, 2) + Fraction(1, 10**9) or (
            steps in (first, last)
        )
    else:
        assert steps == last  # no step between them: the lower one


@pytest.mark.parametrize(("higher", "low", "high", "want", "found"), [
    (False, LOW, 30.0, 40.0, (30.0, 9)), (False, LOW, 30.0, 30.0, (30.0, -1)),
    (False, 50.0, HIGH, 40.0, (50.0, 8)), (False, 50.0, HIGH, 50.0, (50.0, -1)),
    (False, 50.0, 30.0, 40.0, (30.0, 9)), (True, 50.0, 30.0, 40.0, (50.0, 8)),
    (True, LOW, 30.0, 40.0, (30.0, 9)), (True, 50.0, HIGH, 40.0, (50.0, 8)),
])  # fmt: skip
def test_a_bound_decides_only_beyond_it_and_the_declared_winner_of_two(
    higher, low, high, want, found
):
    image = Row(outputs=[output(low_bound=low, high_bound=high)])
    assert gate.decide(image, 0, want, higher) == found


@pytest.mark.parametrize(("higher", "low", "high", "found"), [
    (False, 50.0, HIGH, (20.0, 7)), (True, 50.0, HIGH, (50.0, 8)),
    (False, LOW, 10.0, (10.0, 9)), (True, LOW, 10.0, (20.0, 7)),
])  # fmt: skip
def test_a_force_gives_way_only_to_the_bound_that_wins_over_it(higher, low, high, found):
    image = Row(outputs=[output(forced=1, force=20.0, low_bound=low, high_bound=high)])
    assert gate.decide(image, 0, 90.0, higher) == found


def test_what_a_row_decides_leaves_at_once_and_what_a_loop_wants_waits_for_its_turn():
    assert released(output(wanted=60.0)) is None
    assert released(output(wanted=60.0), now_ns=5 * S) == 60.0
    assert released(output(wanted=60.0, high_bound=50.0)) == 50.0
    assert released(output(wanted=60.0, forced=1, force=0.0)) == 0.0


@pytest.mark.parametrize(("floor", "at_once"), [(40.05, False), (40.06, True), (40.1, True)])
def test_a_value_beyond_half_a_step_from_where_it_may_stay_does_not_wait(floor, at_once):
    state = output(wanted=60.0, low_bound=floor)
    assert (released(state) is not None) == at_once


@pytest.mark.parametrize(("wanted", "leaves"), [(40.0, False), (40.04, False), (40.06, True)])
def test_less_than_half_a_step_is_no_news(wanted, leaves):
    assert (released(output(wanted=wanted), now_ns=9 * S) is not None) == leaves


def test_half_a_step_itself_is_no_news_and_no_reason_to_hurry():
    assert released(output(released=0.0, wanted=0.5), now_ns=9 * S, resolution=1.0) == 1.0
    state = output(released=0.5, wanted=0.5, high_bound=0.5)
    assert released(state, now_ns=9 * S, resolution=0.25) is None


def test_a_second_element_or_a_new_effect_says_its_value_again_though_it_stands_there():
    assert released(output(reassert=1, forced=1, force=40.0)) == 40.0
    state = output(reassert=1, wanted=60.0, high_bound=50.0, released=10.0)
    assert released(state) == 50.0
    assert (state.by_cause, state.safe, state.reassert) == (9, 1, 0)


def test_what_only_has_to_be_said_again_leaves_as_it_stands_not_as_it_is_wanted():
    state = output(reassert=1, wanted=60.0)
    assert released(state) == 40.0
    assert state.by_cause == -1


def test_said_again_at_the_floor_that_keeps_it_there_it_is_that_row_s():
    state = output(reassert=1, wanted=60.0, low_bound=50.0)
    assert released(state) == 50.0
    assert state.by_cause == 8


@pytest.mark.parametrize(("cause", "wanted", "high", "found"), [
    (0, 60.0, 50.0, 50.0), (3, 60.0, 50.0, 50.0),
])  # fmt: skip
def test_said_again_under_a_ceiling_it_is_the_ceiling_whichever_row_it_is(
    cause, wanted, high, found
):
    state = output(reassert=1, wanted=wanted, high_bound=high, high_cause=cause, released=10.0)
    assert released(state) == found
    assert state.by_cause == cause


def test_a_rate_limits_each_release_to_what_the_time_allows_and_at_least_one_step():
    state = output(wanted=90.0)
    assert released(state, now_ns=10 * S, rate_max=2.0) == pytest.approx(60.0)
    state = output(wanted=0.0)
    assert released(state, now_ns=10 * S, rate_max=2.0) == pytest.approx(20.0)
    state = output(wanted=90.0)
    assert released(state, now_ns=5 * S, rate_max=0.001) == pytest.approx(40.1)


@pytest.mark.parametrize(("loop", "mode", "follows"), [
    (-1, Mode.AUTO, True), (0, Mode.OFF, True), (0, Mode.AUTO, False), (1, Mode.OFF, True),
    (1, Mode.MANUAL, False), (1, Mode.AUTO, False),
])  # fmt: skip
def test_an_output_follows_its_request_only_while_no_loop_drives_it(loop, mode, follows):
    state = output(request=70.0, wanted=55.0, mean_sum=0.0, mean_n=0.0, mean_end_ns=1 << 60)
    plan = Row(outputs=[limits(loop=loop, interval_ns=0)])
    other = Mode.AUTO if mode == Mode.OFF else Mode.OFF
    modes = [mode, other] if loop <= 0 else [other, mode]
    image = image_of(state, loops=[Row(mode=int(each)) for each in modes],
                     signals=[Row(value=0.0)])  # fmt: skip
    gate.release(plan, image, S)
    assert state.released == (70.0 if follows else 55.0)
    assert image.signals[0].value == state.released


@pytest.mark.parametrize("cause", [0, 7])
@pytest.mark.parametrize(("forced", "wanted", "quality", "found", "safe"), [
    (1, math.nan, 2, 20.0, 1), (0, 60.0, 2, 60.0, 0), (0, math.nan, 0, 33.0, 0),
])  # fmt: skip
def test_an_output_is_taken_over_at_what_decides_first(
    forced, wanted, quality, found, safe, cause
):
    state = output(adopting=1, forced=forced, force=20.0, wanted=wanted, released=math.nan,
                   mean_end_ns=0, force_cause=cause)  # fmt: skip
    shown = Row(quality=2, reason=1, value=math.nan)
    asked = Row(value=math.nan)
    image = image_of(state, signals=[shown, Row(quality=quality, value=33.0), asked])
    plan = Row(outputs=[limits(readback=1, asked=2)])
    assert gate.adopt(plan, image, 0, S)
    assert (state.released, state.safe, state.request, asked.value) == (found, safe, found, found)
    assert (shown.quality, shown.reason, state.adopting) == (0, 0, 0)


def test_what_is_asked_is_shown_also_by_the_signal_at_place_0():
    image = Row(outputs=[output()], signals=[Row(value=0.0)])
    gate.ask(Row(outputs=[limits(asked=0)]), image, 0, 70.0)
    assert (image.outputs[0].request, image.signals[0].value) == (70.0, 70.0)


def test_an_output_that_its_device_says_nothing_good_of_is_not_taken_over():
    for quality in (1, 2):
        state = output(adopting=1, wanted=math.nan)
        image = Row(outputs=[state], signals=[Row(), Row(quality=quality, value=33.0)])
        assert not gate.adopt(Row(outputs=[limits(readback=1)]), image, 0, S)
        assert state.adopting == 1
