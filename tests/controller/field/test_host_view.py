"""What a board is shown of the image: whole scans, whoever scans or does not."""

from __future__ import annotations

import pytest
from kernel_bench import PERIOD, S, armed

from controller.field.host_view import HostView
from controller.field.ring import LOCK, publish
from controller.field.verbs import Verb


@pytest.fixture
def bench():
    return armed({"any": ["X > 50 %"], "kind": "protect"}, flags=("cells",))


@pytest.fixture
def view(bench):
    found = HostView(bench.profile.plan, bench.image)
    assert found.refresh()
    return found


def row(bench):
    return [next(at for at, cause in enumerate(bench.profile.causes) if cause.row == "r")]


def test_it_shows_the_last_whole_scan_and_not_the_one_under_way(bench, view):
    signal = bench.profile.index["X"]
    bench.values["X"] = 7.0
    bench.scan()
    assert view.given([signal])[0][0] == 0.0
    assert view.refresh()
    value, quality, reason, sample_ns = view.given([signal])[0]
    assert (value, quality, reason, sample_ns) == (7.0, 0, 0, bench.now)
    bench.image.signals["value"][signal] = 9.0
    publish(bench.image.head, LOCK, int(bench.image.head["lock"][0]) + 1)
    assert not view.refresh()
    assert view.given([signal])[0][0] == 7.0


def test_a_reset_and_the_latch_it_took_off_are_seen_together(bench, view):
    cause = row(bench)
    bench.values["X"] = 60.0
    bench.scan()
    bench.values["X"] = 0.0
    bench.scan()
    view.refresh()
    assert (view.resets(cause), view.latched(cause)) == ([0], 1)
    bench.do(Verb.RESET, "r")
    assert (view.resets(cause), view.latched(cause)) == ([0], 1)
    view.refresh()
    assert (view.resets(cause), view.latched(cause)) == ([1], 0)


def test_a_bypass_is_shown_for_as_long_as_it_lasts(bench, view):
    cause = row(bench)
    assert bench.do(Verb.BYPASS, "r", 1.0) is None
    view.refresh()
    assert view.bypassed(cause) == 1
    bench.run(1)
    view.refresh()
    assert view.bypassed(cause) == 0


@pytest.mark.parametrize(("said", "shown"),
                         [(0, 0), (300, 300), (1000, 1000), (-5, 0), (4000, 1000)])  # fmt: skip
def test_the_supervisors_level_is_passed_on_within_its_range(bench, view, said, shown):
    bench.board.annunciate(said)
    view.refresh()
    assert view.annunciate(bench.now) == shown


@pytest.mark.parametrize(("guard", "level"), [(0.0, 200), (1.0, 1000)])
def test_a_silent_supervisor_sounds_only_with_a_batch_open(bench, view, guard, level):
    bench.do(Verb.SET_FLAG, "guard", guard)
    bench.board.annunciate(200)
    view.refresh()
    assert view.annunciate(bench.now + 10 * S) == 200
    assert view.annunciate(bench.now + 10 * S + PERIOD) == level
