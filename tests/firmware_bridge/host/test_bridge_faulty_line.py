"""Host and real core over a line that spoils, doubles, delays, reorders and breaks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from faulty_line import Faults
from line_bench import GAS, HEAT, LEASE_MS, LIQUID, MS, LineBench

from firmware_bridge.codes import PWM_CHANNEL, EventKind, Nak, ResetReason
from firmware_bridge.happenings import Armed, Opened, Refused

LAPSE_NS = (LEASE_MS + 20) * MS
TRANSIT_NS = 30 * MS  # the longest frame on the line, and the answer that lies before it
WORST = {"bit": 1e-3, "double": 0.05, "late": 0.05, "delay_ns": 300 * MS}
KINDS = {
    "bit errors": {"bit": 1e-3},
    "doubled": {"double": 0.3},
    "late": {"late": 0.2, "delay_ns": 800 * MS},
    "everything": WORST,
}


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[LineBench]:
    made = LineBench(getattr(request, "param", 1))
    yield made
    made.close()


def never_twice(bench: LineBench) -> None:
    """No number comes back, and no clear or reset acted more often than it was asked for."""
    numbers = [value for _, value in bench.pwm if value]
    assert all(a < b for a, b in pairwise(numbers)), bench.story()
    times = {each.time_us for each in bench.events if each.kind is EventKind.UNLATCHED}
    assert len(times) <= bench.clears


def kept(bench: LineBench, since_ns: int) -> bool:
    """Heat and gas stood all the time."""
    both = 1 << HEAT | 1 << GAS
    later = [mask for at, mask in bench.digital if at >= since_ns]
    return all(mask & both == both for mask in later)


def story_on_a_bad_line(seed: int, kind: str, span_ns: int) -> LineBench:
    """A good start, a bad line, a good end; checks on the way."""
    bench = LineBench(seed)
    bench.run(500 * MS)
    assert bench.session.armed
    begun = bench.now_ns
    for name, value in KINDS[kind].items():
        setattr(bench.faults, name, value)
    bench.run(span_ns)
    never_twice(bench)
    assert kept(bench, begun), bench.story()
    bench.faults.bit = bench.faults.double = bench.faults.late = 0.0
    bench.run(3_500 * MS)
    assert bench.session.armed
    assert bench.output(LIQUID) == 1  # somebody clears what latched
    assert bench.output(PWM_CHANNEL) >= bench.wish - 1
    never_twice(bench)
    return bench


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_nothing_acts_twice_on_a_bad_line_and_heat_and_gas_stand(seed: int, kind: str) -> None:
    story_on_a_bad_line(seed, kind, 8_000 * MS).close()


@pytest.mark.campaign
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(50))
def test_nothing_acts_twice_on_a_bad_line_for_long(seed: int, kind: str) -> None:
    story_on_a_bad_line(1_000 + seed, kind, 30_000 * MS).close()


@pytest.mark.parametrize("how", ["host killed", "cable cut", "host is deaf", "board is deaf"])
@pytest.mark.parametrize("seed", range(6))
def test_every_channel_is_at_its_lapse_value_within_its_lease(seed: int, how: str) -> None:
    bench = LineBench(seed)
    bench.run(2_000 * MS + bench.random.randrange(500) * MS)
    assert bench.output(LIQUID) == 1
    begun = bench.now_ns
    bench.alive = how != "host killed"
    if how in ("cable cut", "board is deaf"):
        bench.down.faults = Faults(cut=True)
    if how in ("cable cut", "host is deaf"):
        bench.up.faults = Faults(cut=True)
    bench.run(LAPSE_NS + TRANSIT_NS)
    assert bench.output(LIQUID) == 0
    assert bench.output(PWM_CHANNEL) == 0
    assert kept(bench, begun)
    renewed_ns = max(bench.heard_ns, begun) if how != "host is deaf" else begun + TRANSIT_NS
    shut_ns = max(at for at, _ in bench.digital)
    assert shut_ns <= renewed_ns + LAPSE_NS, bench.story()
    bench.close()


@pytest.mark.parametrize("seed", range(4))
def test_a_scan_that_stands_still_renews_nothing(seed: int) -> None:
    bench = LineBench(seed)
    bench.run(2_000 * MS)
    bench._scan_ns = 1 << 62
    bench.ask = lambda: None  # type: ignore[method-assign]
    bench.run(LAPSE_NS + 300 * MS)
    assert bench.session.armed
    assert (bench.output(LIQUID), bench.output(HEAT), bench.output(GAS)) == (0, 1, 1)
    bench.close()


@pytest.mark.parametrize("seed", range(6))
def test_heat_and_gas_are_back_without_a_person_and_liquids_only_with_one(seed: int) -> None:
    bench = LineBench(seed)
    bench.run(2_000 * MS)
    bench.person = False
    bench.faults.cut = True
    bench.run(3_000 * MS)
    bench.faults.cut = False
    back = bench.now_ns
    bench.heat = 0
    bench.run(1_000 * MS)
    assert bench.output(HEAT) == 0  # it follows the host again
    bench.heat = 1
    bench.run(200 * MS)
    assert bench.output(HEAT) == 1
    assert bench.output(PWM_CHANNEL) == bench.wish or bench.output(PWM_CHANNEL) == bench.wish - 1
    bench.run(10_000 * MS)
    assert all(not mask >> LIQUID & 1 for at, mask in bench.digital if at >= back)
    refused = [each for _, each in bench.of(Refused) if isinstance(each, Refused)]
    assert {each.code for each in refused} == {Nak.LATCHED}
    bench.person = True
    bench.run(500 * MS)
    assert bench.output(LIQUID) == 1
    never_twice(bench)
    bench.close()


def test_a_clear_alone_opens_nothing(bench: LineBench) -> None:
    bench.person = False
    bench.run(500 * MS)
    bench.ask = lambda: None  # type: ignore[method-assign]
    bench.session.ask_clear(0xFF)
    bench.run(300 * MS)
    assert any(each.kind is EventKind.UNLATCHED for each in bench.events)
    assert bench.output(LIQUID) == 0


@pytest.mark.parametrize("seed", range(4))
def test_a_restarted_host_is_armed_and_the_old_hosts_frames_are_nothing(seed: int) -> None:
    bench = LineBench(seed)
    bench.run(2_000 * MS + bench.random.randrange(60) * MS)
    old = list(bench.down_bytes)
    bench.new_host()
    bench.run(800 * MS)
    assert bench.session.armed
    assert bench.output(LIQUID) == 1  # the lease outlives the change of hosts
    events, wish = len(bench.events), bench.wish
    for burst in old:  # every frame of the old host comes again, with its old sequence
        bench.down.put(burst, bench.now_ns)
        bench.run(10 * MS)
    bench.run(500 * MS)
    assert bench.session.armed
    assert bench.wish > wish
    kinds = {each.kind for each in bench.events[events:]}
    assert not kinds & {EventKind.LAPSED, EventKind.LATCHED, EventKind.UNLATCHED, EventKind.RESET}
    never_twice(bench)
    bench.close()


@pytest.mark.parametrize("seed", range(4))
def test_a_late_clear_does_not_clear_what_latched_after_it(seed: int) -> None:
    bench = LineBench(seed, Faults(late=0.5, delay_ns=900 * MS, double=0.5))
    bench.run(3_000 * MS)
    bench.person = False
    bench.run(1_500 * MS)
    bench.faults.cut = True
    bench.run(2_500 * MS)
    assert bench.output(LIQUID) == 0
    bench.faults.cut = False
    back = bench.now_ns
    for burst in bench.down_bytes:
        bench.down.put(burst, bench.now_ns)
    bench.run(20_000 * MS)
    assert all(not mask >> LIQUID & 1 for at, mask in bench.digital if at >= back)
    bench.close()


@pytest.mark.parametrize("reason", [ResetReason.WATCHDOG, ResetReason.OTHER])
def test_a_board_that_restarts_shuts_liquids_keeps_heat_and_is_armed_again(
    bench: LineBench, reason: ResetReason
) -> None:
    bench.run(2_000 * MS)
    bench.person = False
    bench.restart(77, reason)
    assert (bench.output(LIQUID), bench.output(HEAT), bench.output(GAS)) == (0, 1, 1)
    bench.run(1_000 * MS)
    assert bench.session.armed
    opened = [each for _, each in bench.of(Opened) if isinstance(each, Opened)]
    assert [(each.same_boot, each.identity.reset_reason) for each in opened] == [
        (False, 0), (False, reason),
    ]  # fmt: skip
    assert (bench.output(LIQUID), bench.output(HEAT)) == (0, 1)
    assert bench.output(PWM_CHANNEL) > 0
    bench.person = True
    bench.run(500 * MS)
    assert bench.output(LIQUID) == 1


def test_a_reset_asked_once_acts_once_on_a_bad_line(bench: LineBench) -> None:
    bench.run(500 * MS)
    for value in WORST.items():
        setattr(bench.faults, *value)
    asked = 0
    for _ in range(12):
        bench.temperature = 39.0
        bench.run(1_500 * MS)
        bench.temperature = 37.0
        bench.run(1_500 * MS)
        asked += bench.session.ask_reset(0)
    resets = [each for each in bench.events if each.kind is EventKind.RESET]
    assert 0 < len(resets) <= asked
    never_twice(bench)


@pytest.mark.parametrize("seed", range(4))
def test_the_boards_time_is_known_within_the_stated_error_on_a_bad_line(seed: int) -> None:
    bench = LineBench(seed)
    bench.run(300 * MS)
    for value in WORST.items():
        setattr(bench.faults, *value)
    for _ in range(200):
        bench.run(50 * MS)
        if bench.session.clock.ready:
            host_ns, error_ns = bench.session.clock.to_host(bench.core.now_us)
            assert abs(host_ns - bench.now_ns) <= error_ns
    bench.close()


def test_an_image_nobody_knows_gets_no_liquid_open(bench: LineBench) -> None:
    bench.person = False
    bench.run(500 * MS)
    bench.session._images = frozenset()
    bench.session.reset(bench.now_ns)
    bench.run(500 * MS)
    armed = [each for _, each in bench.of(Armed) if isinstance(each, Armed)]
    assert [each.distrusted for each in armed] == [False, True]
    assert bench.latched & 1 << HEAT  # stands where it was, until a person clears it
    assert (bench.output(HEAT), bench.output(LIQUID)) == (1, 0)
