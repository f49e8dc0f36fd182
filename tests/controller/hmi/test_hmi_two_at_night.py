"""What a tired operator must not have to guess: whose batch it is, what counts now, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hmi_bench import Bench, bench, wait_until

from controller.core.clock import VirtualClock
from controller.core.events import Event
from controller.hmi.consequence import OWN_BATCH, Consequences
from controller.hmi.rows import Rows
from controller.hmi.snapshot import Snapshots

LOT, PSEUDONYM = "LOT-2026-0117", "PSN-0001"


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("night"), "opened", speed=20.0) as made:
        yield made


def started(unit: Bench) -> None:
    """Runs until a person is asked for something."""
    if unit.snapshot["procedure"]["state"] == "Idle":
        with unit.client("sam") as sam:
            answer = unit.command(sam, "start", "sam", target="procedure", reason="begins")
        assert answer.status_code == 200, answer.text
    wait_until(lambda: unit.snapshot["prompts"], 30)


def test_the_batch_is_shown_with_lot_pseudonym_and_who_opened_it(unit: Bench) -> None:
    wait_until(lambda: unit.snapshot["procedure"]["opened_utc"])
    shown = unit.snapshot["procedure"]
    assert (shown["set_lot"], shown["identity"]) == (LOT, PSEUDONYM)
    assert shown["opened_by"] == "unverified:console@station"


def test_a_supervisor_that_starts_later_knows_it_too(unit: Bench) -> None:
    again = Snapshots(unit.rig.station, list)
    shown = unit.within(lambda: again.build(unit.rig.clock.stamp(), 1.0, 0))
    assert (shown["procedure"]["set_lot"], shown["procedure"]["identity"]) == (LOT, PSEUDONYM)
    assert shown["since"] == shown["utc"]


def test_a_run_that_opens_its_batch_by_itself_says_so(tmp_path: Path) -> None:
    with bench(tmp_path) as made:
        requests = made.rig.supervisor.requests
        words = Consequences(made.rig.station.profile)
        assert made.within(lambda: words.orders(made.rig.supervisor))["open_batch"]["allowed"]
        made.within(lambda: setattr(requests, "opener", None))
        order = made.within(lambda: words.orders(made.rig.supervisor))["open_batch"]
    assert (order["allowed"], order["why"]) == (False, OWN_BATCH)


def test_a_held_question_says_that_no_answer_counts_and_its_phase_keeps_its_time(
    unit: Bench,
) -> None:
    started(unit)
    wait_until(lambda: unit.snapshot["procedure"]["places"][0]["elapsed_s"] > 0, 30)
    assert unit.snapshot["prompts"][0]["blocked"] == ""
    text = unit.snapshot["procedure"]["places"][0]["text"]
    with unit.client() as nobody:
        assert nobody.post("/api/hold", json={"pressed_ms": 1200}).status_code == 200
    wait_until(lambda: unit.snapshot["procedure"]["state"] == "Held", 30)
    prompt, place = unit.snapshot["prompts"][0], unit.snapshot["procedure"]["places"][0]
    assert "its phase is Held; answer after Restart" in prompt["blocked"]
    assert place["elapsed_s"] > 0
    assert place["text"] == text
    with unit.client("olivia") as olivia:
        refused = unit.command(olivia, "answer", target=prompt["prompt_id"], value="yes",
                               expected=prompt["prompt_id"])  # fmt: skip
    assert refused.json()["accepted"] is False
    assert "its phase is Held" in refused.json()["why"]


def rows_of(*names: str) -> Rows:
    made, stamp = Rows(), VirtualClock(1).stamp()
    data: dict[str, dict[str, Any]] = {
        "alarm.state": {"alarm": "row:1", "old": "NORM", "new": "UNACK", "priority": "high",
                        "text": "t", "condition": "stands", "detail": {}},
        "cause.reset": {"row": "1", "title": "t", "scan": 1},
        "bypass.lapsed": {"row": "1", "scan": 1},
    }  # fmt: skip
    made.add((n, Event(name, stamp, data=data[name])) for n, name in enumerate(names, 1))
    return made


def test_the_journal_is_chosen_where_the_record_is_and_not_in_the_page() -> None:
    rows = rows_of("alarm.state", *["bypass.lapsed"] * 300, "cause.reset")
    assert [row["n"] for row in rows.page(None, 5, "alarm.,cause.")] == [1, 302]
    assert [row["n"] for row in rows.page(302, 5, "alarm.,cause.")] == [1]
    assert rows.page(None, 5, "link.") == []
    assert len(rows.page(None, 5)) == 5
    assert len(rows.page(None, 5, ",,")) == 5


def test_the_route_of_the_record_takes_the_choice(unit: Bench) -> None:
    with unit.client("aud") as client:
        wait_until(lambda: client.get("/api/record?events=batch.opened").json()["rows"])
        rows = client.get("/api/record?events=batch.opened,log.").json()["rows"]
    assert {row["event"] for row in rows} == {"batch.opened", "log.opened"}


def test_a_row_that_keeps_the_procedure_from_going_on_says_what_to_do(unit: Bench) -> None:
    station = unit.rig.station
    words, places = Consequences(station.profile), [c.row for c in station.profile.causes]

    def why(active: int, latched: int) -> str:
        causes = unit.rig.supervisor.board.image.causes
        row = causes[places.index("1")]
        before = [row[key].item() for key in ("active", "latched", "action_done")]
        row["active"], row["latched"], row["action_done"] = active, latched, 1
        try:
            return words._standing(unit.rig.supervisor)
        finally:
            row["active"], row["latched"], row["action_done"] = before

    assert unit.within(lambda: why(0, 1)).endswith("reset row 1 on page Unit first")
    both = unit.within(lambda: why(1, 1))
    assert both.endswith("remove its cause, then reset row 1 on page Unit")
    assert unit.within(lambda: why(1, 0)).endswith("remove its cause first")
