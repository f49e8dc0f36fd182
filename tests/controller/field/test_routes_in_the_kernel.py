"""What the rows of the routes do: open before start, close after stop, and shut always wins."""

from __future__ import annotations

import pytest
from kernel_bench import Bench, shipped

from controller.core.signal import Quality, Reason
from controller.field.ring import EventKind
from controller.field.verbs import Verb


def told(bench: Bench, seconds: float = 7, **outputs: float) -> dict[str, float]:
    """What left for these outputs and what the pumps do, once every write class had its turn."""
    for name, value in outputs.items():
        assert bench.do(Verb.SET_OUTPUT, name, value) is None
    bench.run(seconds)
    return bench.outs(*outputs)


def test_a_pump_waits_at_0_until_a_path_is_open_and_a_valve_until_its_pump_stands_still():
    bench = shipped(running=False)
    assert told(bench, feed=9.0) == {"feed": 0.0}
    assert bench.told(EventKind.CAUSE_ACTIVE, "path.feed")
    assert told(bench, xv201=1) == {"xv201": 1.0}
    assert bench.out("feed") == pytest.approx(9.0)
    assert told(bench, xv201=0) == {"xv201": 1.0}, "closed in front of a turning pump"
    assert told(bench, feed=0) == {"feed": 0.0}
    assert bench.out("xv201") == 0.0, "it was asked to close, and its pump stands still now"


def test_a_valve_may_close_while_another_leaves_the_turning_pump_a_path():
    bench = shipped(running=False)
    told(bench, xv202=1)
    assert told(bench, perfusate=9.0) == {"perfusate": pytest.approx(9.0)}
    bench.follow["XV203_ZSO"] = lambda _: 1.0
    bench.run(1)
    assert told(bench, xv202=0) == {"xv202": 0.0}
    assert not bench.stands("19.perfusate")


def test_a_row_that_shuts_a_valve_wins_over_the_rule_that_keeps_it_open():
    bench = shipped(running=False)
    told(bench, xv202=1)
    told(bench, perfusate=9.0)
    assert told(bench, 1, xv202=0) == {"xv202": 1.0}
    assert bench.stands("keep.xv202")
    bench.follow["ST_PERF"] = lambda _: 9.0  # the pump does not stop
    bench.follow["XV203_ZSC"] = lambda _: 0.0
    bench.scan()
    assert bench.stands("18.both")
    assert bench.outs("perfusate", "xv202", "xv203") == {"perfusate": 0, "xv202": 0, "xv203": 0}
    bench.run(8)
    assert bench.outs("perfusate", "xv202", "xv203") == {"perfusate": 0, "xv202": 0, "xv203": 0}
    assert not bench.stands("keep.xv202"), "nothing is kept open that was shut"


def test_a_pump_whose_path_is_not_known_does_not_start():
    bench = shipped(running=False)
    told(bench, xv201=1)
    bench.quality["XV201_ZSO"] = (int(Quality.BAD), int(Reason.DEVICE))
    assert told(bench, feed=9.0) == {"feed": 0.0}
    bench.quality.clear()
    assert told(bench, feed=9.0) == {"feed": pytest.approx(9.0)}


def test_a_hold_in_the_harvest_stops_its_pump_with_the_valve():
    """A press waits for no record, so the phase may stop the pump only seconds later."""
    bench = shipped(running=False)
    bench.do(Verb.SET_FLAG, "lineup", 1)
    told(bench, 2, xv203=1)
    assert told(bench, 6, perfusate=18.0) == {"perfusate": pytest.approx(18.0)}
    bench.board.hold()
    bench.scan()
    assert bench.outs("perfusate", "xv203") == {"perfusate": 0, "xv203": 0}
    bench.run(5)
    assert not bench.stands("19.perfusate"), "or nothing could go on for ten minutes"
    bench.do(Verb.SET_FLAG, "unit_held", 0)
    bench.run(6)
    assert bench.outs("perfusate", "xv203") == {"perfusate": pytest.approx(18.0), "xv203": 1}
