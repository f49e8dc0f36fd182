"""Elements of the procedure behind the real server: looked at, ordered, changed by two people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hmi_bench import Bench, bench, wait_until
from hmi_rig import password_of

from controller.hmi.limits import LOOKS, PREVIEWS
from controller.recipe.batch import state_digest

EXPAND, LEAK = "culture/grow/expand", "prepare/set_up/leak_test"
WHY = "the cells grow slowly"
SIGNED = (("emil", "performed the change"), ("quinn", "agreed to the change"))


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("elements"), "opened", speed=20.0) as made:
        with made.client("sam") as sam:
            answer = made.command(sam, "start", "sam", target="procedure", reason="begins")
        assert answer.status_code == 200, answer.text
        wait_until(lambda: made.snapshot["prompts"], 30)
        yield made


def row(unit: Bench, path: str) -> dict[str, Any]:
    (found,) = [each for each in unit.snapshot["procedure"]["tree"] if each["path"] == path]
    return found


def digest(unit: Bench) -> str:
    return unit.within(lambda: state_digest(unit.rig.supervisor.state))


def change(
    unit: Bench, path: str, value: str, user: str = "emil", password: str = "", **more: str
) -> httpx.Response:
    """A change as the dialog sends it: with what it showed, signed by an engineer and by QA."""
    signatures = [
        {"user": who, "password": password_of(who), "meaning": meaning} for who, meaning in SIGNED
    ]
    if password:
        signatures[1]["password"] = password
    with unit.client(user) as client:
        asked = {"target": path, "value": value}
        shown = client.get("/api/change", params=asked).json().get("expected", "")
        body = {"verb": "change", "reason": WHY, "expected": shown, **asked,
                "seen": unit.snapshot["mono_ns"], "signatures": signatures, **more}  # fmt: skip
        return client.post("/api/command", json=body)


def test_an_element_is_shown_with_its_values_ranges_steps_and_what_may_follow_it(
    unit: Bench,
) -> None:
    with unit.client("aud") as client:
        found = client.get("/api/element", params={"path": LEAK}).json()
    assert found["expected"] == "Running, 0 changes so far"
    assert (found["use"], found["protected"]) == ("leak_test", False)
    (pressure,) = [each for each in found["parameters"] if each["name"] == "pressure"]
    assert (pressure["value"], pressure["frozen"]) == ("25 mbar", "25 mbar")
    assert (pressure["low"], pressure["high"]) == ("20 mbar", "28 mbar")
    assert [step["number"] for step in found["steps"] if step["here"]] == [2]
    uses = {each["use"] for each in found["offers"]}
    assert "sample" in uses
    assert not uses & {"inoculate", "transduce", "harvest"}


def test_an_element_that_was_not_started_and_the_whole_have_no_present_step(unit: Bench) -> None:
    with unit.client("olivia") as client:
        found = client.get("/api/element", params={"path": EXPAND}).json()
        whole = client.get("/api/element", params={"path": "procedure"}).json()
    assert not any(step["here"] for step in found["steps"])
    assert (whole["parameters"], whole["steps"], whole["offers"]) == ([], [], [])


@pytest.mark.parametrize(("path", "status"), [("prepare/nowhere", 422), ("x" * 300, 422)])
def test_an_element_nobody_knows_is_no_fault_of_the_server(
    unit: Bench, path: str, status: int
) -> None:
    with unit.client("olivia") as client:
        answer = client.get("/api/element", params={"path": path})
    assert answer.status_code == status
    assert "why" in answer.json()


def test_nobody_looks_without_a_log_in_and_nobody_as_often_as_they_like(unit: Bench) -> None:
    with unit.client() as nobody:
        assert nobody.get("/api/element", params={"path": LEAK}).status_code == 401
        asked = {"target": LEAK, "value": "skip"}
        assert nobody.get("/api/change", params=asked).status_code == 401
    with unit.client("ada") as ada:
        codes = [
            ada.get("/api/element", params={"path": LEAK}).status_code for _ in range(LOOKS[0] * 4)
        ]
    assert codes[: LOOKS[0]] == [200] * LOOKS[0]
    assert 429 in codes


@pytest.mark.parametrize("user", ["olivia", "sam", "quinn", "ada", "aud"])
def test_only_who_may_change_is_told_what_a_change_would_do(unit: Bench, user: str) -> None:
    with unit.client(user) as client:
        answer = client.get("/api/change", params={"target": EXPAND, "value": "skip"})
    assert answer.status_code == 403


def preview(unit: Bench, asked: dict[str, str]) -> dict[str, Any]:
    with unit.client("emil") as client:
        found: dict[str, Any] = client.get("/api/change", params=asked).json()
    return found


def test_previews_cost_a_check_each_and_are_counted(unit: Bench) -> None:
    with unit.client("emil") as emil:
        asked = {"target": EXPAND, "value": "set;until;180 h"}
        codes = [emil.get("/api/change", params=asked).status_code for _ in range(PREVIEWS[0] * 3)]
    assert codes[: PREVIEWS[0]] == [200] * PREVIEWS[0]
    assert 429 in codes


def test_what_a_change_would_do_is_told_and_nothing_is_changed_or_recorded_by_asking(
    unit: Bench,
) -> None:
    before, records = digest(unit), len(unit.events)
    asked = {"target": EXPAND, "value": "set;until;180 h"}
    found, bad, odd, extended = (
        preview(unit, {**asked, **given})
        for given in ({}, {"value": "set;until;900 h"}, {"value": "nonsense"},
                      {"target": LEAK, "value": "extend;30 min"})
    )  # fmt: skip
    assert (found["allowed"], found["old"], found["new"]) == (True, "168 h", "180 h")
    assert found["expected"] == "Idle, 0 changes so far"
    assert any("begins with the new value" in words for words in found["follows"])
    assert any("deviation" in words for words in found["follows"])
    assert not bad["allowed"]
    assert "registered range" in bad["why"]
    assert not odd["allowed"]
    assert "set;PARAMETER;VALUE" in odd["why"]
    assert (extended["old"], extended["new"]) == ("1 h", "1 h and 30 min")
    assert digest(unit) == before
    asked_for = ("command.intent", "command.refused", "recipe.changed")
    assert [e.name for e in unit.records(*asked_for, since=records)] == []


def test_a_wrong_password_of_the_second_person_changes_nothing(unit: Bench) -> None:
    before = digest(unit)
    answer = change(unit, EXPAND, "set;until;180 h", password="not the right one")
    assert answer.status_code == 401
    assert "signature of quinn" in answer.json()["why"]
    assert digest(unit) == before


def test_a_change_signed_by_two_people_stands_beside_the_value_as_opened(unit: Bench) -> None:
    answer = change(unit, EXPAND, "set;until;180 h")
    assert answer.status_code == 200, answer.text
    number = answer.json()["id"]
    wait_until(lambda: row(unit, EXPAND)["mark"] == "changed")
    (words,) = row(unit, EXPAND)["changes"]
    assert "until: 168 h -> 180 h" in words
    assert f"DEV-{number} by emil@station and quinn@station" in words
    assert unit.snapshot["procedure"]["changes"] == 1
    with unit.client("aud") as client:
        found = client.get("/api/element", params={"path": EXPAND}).json()
    (until,) = [each for each in found["parameters"] if each["name"] == "until"]
    assert (until["value"], until["frozen"]) == ("180 h", "168 h")
    wait_until(lambda: any(
        each["id"] == number and each["state"] == "confirmed" for each in unit.snapshot["commands"]
    ))


def test_a_dialog_that_was_open_meanwhile_is_refused_as_stale(unit: Bench) -> None:
    before = digest(unit)
    answer = change(unit, EXPAND, "set;until;190 h", expected="Idle, 0 changes so far")
    assert (answer.status_code, answer.json()["kind"]) == (409, "stale")
    assert digest(unit) == before


def test_an_inserted_element_is_in_the_tree_and_can_be_skipped(unit: Bench) -> None:
    answer = change(unit, LEAK, "insert;leak_test;hold_time=10 min")
    assert answer.status_code == 200, answer.text
    (changed,) = unit.records("recipe.changed")[-1:]
    path = str(changed.data["path"])
    wait_until(lambda: any(r["path"] == path for r in unit.snapshot["procedure"]["tree"]))
    assert row(unit, path)["mark"] == "inserted"
    assert f"behind {LEAK}" in row(unit, path)["changes"][0]
    with unit.client("emil") as client:
        found = client.get("/api/element", params={"path": path}).json()
    assert {each["frozen"] for each in found["parameters"]} == {""}
    assert change(unit, path, "skip").status_code == 200
    wait_until(lambda: len(row(unit, path)["changes"]) == 2)
    assert row(unit, path)["changes"][1].startswith("skipped, was Idle, DEV-")


def test_a_place_says_step_next_time_out_and_ways_out(unit: Bench) -> None:
    (place,) = unit.snapshot["procedure"]["places"]
    assert (place["path"], place["step"], place["logic"]) == (LEAK, 2, "running")
    assert place["next"].startswith("Clamp the vent")
    assert place["timeout"]["then"] == "an alarm, and it waits on"
    assert 0 < place["timeout"]["in_s"] <= 3600
    orders = row(unit, LEAK)["orders"]
    assert [verb for verb, why in orders.items() if not why] == ["hold", "pause", "stop", "abort"]
    assert "restart is not possible while Running" in orders["restart"]
    assert row(unit, EXPAND)["orders"] == {}


def test_an_element_is_held_and_restarted_by_its_own_orders(unit: Bench) -> None:
    with unit.client("olivia") as olivia:
        held = unit.command(olivia, "hold", target=LEAK, reason="look", expected="Running")
        assert held.status_code == 200, held.text
        wait_until(lambda: row(unit, LEAK)["state"] == "Held")
        wait_until(lambda: unit.snapshot["procedure"]["places"][0]["causes"])
        (place,) = unit.snapshot["procedure"]["places"]
        assert place["causes"] == ["hold by olivia@station"]
        number = held.json()["id"]
        wait_until(lambda: any(
            each["id"] == number and each["state"] == "confirmed"
            for each in unit.snapshot["commands"]
        ))
        assert unit.snapshot["procedure"]["state"] == "Running"
        stale = unit.command(olivia, "restart", "olivia", target=LEAK, reason="x",
                             expected="Running")  # fmt: skip
        assert stale.json()["kind"] == "stale"
        again = unit.command(olivia, "restart", "olivia", target=LEAK, reason="x", expected="Held")
        assert again.status_code == 200, again.text
    wait_until(lambda: row(unit, LEAK)["state"] == "Running")
    wait_until(lambda: unit.snapshot["procedure"]["places"][0]["causes"] == [])


def command_state(unit: Bench, number: int) -> str:
    return next((c["state"] for c in unit.snapshot["commands"] if c["id"] == number), "")


def test_a_pause_is_confirmed_when_it_is_one_however_long_its_place_takes(unit: Bench) -> None:
    with unit.client("olivia") as olivia:
        asked = unit.command(olivia, "pause", target="procedure", expected="Running")
        assert asked.status_code == 200, asked.text
        number = asked.json()["id"]
        wait_until(lambda: unit.snapshot["procedure"]["state"] == "Pausing")
        began = int(unit.snapshot["mono_ns"])
        wait_until(lambda: int(unit.snapshot["mono_ns"]) - began > 70 * 10**9)
        assert command_state(unit, number) == "accepted"
        assert change(unit, LEAK, "skip").status_code == 200
        wait_until(lambda: command_state(unit, number) == "confirmed")
        assert unit.snapshot["procedure"]["state"] == "Paused"
        again = unit.command(olivia, "resume", "olivia", target="procedure", expected="Paused")
        assert again.status_code == 200, again.text
        wait_until(lambda: command_state(unit, again.json()["id"]) == "confirmed")
    assert row(unit, LEAK)["mark"] == "skipped"


def test_without_a_batch_there_is_no_element(tmp_path_factory: pytest.TempPathFactory) -> None:
    with bench(tmp_path_factory.mktemp("none")) as made, made.client("emil") as client:
        assert client.get("/api/element", params={"path": LEAK}).status_code == 409
        asked = {"target": LEAK, "value": "skip"}
        assert client.get("/api/change", params=asked).status_code == 409
        assert made.snapshot["procedure"]["tree"] == []
