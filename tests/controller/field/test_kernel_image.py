"""The image, its rings and the cost in memory: what a scan may never do, and who may attach."""

from __future__ import annotations

import mmap
from itertools import pairwise

import numpy as np
import pytest
from kernel_bench import (
    BENCH_DEVICES,
    MS,
    PERIOD,
    Bench,
    S,
    compile_text,
    shipped,
    shipped_profile,
    unit,
    unit_text,
)
from numba import njit
from numba.core.runtime import _nrt_python, rtsys

from controller.core.errors import BadInput
from controller.core.signal import Quality, Reason
from controller.field import image as layout
from controller.field.board import Board
from controller.field.kernel import initialise_at, scan_at
from controller.field.ring import EventKind, InputRing
from controller.field.verbs import Verb
from controller.field.views import Bound


@njit
def wasteful(size):
    """What a scan must not do."""
    return np.zeros(size).sum()


@pytest.fixture
def counted():
    """numba's allocation counters, switched on."""
    _nrt_python.memsys_enable_stats()
    yield rtsys
    _nrt_python.memsys_disable_stats()


@njit
def many(handles, now_ns, count):
    """Scans as the field does, without Python in between."""
    for _ in range(count):
        now_ns += PERIOD
        scan_at(handles, now_ns)
    return now_ns


def test_ten_thousand_scans_with_trips_loops_and_losses_allocate_nothing(counted):
    bench = shipped()
    for name, mode in (("TIC101", 2), ("TIC103", 3), ("DIC101", 2), ("AIC101", 2)):
        bench.do(Verb.SET_MODE, name, mode)
    bench.now = many(bench.bound.handles, bench.now, 1)
    spent, eventful = [], 0
    for turn in range(200):
        if turn % 20 < 15:
            bench.values["PT101"] = 4.0 if turn % 4 < 2 else 1.0
            bench.sample()
        before = counted.get_allocation_stats()
        bench.now = many(bench.bound.handles, bench.now, 1 if turn % 2 else 99)
        after = counted.get_allocation_stats()
        spent.append(after.alloc - before.alloc)
        eventful += len(bench.board.drain())
        bench.board.events_done()
    assert set(spent) == {1}, "one for the call from Python, none for 1 or 99 scans"
    before = counted.get_allocation_stats()
    wasteful(3)
    assert counted.get_allocation_stats().alloc > before.alloc, "the counter counts"
    assert bench.board.lost()[0] == 0
    assert eventful > 1000


def test_a_full_event_ring_loses_the_newest_counts_them_and_keeps_the_order():
    bench = unit(rows=[{"id": "r", "any": ["X > 50 %"], "then": ["a = 0"]}])
    for turn in range(5000):
        bench.now += PERIOD
        bench.values["X"] = 60.0 if turn % 2 else 40.0
        bench.sample()
        scan_at(bench.bound.handles, bench.now)
    events = bench.board.drain()
    lost = bench.board.lost()[0]
    assert len(events) == layout.EVENT_CAPACITY
    # One quality, 2,500 trips of two events each, 2,499 ends of them.
    assert len(events) + lost == 1 + 2 * 2500 + 2499
    assert all(a.scan <= b.scan for a, b in pairwise(events))
    assert bench.out("a") == 0, "the interlock acts whether anybody reads or not"


def test_an_event_place_is_used_again_only_once_its_record_is_durable():
    bench = unit()
    bench.now += PERIOD
    bench.sample()
    scan_at(bench.bound.handles, bench.now)
    first = bench.board.drain()
    assert first
    again = Board(bench.image, bench.profile.index)
    assert again.drain() == first, "a supervisor that died before the record sees them again"
    again.events_done()
    assert Board(bench.image, bench.profile.index).drain() == []


def test_a_full_history_ring_is_counted_and_the_oldest_are_kept():
    bench = unit()
    bench.board.history_done = lambda rows: None
    bench.image.head["history_head"] = layout.HISTORY_CAPACITY - 3
    for value in range(10):
        bench.do(Verb.SET_OUTPUT, "a", 10 + value)
    assert bench.board.history_waiting() == layout.HISTORY_CAPACITY
    assert bench.board.lost()[1] == 7
    assert list(bench.board.history()["value"][-3:]) == [10, 11, 12]


def test_a_full_input_ring_refuses_the_newest_sample_counts_it_and_the_next_scan_empties_it():
    bench = unit()
    ring = InputRing(bench.image, 0)
    x = bench.profile.index["X"]
    taken = [ring.push(x, 20.0, 0, 0, bench.now) for _ in range(layout.INPUT_CAPACITY + 5)]
    assert taken.count(False) == 5
    assert bench.board.lost()[2] == 5
    bench.quiet.add("X")
    bench.scan()
    assert ring.push(x, 21.0, 0, 0, bench.now)
    bench.scan()
    assert bench.board.read("X").value == 21.0


@pytest.mark.parametrize("point", [-1, 10_000])
def test_a_sample_of_a_point_that_is_no_input_changes_nothing(point):
    bench = unit()
    bench.scan()
    before = bench.image.signals["value"].copy()
    for target in (point, bench.profile.index["a"], bench.profile.index["held"]):
        InputRing(bench.image, 0).push(target, 77.0, 0, 0, bench.now)
    bench.quiet.add("X")
    scan_at(bench.bound.handles, bench.now)
    assert (bench.image.signals["value"] == before).all()


def test_at_cold_start_every_measured_signal_is_bad_because_it_was_never_read():
    bench = Bench(compile_text(unit_text()))
    reading = bench.board.read("X")
    assert (reading.quality, reading.reason) == (Quality.BAD, Reason.NEVER_READ)
    bench.scan(MS)
    assert bench.board.read("X").quality is Quality.BAD


def test_a_lost_link_gives_its_age_and_takes_the_quality_of_every_tag_on_it():
    bench = shipped()
    bench.silent.add("probe_bus")
    bench.run(3.2)
    assert bench.board.read("probe_bus.age").value == pytest.approx(3.2, abs=0.11)
    for tag in ("AT101", "AT102", "TT102"):
        assert bench.board.read(tag).reason is Reason.TOO_OLD
    assert bench.board.read("TT101").good


# -- blocks --------------------------------------------------------------------------------------

BLOCKS = {
    "LIN": {"unit": "%", "linear": {"of": "X", "gain": 2, "offset": -5}},
    "DIF": {"unit": "%", "difference": ["X", "Y"]},
    "ABS": {"unit": "%", "absolute_difference": ["X", "Y"]},
    "RAT": {"unit": "%", "ratio": ["X", "Y"], "above": 20},
    "ELS": {"unit": "%", "otherwise": ["X", "Y"]},
    "SUM": {"unit": "%", "sum": {"X": 1, "Y": -0.5}},
    "TOT": {"unit": "%", "total": {"of": "X", "gain": 0.5}},
    "RIS": {"unit": "%", "rise": {"of": "X", "over": "2 s"}},
    "LOW": {"unit": "%", "lowest": {"of": "X", "over": "2 s"}},
    "SPR": {"unit": "%", "spread": {"of": "X", "over": "2 s", "until_full": 99}},
    "LAG": {"unit": "%", "lag": {"of": "X", "time": "5 s"}},
}  # fmt: skip


def block_unit(**values):
    bench = unit(values, tags={"X": {}, "Y": {}}, blocks=BLOCKS)
    bench.scan()
    return bench


def test_blocks_compute_what_they_are_called():
    bench = block_unit(X=30.0, Y=50.0)
    read = {name: bench.board.read(name).value for name in BLOCKS}
    assert read | {"TOT": 0} == {
        "LIN": 55, "DIF": -20, "ABS": 20, "RAT": 60, "ELS": 30, "SUM": 5, "TOT": 0, "RIS": 0,
        "LOW": 30, "SPR": 99, "LAG": 30,
    }  # fmt: skip
    total = read["TOT"]
    bench.run(10)
    assert bench.board.read("TOT").value - total == pytest.approx(0.5 * 30 * 10)
    bench.values["X"] = 40.0
    bench.run(5)
    assert bench.board.read("LAG").value == pytest.approx(40 - 10 * np.exp(-1), abs=0.15)
    assert bench.board.read("SPR").value == 0
    bench.values |= {"X": 10.0, "Y": 19.0}
    bench.run(1.5)
    read = {name: bench.board.read(name).value for name in BLOCKS}
    assert (read["RIS"], read["LOW"], read["SPR"], read["RAT"]) == (-30, 10, 30, 100)


def test_a_window_forgets_what_is_older_than_it():
    bench = block_unit(X=30.0, Y=50.0)
    bench.values["X"] = 5.0
    bench.run(0.5)
    bench.values["X"] = 30.0
    bench.run(1.4)
    assert bench.board.read("LOW").value == 5
    bench.run(0.8)
    assert bench.board.read("LOW").value == 30


def test_a_block_is_bad_with_a_bad_operand_and_uncertain_with_an_uncertain_one():
    bench = block_unit(X=30.0, Y=50.0)
    bench.quality["X"] = (int(Quality.UNCERTAIN), int(Reason.DEVICE))
    bench.scan()
    assert {bench.board.read(name).quality for name in BLOCKS} == {Quality.UNCERTAIN}
    bench.quality["X"] = (int(Quality.BAD), int(Reason.DEVICE))
    bench.scan()
    found = {name: bench.board.read(name) for name in BLOCKS}
    substitute = found.pop("ELS")
    assert {r.reason for r in found.values()} == {Reason.OPERAND}
    assert (substitute.value, substitute.reason) == (50, Reason.SUBSTITUTED)
    bench.quality["Y"] = bench.quality["X"]
    bench.scan()
    assert bench.board.read("ELS").quality is Quality.BAD


# -- attach --------------------------------------------------------------------------------------


def mapped(profile):
    return mmap.mmap(-1, layout.size(profile.plan))


def buffered(profile):
    return bytearray(layout.size(profile.plan))


@pytest.mark.parametrize("make", [mapped, buffered])
def test_an_image_lives_in_any_buffer_and_another_program_attaches_to_it(make):
    profile = shipped_profile()
    buffer = make(profile)
    owner = layout.create(profile.plan, S, generation=3, buffer=buffer)
    bound = Bound(profile.plan, owner)
    initialise_at(bound.handles, S)
    scan_at(bound.handles, 2 * S)
    other = layout.attach(profile.plan, buffer)
    assert int(other.head["generation"][0]) == 3
    assert int(other.head["scan"][0]) == 1
    Board(other, profile.index).command(1, int(Verb.SET_OUTPUT), 0, 12.0, 9 * S)
    scan_at(bound.handles, 3 * S)
    kinds = [e.kind for e in Board(other, profile.index).drain()]
    assert EventKind.APPLIED in kinds


def test_attaching_is_refused_for_another_plan_another_version_or_a_short_buffer():
    profile = compile_text(unit_text())
    other = compile_text(unit_text(rows=[{"id": "r", "any": ["X > 50 %"], "then": ["a = 0"]}]))
    buffer = bytearray(layout.size(other.plan))
    layout.create(profile.plan, 0, buffer=buffer)
    assert layout.attach(profile.plan, buffer).head["now_ns"][0] == 0
    with pytest.raises(BadInput, match="another"):
        layout.attach(other.plan, buffer)
    with pytest.raises(BadInput, match="small"):
        layout.attach(profile.plan, buffer[:100])
    with pytest.raises(BadInput, match="bytes"):
        layout.create(profile.plan, 0, buffer=bytearray(100))
    image = layout.attach(profile.plan, buffer)
    image.head["version"] = layout.VERSION + 1
    with pytest.raises(BadInput, match="version"):
        layout.attach(profile.plan, buffer)
    with pytest.raises(BadInput, match="version"):
        layout.attach(profile.plan, bytearray(layout.size(profile.plan)))


def test_one_changed_limit_makes_another_plan():
    rows = [{"id": "r", "any": ["X > 50 %"], "then": ["a = 0"]}]
    one = compile_text(unit_text(rows=rows))
    same = compile_text(unit_text(rows=rows))
    other = compile_text(unit_text(rows=[rows[0] | {"any": ["X > 50.001 %"]}]))
    assert one.plan_digest == same.plan_digest != other.plan_digest
    assert BENCH_DEVICES.is_dir()
