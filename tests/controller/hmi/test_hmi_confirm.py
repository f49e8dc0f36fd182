"""Requested, accepted, confirmed: a command is never shown as more than the unit shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hmi_bench import Bench, bench, wait_until

from controller.core.clock import NS_PER_S


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("confirm"), "opened", speed=5.0) as made:
        yield made


def shown(unit: Bench, number: int) -> dict[str, Any]:
    """The command as the feed shows it."""
    return next((c for c in unit.snapshot["commands"] if c["id"] == number), {"state": ""})


def follow(unit: Bench, number: int, end: str, seconds: float = 20.0) -> list[str]:
    """The states a command was shown in until `end`, in order."""
    states: list[str] = []

    def look() -> bool:
        state = shown(unit, number)["state"]
        if state and (not states or states[-1] != state):
            states.append(state)
        return state == end

    wait_until(look, seconds)
    return states


@pytest.fixture
def sam(unit: Bench) -> Iterator[httpx.Client]:
    with unit.client("sam") as client:
        yield client


ORDER = ["requested", "accepted", "confirmed"]


def in_order(states: list[str]) -> bool:
    """Whether nothing was shown before what comes before it."""
    places = [ORDER.index(state) for state in states]
    return places == sorted(places) and states[-1] == "confirmed"


def test_a_setpoint_is_confirmed_by_the_image(unit: Bench, sam: httpx.Client) -> None:
    now = str(unit.snapshot["loops"]["TIC101"]["sp"])
    answer = unit.command(sam, "set_sp", target="TIC101", value="35.5", expected=now)
    assert answer.status_code == 200, answer.text
    assert in_order(follow(unit, answer.json()["id"], "confirmed"))
    wait_until(lambda: unit.snapshot["loops"]["TIC101"]["sp"] == 35.5)


def test_a_setpoint_seen_on_an_old_screen_is_refused(unit: Bench, sam: httpx.Client) -> None:
    answer = unit.command(sam, "set_sp", target="TIC101", value="36", expected="12.5")
    assert (answer.status_code, answer.json()["kind"]) == (409, "stale")
    wait_until(lambda: int(unit.snapshot["mono_ns"]) > 40 * NS_PER_S, 20)
    old = unit.command(sam, "set_sp", target="TIC101", value="36", expected="35.5", seen="1")
    assert (old.status_code, old.json()["kind"]) == (409, "stale")
    assert "old" in old.json()["why"]


def test_a_mode_is_confirmed_by_the_image(unit: Bench, sam: httpx.Client) -> None:
    answer = unit.command(sam, "set_mode", target="WIC101", value="manual", expected="off")
    assert in_order(follow(unit, answer.json()["id"], "confirmed"))


def test_a_valve_is_confirmed_by_its_proven_position(unit: Bench, sam: httpx.Client) -> None:
    answer = unit.command(sam, "set_output", "sam", target="xv201", value="1", expected="0",
                          reason="flush the line")  # fmt: skip
    assert answer.status_code == 200, answer.text
    assert in_order(follow(unit, answer.json()["id"], "confirmed"))
    assert unit.snapshot["tags"]["XV201_ZSO"][0] == 1.0


def test_a_pump_is_confirmed_by_what_the_device_reads_back(
    unit: Bench, sam: httpx.Client
) -> None:
    answer = unit.command(sam, "set_output", "sam", target="feed", value="9", expected="0",
                          reason="flush the line")  # fmt: skip
    assert in_order(follow(unit, answer.json()["id"], "confirmed"))
    assert abs(unit.snapshot["tags"]["ST_FEED"][0] - 9) < 0.5
    off = unit.command(sam, "set_output", "sam", target="feed", value="0", expected="9",
                       reason="flushed")  # fmt: skip
    assert in_order(follow(unit, off.json()["id"], "confirmed"))


def test_what_field_refuses_is_shown_as_refused(unit: Bench, sam: httpx.Client) -> None:
    answer = unit.command(sam, "set_output", "sam", target="stirrer", value="9999", expected="0",
                          reason="too fast")  # fmt: skip
    assert answer.status_code == 200  # accepted by the desk; field alone knows the range
    states = follow(unit, answer.json()["id"], "refused")
    assert "confirmed" not in states
    assert "range" in shown(unit, answer.json()["id"])["why"]


def test_a_run_from_start_over_hold_to_abort_by_its_buttons(unit: Bench) -> None:
    """Start, hold by nobody, identify, restart, stop short of the rest by abort."""
    with unit.client("olivia") as olivia, unit.client() as nobody:
        wait_until(lambda: unit.snapshot["procedure"]["state"] == "Idle")
        started = unit.command(olivia, "start", "olivia", expected="Idle")
        assert started.status_code == 200, started.text
        assert in_order(follow(unit, started.json()["id"], "confirmed"))
        again = unit.command(olivia, "start", "olivia", expected="Idle")
        assert again.status_code == 409
        held = nobody.post("/api/hold", json={"pressed_ms": 1300})
        assert held.status_code == 200, held.text
        assert in_order(follow(unit, held.json()["id"], "confirmed"))
        assert unit.snapshot["procedure"]["restart_needs_identity"] is True
        orders = unit.snapshot["orders"]["restart"]
        assert not orders["allowed"]
        assert "who it was" in orders["why"]
        refused = unit.command(olivia, "restart", "olivia", expected="Held", reason="all is well")
        assert refused.status_code == 409
        named = unit.command(olivia, "identify_hold", value="Olivia", expected="Held",
                             reason="I pressed it")  # fmt: skip
        assert named.status_code == 200, named.text
        wait_until(lambda: not unit.snapshot["procedure"]["restart_needs_identity"])
        restarted = unit.command(olivia, "restart", "olivia", expected="Held", reason="all is well")
        assert restarted.status_code == 200, restarted.text
        assert in_order(follow(unit, restarted.json()["id"], "confirmed"))
        ended = unit.command(olivia, "abort", "sam", expected="Running", reason="the set leaks")
        assert ended.status_code == 200, ended.text
        assert in_order(follow(unit, ended.json()["id"], "confirmed"))
        assert unit.snapshot["orders"]["end_environment"]["allowed"]
        for event in unit.records("signature.given"):
            assert event.data["user"] in ("olivia", "sam")


def test_an_alarm_is_acknowledged_once_and_on_what_was_shown(unit: Bench) -> None:
    with unit.client("olivia") as olivia:
        wait_until(lambda: any("UNACK" in a["state"] for a in unit.snapshot["alarms"]))
        alarm = next(a for a in unit.snapshot["alarms"] if "UNACK" in a["state"])
        old = unit.command(olivia, "acknowledge", target=alarm["name"], expected="UNACK@1")
        assert old.json()["kind"] == "stale"
        answer = unit.command(
            olivia, "acknowledge", target=alarm["name"], expected=alarm["expected"]
        )
        assert answer.status_code == 200, answer.text
        assert in_order(follow(unit, answer.json()["id"], "confirmed"))


def test_a_valve_that_does_not_move_is_not_confirmed(unit: Bench, sam: httpx.Client) -> None:
    unit.within(lambda: unit.rig.field.set_fault("skid_frozen", True))
    try:
        answer = unit.command(sam, "set_output", "sam", target="xv202", value="1", expected="0",
                              reason="flush the waste line")  # fmt: skip
        states = follow(unit, answer.json()["id"], "not_confirmed", 30)
        assert "confirmed" not in states
        assert shown(unit, answer.json()["id"])["why"]
    finally:
        unit.within(lambda: unit.rig.field.set_fault("skid_frozen", False))


def test_a_bypass_is_confirmed_while_it_stands_and_shows_what_is_done_instead(
    unit: Bench, sam: httpx.Client
) -> None:
    bare = unit.command(sam, "bypass", "sam", "quinn", target="17", value="600", reason="probe")
    assert (bare.status_code, bare.json()["kind"]) == (422, "bad_input")
    assert "compensating measure" in bare.json()["why"]
    answer = unit.command(sam, "bypass", "sam", "quinn", target="17", reason="probe",
                          value="600;oxygen is read by hand")  # fmt: skip
    assert answer.status_code == 200, answer.text
    assert in_order(follow(unit, answer.json()["id"], "confirmed"))
    (row,) = [cause for cause in unit.snapshot["causes"] if cause["row"] == "17"]
    assert (row["bypassed"], row["measure"]) == (True, "oxygen is read by hand")
    assert 0 < row["bypass_s"] <= 600
    (opened,) = unit.records("deviation.opened")
    assert (opened.data["second"], opened.actor) == ("quinn@station", "sam@station")
    end = unit.command(sam, "bypass", "sam", "quinn", target="17", value="0", reason="done")
    assert in_order(follow(unit, end.json()["id"], "confirmed"))
    assert len(unit.records("deviation.opened")) == 1
