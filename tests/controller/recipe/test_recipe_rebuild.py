"""The batch is a fold over its log: rebuilt from any prefix, it is the same batch."""

from __future__ import annotations

import contextlib
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipe_bench import Desk, offer_of, recipe_of
from recipe_zoo import RECIPES, Bench, Crash, Wild, batch, encoded, rebuilt, zoo

from controller.core.clock import NS_PER_S, Stamp
from controller.core.events import Event
from controller.recipe.batch import BatchState, evolve, state_digest
from controller.recipe.batchclock import BatchClock
from controller.recipe.engine import Order, PromptAnswer, ProtectiveRequest
from controller.recipe.states import FINAL, STATES

OFFER = offer_of("""
variables:
  vcd: {dimension: cell_density}
  expected: {dimension: cell_density}
phases:
  - id: fill
    running:
      - {text: Open, set: {xv201: open, feed: 25 mL/min}}
      - {text: Wait, wait: "held(VOL > 1 L, 20 s)", timeout: 2 min, on_timeout: hold}
      - {text: Shut, set: {feed: 0 mL/min, expected: 10e6 /mL}}
    holding:
      - {text: Shut, set: {feed: 0 mL/min}}
      - {text: Settle, for: 15 s}
    restarting:
      - {text: Open, set: {feed: 25 mL/min}}
    aborting:
      - {text: Shut, set: {feed: 0 mL/min, xv201: closed}}
  - id: ask
    running:
      - prompt: {kind: enter, id: vcd, text: Count, into: vcd, unit: 1e6/mL, low: 1e6 /mL,
                 high: 99e6 /mL, predicted: expected}
        timeout: 40 s
      - {text: Rest, for: 25 s}
  - id: feed
    running:
      - text: Feed
        follow: {feed: "1 L * 80 pL/cell/d * max(vcd, 1e6 /mL)"}
        every: 20 s
        for: 2 min
    aborting:
      - {text: Shut, set: {feed: 0 mL/min}}
""")
RECIPE = recipe_of("""
recipe: fold
version: "1"
title: Fold
unit: bench
unit_version: "1"
procedure:
  - unit_procedure: u
    operations:
      - operation: first
        phases: [{phase: fill}]
      - operation: second
        branches:
          - [{phase: ask}, {phase: ask_again, use: ask}]
          - [{phase: feed}]
""", OFFER)  # fmt: skip

_MOVES = st.lists(
    st.one_of(
        st.integers(1, 40),
        st.sampled_from(["hold", "restart", "stop", "abort", "row", "attach", "dry", "wet", "bad"]),
        st.sampled_from(["9", "11", "30", "rubbish"]).map(lambda value: f"say {value}"),
    ),
    max_size=25,
)


def _play(bench: Desk, moves: list[int | str]) -> list[tuple[int, str]]:
    """Plays moves; returns a digest with the number of records after each."""
    marks = []
    bench.order("start")
    for number, action in enumerate(moves):
        if isinstance(action, int):
            bench.go(action)
        elif action in ("hold", "restart", "stop", "abort"):
            bench.tick(orders=[Order(action, "anna", "operator", "play")])
        elif action == "row":
            bench.tick(protective=[ProtectiveRequest("hold", f"row {number % 3}")])
        elif action == "attach":
            bench.record("batch.attached", gap_s="1", state="Running")
            bench.tick()
        elif action.startswith("say"):
            for prompt in list(bench.state.prompts):
                bench.tick(answers=[PromptAnswer(prompt, action[4:], "anna", second="ben")])
        else:
            bench.readings["VOL"] = 0.2 if action == "dry" else 1.5
            bench.bad = {"VOL"} if action == "bad" else set()
        marks.append((len(bench.records), state_digest(bench.state)))
    return marks


@settings(max_examples=60, deadline=None)
@given(_MOVES)
def test_a_batch_rebuilt_from_any_prefix_of_its_log_is_the_same_batch(
    moves: list[int | str],
) -> None:
    bench = Desk(RECIPE, {"VOL": 1.5})
    marks = _play(bench, moves)
    digests = {0: state_digest(BatchState())}
    state = BatchState()
    for number, record in enumerate(encoded(bench.records)):
        state = evolve(state, record)
        digests[number + 1] = state_digest(state)
    for count, digest in marks:
        assert digests[count] == digest
    assert set(bench.state.nodes.values()) <= set(STATES)


@settings(max_examples=60, deadline=None)
@given(_MOVES, st.data())
def test_a_crash_after_any_record_is_survived_and_the_batch_can_still_be_ended(
    moves: list[int | str], data: st.DataObject
) -> None:
    bench = Desk(RECIPE, {"VOL": 1.5})
    _play(bench, moves)
    cut = data.draw(st.integers(1, len(bench.records)))
    again = Desk(RECIPE, {"VOL": 1.5})
    again.clock.advance_to(bench.clock.now_ns + 5 * NS_PER_S)
    for event in bench.records[:cut]:
        again.state = again.engine.evolve(again.state, event)
    again.record("batch.attached", gap_s="5", state=again.state_of("fold"))
    again.tick()
    again.go(3)
    for path, state in again.state.nodes.items():
        parent = RECIPE.nodes[path].parent
        assert state in FINAL or not parent or again.state_of(parent) not in FINAL
    if again.state_of("fold") not in FINAL:
        again.order("abort")
        again.go(1)
        assert again.state_of("fold") == "Aborted"
        assert not again.state.runs


def test_records_of_other_rooms_leave_the_state_untouched() -> None:
    state = BatchState()
    stamp = Desk(RECIPE).clock.stamp()
    data = {"id": "1", "result": "applied", "why": ""}
    assert evolve(state, Event("command.outcome", stamp, data=data)) is state


def test_batch_time_runs_on_over_a_restart_of_the_machine() -> None:
    clock = BatchClock("boot-a", 0, 50 * NS_PER_S, 1_000_000)
    assert clock.at("boot-a", 70 * NS_PER_S, 0) == 70 * NS_PER_S
    assert clock.at("boot-b", 3, 1_000_000 + 90_000) == 140 * NS_PER_S
    assert clock.at("boot-b", 3, 1_000_000 - 90_000) == 50 * NS_PER_S


def test_a_timer_goes_on_over_a_restart_of_the_machine() -> None:
    bench = Desk(RECIPE, {"VOL": 1.5})
    bench.order("start")
    bench.go(30)
    since = bench.state.runs["u/second/feed"].since_ns
    before = bench.clock.stamp()
    stamp = Stamp(9, 9, before.utc_ns + 100 * NS_PER_S, 0, "another-boot", "ntp")
    attached = Event("batch.attached", stamp, data={"gap_s": "100", "state": "Running"})
    state = evolve(bench.state, attached)
    last_ns = bench.state.clock.last_ns
    assert state.runs["u/second/feed"].since_ns == since
    passed_ns = state.clock.of(stamp) - last_ns
    assert passed_ns == pytest.approx(100 * NS_PER_S, abs=40 * NS_PER_S)
    assert state.clock.of(stamp) > last_ns


def _rebuilds(name: str, seed: int, moves: int, prefixes: int) -> None:
    """A wild run whose state after every record is what the log up to it says."""
    wild = Wild(zoo(name), seed)
    wild.run(moves)
    bench = wild.bench
    records = encoded(bench.records)
    state, said = BatchState(), [state_digest(BatchState())]
    for record in records:
        state = evolve(state, record)
        said.append(state_digest(state))
    assert said == bench.digests, f"{name} seed {seed}"
    for count in Random(seed).sample(range(len(records) + 1), min(prefixes, len(records))):
        again = state_digest(rebuilt(bench.records[:count]))
        assert again == bench.digests[count], f"{name} seed {seed} after {count} records"
    assert state_digest(rebuilt(bench.records)) == state_digest(bench.state)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("seed", [1, 2])
def test_after_every_record_of_a_wild_run_the_log_says_what_the_batch_is(
    name: str, seed: int
) -> None:
    _rebuilds(name, seed, 60, 12)


@pytest.mark.campaign
@pytest.mark.parametrize("name", RECIPES)
def test_twenty_wild_runs_of_each_recipe_are_rebuilt_from_fifty_prefixes(name: str) -> None:
    for seed in range(100, 120):
        _rebuilds(name, seed, 150, 50)


@pytest.mark.parametrize("name", RECIPES)
def test_two_runs_of_the_same_seed_are_the_same_records(name: str) -> None:
    one, two = Wild(zoo(name), 5), Wild(zoo(name), 5)
    one.run(30)
    two.run(30)
    assert encoded(one.bench.records) == encoded(two.bench.records)
    assert one.bench.commands == two.bench.commands


def _in_three() -> Bench:
    """Phases with limits of 30 s, 2 min and none of their own (10 min) side by side, all at work;
    a step of each that takes longer than what follows."""
    bench = Bench(zoo("gaps"))
    bench.press("start")
    bench.go(3)
    assert sorted(bench.state.runs) == ["u/o/care", "u/o/drain", "u/o/slow"]
    return bench


@pytest.mark.parametrize("boot", [False, True])
@pytest.mark.parametrize(
    ("gap_s", "over"),
    [(5, []), (29, []), (31, ["u/o/slow"]), (119, ["u/o/slow"]),
     (121, ["u/o/slow", "u/o/drain"]), (301, ["u/o/slow", "u/o/drain", "u/o/care"]),
     (90_000, ["u/o/slow", "u/o/drain", "u/o/care"])],
)  # fmt: skip
def test_after_a_gap_longer_than_a_phase_may_go_alone_the_batch_is_held_with_the_gap_shown(
    gap_s: int, over: list[str], boot: bool
) -> None:
    bench = _in_three()
    where = {path: run.index for path, run in bench.state.runs.items()}
    count = len(bench.records)
    bench.die(gap_s, boot=boot)
    said = bench.records[count:]
    assert said[0].name == "batch.attached"
    if not over:
        assert said[1].name == "batch.state"
        assert bench.state_of("gaps") == "Running"
        assert {path: run.index for path, run in bench.state.runs.items()} == where
        return
    cause = next(str(event.data["cause"]) for event in said if event.name == "unit.hold")
    assert f"{gap_s} s" in cause
    assert any(path in cause for path in over)
    bench.go(61)
    assert {bench.state_of(path) for path in bench.state.runs} == {"Held"}
    bench.go(5_000)
    assert bench.state_of("gaps") == "Held", "a person lets it go on, and nobody else"
    bench.press("restart")
    bench.go(62)
    assert bench.state_of("gaps") == "Running"
    assert {path: run.index for path, run in bench.state.runs.items()} == where


@pytest.mark.parametrize(
    ("limit", "gap_s", "held"),
    [("drain", 100, False), ("drain", 130, True), ("rest", 30_000, False), ("mark", 500, False)],
)
def test_the_limit_is_that_of_the_phases_that_are_at_work_and_no_other(
    limit: str, gap_s: float, held: bool
) -> None:
    wait = {
        "drain": "{phase: drain, with: {time: 50 min}}", "rest": "{phase: rest, with: {time: 9 h}}",
        "mark": "{transition: t, when: VOL > 9 L, timeout: 9 h, text: Full, unknown: wait}",
    }  # fmt: skip
    bench = batch(f"- {wait[limit]}\n- {{phase: slow}}")
    bench.go(3)
    bench.die(gap_s)
    assert (bench.state_of("small") == "Held") is held


@pytest.mark.parametrize("left", range(12))
def test_a_long_gap_is_not_forgotten_when_the_next_supervisor_dies_at_once(left: int) -> None:
    bench = _in_three()
    with contextlib.suppress(Crash):
        bench.die(600, left=left)
    bench.die(1)
    bench.go(61)
    assert bench.state_of("gaps") == "Held"
    assert bench.flags["unit_held"] is True
    bench.press("restart")
    bench.go(62)
    assert bench.state_of("gaps") == "Running"


def test_the_time_of_a_long_gap_is_not_counted_as_time_a_phase_was_at_work() -> None:
    bench = _in_three()
    bench.go(97)
    bench.die(31)
    bench.go(61)
    bench.press("restart")
    bench.go(60)
    bench.go(198)
    assert bench.state.runs["u/o/slow"].index == 1
    bench.go(5)
    assert bench.state.runs["u/o/slow"].index == 2


@pytest.mark.parametrize("state", ["Restarting", "Pausing", "Paused"])
def test_a_phase_on_its_way_is_held_after_a_long_gap_too(state: str) -> None:
    bench = _in_three()
    bench.press("pause" if state != "Restarting" else "hold")
    if state != "Pausing":
        bench.go(4_000)
    if state == "Restarting":
        bench.press("restart")
    bench.die(31 if state == "Restarting" else 90_000)
    assert bench.state_of("gaps") in ("Holding", "Held")


def test_a_gap_nobody_can_tell_holds_every_phase() -> None:
    bench = _in_three()
    bench.die(2, told="")
    bench.go(61)
    assert {bench.state_of(path) for path in bench.state.runs} == {"Held"}


def test_what_was_held_before_a_gap_is_held_after_it_and_a_restart_goes_on_where_it_was() -> None:
    bench = _in_three()
    bench.press("hold")
    bench.go(61)
    assert bench.state_of("gaps") == "Held"
    bench.die(4_000)
    bench.go(61)
    assert bench.state_of("gaps") == "Held"
    bench.press("restart")
    bench.go(70)
    assert bench.state.runs["u/o/slow"].index == 1
    assert bench.state_of("u/o/slow") == "Running"
