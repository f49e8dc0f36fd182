"""The rows about a start with a batch open and about a silent supervisor, on the shipped unit."""

from __future__ import annotations

import pytest
from kernel_bench import RUNNING, S, restarted, shipped
from safety_table import BAD, BASE_SHUT, FEED_SHUT, OUTLETS_SHUT, PERF_SHUT, away, flag, set_out

from controller.field.ring import EventKind
from controller.field.verbs import Verb
from controller.profile.plan import Action

LIQUIDS = FEED_SHUT | OUTLETS_SHUT | BASE_SHUT
ALIVE = {name: RUNNING[name] for name in ("heater", "km101", "stirrer", "air", "o2", "xv100")}


def test_a_restart_with_a_batch_open_shuts_the_liquids_in_its_scan_and_keeps_the_cells_alive():
    bench = shipped()
    assert not bench.stands("restart")
    bench.do(Verb.SET_FLAG, "restarted", 1)
    assert bench.stands("restart")
    assert bench.outs(*LIQUIDS) == LIQUIDS
    assert all(bench.marked_safe(name) for name in LIQUIDS)
    assert [e.a for e in bench.told(EventKind.ACTION, "restart")] == [Action.HOLD]
    bench.run(20)
    assert away(bench, ALIVE) == []
    assert bench.out("n2") == 0


READ_BACK = ("heater", "km101", "stirrer", "air", "o2", "co2", "xv100")
READ_BY = ("HEATER_SP", "KM101_CMD", "STIRRER_SP", "FS_AIR", "FS_O2", "FS_CO2", "XV100_CMD")


def test_field_that_starts_with_a_batch_open_shuts_the_liquids_before_it_has_read_anything():
    bench = restarted()
    bench.quiet.update(bench.profile.model.tags)
    bench.scan()
    assert bench.stands("restart")
    assert bench.outs(*LIQUIDS, "n2") == LIQUIDS | {"n2": 0}
    assert all(bench.sequence(name) > 0 and bench.marked_safe(name) for name in LIQUIDS)
    bench.run(1)
    assert [bench.sequence(name) for name in READ_BACK] == [0] * 7, "no write before the readback"


def test_what_keeps_the_cells_alive_goes_on_at_what_its_device_says():
    bench = restarted()
    bench.run(2)
    assert away(bench, {name: RUNNING[name] for name in READ_BACK}) == []
    assert all(bench.sequence(name) > 0 for name in READ_BACK)


@pytest.mark.parametrize(("name", "tag"), list(zip(READ_BACK, READ_BY, strict=True)))
def test_an_output_whose_readback_is_bad_is_left_alone_until_it_is_good(name, tag):
    bench = restarted()
    bench.quality[tag] = BAD
    bench.run(1)
    assert bench.sequence(name) == 0
    del bench.quality[tag]
    bench.run(2)
    assert bench.sequence(name) > 0
    assert away(bench, {name: RUNNING[name]}) == []


def test_a_row_stops_an_output_that_was_not_read_back_yet():
    bench = restarted()
    bench.quality["HEATER_SP"] = BAD
    bench.values |= {"TT101": 39.0, "TT102": 39.0}
    bench.run_to_trip("1", 5)
    assert bench.outs("heater", "km101") == {"heater": 0, "km101": 0}


SKID = ("HEATER_SP", "KM101_CMD", "STIRRER_SP", "XV100_CMD", "TT101", "TT103", "PT101", "LT101",
        "ST101", "JT101", "KM101_FB")  # fmt: skip


def test_a_skid_that_boots_slower_than_we_do_costs_no_heat():
    bench = restarted()
    bench.quiet.update(tag for tag in bench.profile.model.tags if tag in SKID or "XV" in tag)
    bench.run(20)
    assert [bench.sequence(name) for name in ("heater", "km101", "stirrer", "xv100")] == [0] * 4
    bench.quiet.clear()
    bench.run(3)
    names = ("heater", "km101", "stirrer", "xv100")
    assert away(bench, {name: RUNNING[name] for name in names}) == []
    assert not bench.stands("4")


def test_nothing_known_for_a_while_leaves_no_output_at_a_number_that_is_none():
    bench = restarted()
    bench.quiet.update(bench.profile.model.tags)
    bench.run(30)
    bench.quiet.clear()
    bench.run(5)
    for name in READ_BACK:
        assert bench.out(name) == bench.out(name), f"{name} is not a number"
    assert away(bench, {name: RUNNING[name] for name in READ_BACK}) == []


def test_a_nitrogen_controller_that_does_not_answer_costs_no_air():
    bench = restarted()
    bench.quality |= {"FS_N2": BAD, "FT_N2": BAD}
    bench.run(30)
    assert bench.out("xv100") == 1
    assert bench.out("n2") == 0


def test_a_loop_is_not_started_before_its_devices_were_read():
    bench = restarted()
    bench.quality |= {"FS_AIR": BAD}
    bench.run(2)
    assert bench.do(Verb.SET_MODE, "DIC101", 2) is not None
    assert bench.do(Verb.SET_MODE, "TIC101", 2) is None
    bench.quality.clear()
    bench.run(2)
    assert bench.do(Verb.SET_MODE, "DIC101", 2) is None
    bench.run(3)
    assert bench.out("air") == pytest.approx(RUNNING["air"], abs=15)


def test_the_restart_row_stays_latched_until_the_flag_is_gone_and_a_person_resets_it():
    bench = shipped()
    bench.do(Verb.SET_FLAG, "restarted", 1)
    assert bench.do(Verb.BYPASS, "restart", 60) is not None
    assert bench.do(Verb.RESET, "restart") is not None
    bench.do(Verb.SET_FLAG, "restarted", 0)
    bench.run(5)
    assert bench.outs(*LIQUIDS) == LIQUIDS
    bench.run(5)
    assert bench.do(Verb.RESET, "restart") is None
    bench.run(10)
    assert bench.do(Verb.SET_OUTPUT, "xv201", 1) is None
    bench.run(2)
    assert bench.out("xv201") == 1


def test_ten_seconds_without_a_supervisor_shut_nitrogen_and_the_product_valve_and_nothing_else():
    bench = shipped(running=False)
    flag("lineup")(bench)
    set_out(xv203=1, n2=50, stirrer=100)(bench)
    assert (bench.out("xv203"), bench.out("n2")) == (1, 50)
    bench.beating = False
    took = bench.run_to_trip("supervisor", 11)
    assert 10.0 < took <= 10.2
    assert (bench.out("xv203"), bench.out("n2"), bench.out("stirrer")) == (0, 0, 100)
    assert [e.a for e in bench.told(EventKind.ACTION, "supervisor")] == [Action.ALARM]


def test_a_supervisor_that_beats_every_nine_seconds_is_not_missed():
    bench = shipped()
    bench.beating = False
    for _ in range(5):
        bench.image.head["supervisor_beat_ns"] = bench.now
        bench.run(9)
    assert not bench.stands("supervisor")


def test_without_a_supervisor_loops_and_rates_go_on_for_four_hours_then_the_liquids_stop():
    bench = shipped()
    bench.beating = False
    bench.run(14_390, 10 * S)
    assert away(bench, {**ALIVE, "feed": RUNNING["feed"], "perfusate": RUNNING["perfusate"]}) == []
    assert not bench.stands("supervisor.liquids")
    bench.run_to_trip("supervisor.liquids", 20, S)
    assert bench.outs(*FEED_SHUT, *PERF_SHUT) == FEED_SHUT | PERF_SHUT
    assert [e.a for e in bench.told(EventKind.ACTION, "supervisor.liquids")] == [Action.HOLD]
    assert away(bench, ALIVE) == []


@pytest.mark.parametrize("row", ["supervisor", "supervisor.liquids"])
def test_a_supervisor_that_comes_back_clears_its_rows(row):
    bench = shipped()
    bench.beating = False
    bench.run(14_450, 10 * S)
    assert bench.stands(row)
    bench.beating = True
    bench.run(1)
    assert not bench.stands(row)
    assert bench.out("stirrer") == RUNNING["stirrer"]
