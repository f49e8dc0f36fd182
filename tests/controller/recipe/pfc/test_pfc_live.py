"""The chart of a batch: where it is, why it waits and what people changed, from records alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pfc_measure import faults
from recipe_bench import Desk, offer_of, recipe_of

from controller.core.events import Event
from controller.recipe.amend import amended
from controller.recipe.batch import BatchState, evolve
from controller.recipe.changes import Change
from controller.recipe.engine import Inputs
from controller.recipe.pfc.build import build
from controller.recipe.pfc.live import Story, lives, span, where
from controller.recipe.pfc.mermaid import mermaid
from controller.recipe.pfc.model import Chart, Live
from controller.recipe.pfc.shapes import Box, Text
from controller.recipe.pfc.sheets import sheets
from controller.recipe.pfc.svg import FILLS, svg
from controller.recipe.plan import ControlRecipe

OFFER = """
variables:
  vcd: {dimension: cell_density}
  mark: {dimension: count}
phases:
  - id: ask
    parameters:
      limit: {dimension: cell_density, low: 0 /mL, high: 90e6 /mL, default: 5e6 /mL}
    running:
      - {text: Open the feed, set: {xv201: open}}
      - prompt: {kind: enter, id: count, text: How many cells?, into: vcd, unit: 1e6/mL,
                 low: 0 /mL, high: 99e6 /mL}
        timeout: 2 h
        on_timeout: [alarm, hold]
      - {text: Wait for warmth, wait: "vcd > limit and held(TT101 > 36 degC, 10 min)", every: 10 s,
         timeout: 4 h, on_timeout: hold}
    holding: [{text: Close, set: {xv201: closed}}]
    restarting: [{text: Open, set: {xv201: open}}]
    aborting: [{text: Close, set: {xv201: closed}}]
  - id: rest
    parameters: {lasts: {dimension: time, low: 1 min, high: 2 h, default: 30 min}}
    running: [{text: Rest, for: lasts}]
"""
RECIPE = """
recipe: lives
version: "1"
title: A batch that is looked at
unit: bench
unit_version: "1"
formula: {lasts: {value: 40 min, low: 10 min, high: 1 h, title: Of a rest}}
procedure:
  - unit_procedure: u
    operations:
      - operation: o
        phases:
          - phase: ask
            with: {limit: 6e6 /mL}
            exceptions: [{when: TT101 < 20 degC, unknown: ignore, do: {go_to: cold}}]
          - select: way
            unknown: hold
            choices:
              - {when: vcd > 50e6 /mL, do: [{phase: long, use: rest}]}
              - {otherwise: []}
          - loop: daily
            do: [{phase: rest, with: {lasts: lasts}}]
            until: vcd > 90e6 /mL
            unknown: again
            at_most: 3
            on_limit: continue
          - {phase: last, use: rest}
    alternatives:
      - {operation: cold, then: stop, phases: [{phase: warm_up, use: rest}]}
"""
O = "u/o"  # noqa: E741


def record(event: Event) -> dict[str, object]:
    moment = datetime.fromtimestamp(event.stamp.utc_ns / 1e9, UTC)
    return {"event": event.name, "data": event.data, "actor": event.actor,
            "time": moment.isoformat(timespec="milliseconds"), "boot_id": event.stamp.boot_id,
            "mono_ns": event.stamp.mono_ns}  # fmt: skip


class Batch(Desk):
    """A desk that also makes changes and tells of itself."""

    def change(self, kind: str, path: str, name: str = "", value: str = "") -> None:
        number = sum(event.name == "recipe.changed" for event in self.records) + 1
        given = Change(kind, path, name, value, "eva", "engineer", "why", "quinn", f"DEV-{number}")
        inputs = Inputs(self.read, changes=(given,))
        for event in self.engine.decide(self.state, inputs, self.clock.stamp()).records:
            self._keep(event)
        self.tick()

    def story(self, records: list[Event] | None = None) -> Story:
        """What a log with these records says, and with one of another room made now."""
        story = Story()
        for event in self.records if records is None else records:
            story.take(record(event))
        if records is None:
            later = Event("batch.closed", self.clock.stamp(), data={"state": ""})
            story.take({**record(later), "event": "of.another.room"})
        return story

    def live(self, path: str) -> Live:
        return lives(self.recipe, self.state, self.story())[path]


def drawn(recipe: ControlRecipe, state: BatchState, story: Story) -> Chart:
    told = lives(recipe, state, story)
    running = amended(recipe, state.amendments)
    return build(running, told, ("a batch",), (where(told), *story.tables()))


@pytest.fixture
def batch() -> Batch:
    made = Batch(recipe_of(RECIPE, offer_of(OFFER)), {"TT101": 30.0})
    made.order("start")
    return made


def test_before_the_first_record_everything_is_idle():
    made = Batch(recipe_of(RECIPE, offer_of(OFFER)))
    told = lives(made.recipe, made.state, made.story())
    assert {live.state for live in told.values()} == {"Idle"}
    assert where(told).rows == ()


def test_a_prompt_says_that_it_waits_for_people_and_what_comes_if_nobody_answers(batch):
    batch.go(60, 10)
    assert batch.live(f"{O}/ask").waits == (
        "step 2 of 3: How many cells?",
        "waits for people: prompt u/o/ask.count, open for 1 min",
        "time-out in 1 h 59 min: alarm",
    )
    batch.go(7_200, 60)
    assert batch.live(f"{O}/ask").waits[-1] == "time-out in 1 h 59 min: hold, overdue 1 times"


def test_a_wait_says_its_condition_with_values_and_what_is_known(batch):
    batch.go(10, 10)
    batch.answer("u/o/ask.count", "3")
    batch.readings["TT101"] = 37.0
    batch.go(120, 10)
    assert batch.live(f"{O}/ask").waits == (
        "step 3 of 3: Wait for warmth",
        "waits for: vcd > 6e6 /mL and held(TT101 > 36 degC, 10 min)",
        "part 1 of held(...) holds for 1 min 50 s",
        "vcd is 3e6 /mL, for 2 min",
        "time-out in 3 h 58 min: hold",
    )


def test_what_was_never_set_is_said_to_be_unknown(batch):
    first = "{transition: known_one, when: vcd > 1e6 /mL, timeout: 1 h}"
    text = RECIPE.replace("        phases:\n", f"        phases:\n          - {first}\n", 1)
    recipe = recipe_of(text, offer_of(OFFER))
    made = Batch(recipe, {"TT101": 30.0})
    made.order("start")
    made.go(10)
    assert "vcd is not known yet" in made.live(f"{O}/known_one").waits


def warm(batch: Batch, cells: str = "10") -> None:
    """Past the question and the wait."""
    batch.readings["TT101"] = 37.0
    batch.go(10, 10)
    batch.answer("u/o/ask.count", cells)
    batch.go(660, 10)


def test_a_selection_says_which_way_it_took_and_a_loop_its_round(batch):
    warm(batch)
    assert batch.live(f"{O}/ask").state == "Complete"
    assert batch.live(f"{O}/way") == Live("Complete", (), (), 1)
    assert batch.live(f"{O}/daily").waits == ("round 1 of at most 3",)
    batch.go(2_400, 60)
    assert batch.live(f"{O}/daily").waits == ("round 2 of at most 3",)
    assert batch.live(f"{O}/daily/rest").waits[0] == "step 1 of 1: Rest"
    batch.go(5_000, 60)
    assert batch.live(f"{O}/daily") == Live("Complete", (), ("3 of at most 3 rounds",))


def test_a_loop_that_is_over_says_how_often_it_ran(batch):
    warm(batch)
    batch.go(2_400, 60)
    assert batch.live(f"{O}/daily").waits == ("round 2 of at most 3",)
    batch.order("stop")
    batch.go(60, 10)
    assert batch.live(f"{O}/daily") == Live("Stopped", (), ("2 of at most 3 rounds",))


def test_a_hold_says_why_and_where_each_phase_waits_for_restart(batch):
    warm(batch)
    batch.protect("hold", "row 16: DO < 15 %")
    batch.go(300, 10)
    root = batch.live("lives")
    assert root.state == "Held"
    assert root.waits == ("Held: row 16: DO < 15 %", "for 5 min")
    assert batch.live(f"{O}/daily/rest").waits == (
        "waits for restart; was at step 1 of 1: Rest",
    )  # fmt: skip


def test_changes_stand_beside_the_frozen_value_with_the_number_of_their_deviation(batch):
    warm(batch)
    batch.change("set", f"{O}/last", "lasts", "50 min")
    batch.change("extend", f"{O}/daily/rest", "", "10 min")
    batch.change("insert", f"{O}/last", "rest", "lasts=5 min")
    batch.change("skip", f"{O}/last")
    assert batch.live(f"{O}/last").marks == (
        "CHANGED: lasts = 50 min in place of 30 min, DEV-1", "SKIPPED, DEV-4",
    )  # fmt: skip
    assert batch.live(f"{O}/daily/rest").marks == ("EXTENDED: step 1 by 10 min, DEV-2",)
    assert batch.live(f"{O}/rest_2").marks == ("INSERTED, DEV-3",)
    (table,) = batch.story().tables()
    assert table.rows == (
        ("DEV-1", "set", f"{O}/last", "lasts 30 min", "50 min", "eva, quinn"),
        ("DEV-2", "extend", f"{O}/daily/rest", "step 1 40 min", "10 min longer",
         "eva, quinn"),
        ("DEV-3", "insert", f"{O}/rest_2", f"behind {O}/last", "rest lasts = 5 min", "eva, quinn"),
        ("DEV-4", "skip", f"{O}/last", "Idle", "skipped", "eva, quinn"),
    )
    chart = drawn(batch.recipe, batch.state, batch.story())
    assert f"{O}/rest_2" in [element.path for element in chart.elements()]
    assert f"{O}/rest_2" not in batch.recipe.nodes
    lines = {element.path: element.lines for element in chart.elements()}
    assert lines[f"{O}/last"] == ("lasts = 50 min",)
    assert lines[f"{O}/rest_2"] == ("lasts = 5 min",)
    assert lines[f"{O}/daily/rest"] == ("lasts = 40 min (lasts)",)


def test_an_operation_left_for_an_alternative_says_so_on_both_sides(batch):
    batch.go(10)
    batch.readings["TT101"] = 15.0
    batch.go(120, 10)
    assert batch.live(O).marks == ("LEFT for u/cold",)
    assert batch.live("u/cold").marks == ("IN PLACE OF u/o",)
    assert batch.live("u/cold").state == "Running"


def test_at_every_record_the_chart_can_be_drawn_and_says_what_the_state_is(batch):
    warm(batch)
    batch.change("insert", f"{O}/last", "rest", "lasts=5 min")
    batch.protect("hold", "row 1")
    batch.go(60, 10)
    batch.order("restart")
    batch.go(11_000, 60)
    assert batch.live("lives").state == "Complete"
    state = batch.engine.initial()
    for number, event in enumerate(batch.records):
        state = evolve(state, event)
        if number % 7 and number != len(batch.records) - 1:
            continue
        laid = sheets(drawn(batch.recipe, state, batch.story(batch.records[: number + 1])))
        assert faults(laid) == []
        items = [item for page in laid.pages for item in page.items]
        for box in [item for item in items if isinstance(item, Box) and item.path]:
            if box.kind != "bar" and "#" not in box.path:
                assert box.state == state.node(box.path)
                words = [item.text for item in items if isinstance(item, Text)
                         and box.x <= item.x <= box.x + box.w
                         and box.y <= item.y <= box.y + box.h]  # fmt: skip
                assert box.state in words


def test_states_are_coloured_and_worded_in_both_forms(batch):
    batch.go(60, 10)
    chart = drawn(batch.recipe, batch.state, batch.story())
    picture = svg(sheets(chart), chart.title)
    assert f'fill="{FILLS["Running"]}"' in picture
    assert ">Running</text>" in picture
    text = mermaid(chart)
    assert f"classDef Running fill:{FILLS['Running']},stroke:#000" in text
    assert "waits for people: prompt u/o/ask.count" in text


@pytest.mark.parametrize(("seconds", "words"), [
    (0, "0 s"), (59.6, "1 min"), (250, "4 min 10 s"), (7_500, "2 h 05 min"), (-3, "0 s"),
    (356_400, "99 h"),
])  # fmt: skip
def test_a_time_is_said_as_people_say_it(seconds, words):
    assert span(round(seconds * 1e9)) == words
