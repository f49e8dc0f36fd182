"""The batch is a fold over its log: rebuilt from any prefix, it is the same batch."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipe_bench import Desk, offer_of, recipe_of

from controller.core.clock import NS_PER_S, Stamp
from controller.core.events import Event
from controller.recipe.batch import BatchClock, BatchState, evolve, state_digest
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


def _decoded(event: Event, with_boot: bool) -> dict[str, Any]:
    """The event as the log gives it back."""
    record = {
        "v": 1, "event": event.name, "time": event.stamp.rfc3339(),
        "mono_ns": str(event.stamp.mono_ns), "actor": event.actor, "role": event.role,
        "reason": event.reason, "data": dict(event.data),
    }  # fmt: skip
    if with_boot:
        record["boot_id"] = event.stamp.boot_id
    decoded: dict[str, Any] = json.loads(json.dumps(record))
    return decoded


@settings(max_examples=60, deadline=None)
@given(_MOVES)
def test_a_batch_rebuilt_from_any_prefix_of_its_log_is_the_same_batch(
    moves: list[int | str],
) -> None:
    bench = Desk(RECIPE, {"VOL": 1.5})
    marks = _play(bench, moves)
    digests = {0: state_digest(BatchState())}
    state = BatchState()
    for number, event in enumerate(bench.records):
        state = evolve(state, _decoded(event, with_boot=number == 0))
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
