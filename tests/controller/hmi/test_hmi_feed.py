"""The feed: what it says, to whom, when the producer stalls, and when somebody is slow."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hmi_bench import Bench, bench, read_until_closed, wait_until
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus

from controller.core.clock import NS_PER_S
from controller.hmi import limits
from controller.hmi.feed import BY_NAME, Client, Feed, delta, encode

KEYS = {
    "seq", "scan", "generation", "mono_ns", "utc", "speed", "scan_age_ms", "links", "tags",
    "loops", "outputs", "causes", "not_valid", "not_confirmed", "procedure", "prompts", "orders",
    "alarms",
    "commands", "since", "records", "log", "health", "hidden_alarms", "horn",
}  # fmt: skip
PARTS = {
    "loops": {"sp", "op", "mode", "tracking", "fallback"},
    "outputs": {"request", "value", "forced_by", "adopting", "proof"},
    "links": {"state", "age_ms"},
    "orders": {"allowed", "why", "consequence"},
}
ROWS = {
    "causes": {"row", "title", "kind", "active", "latched", "bypassed", "first_out", "order", "bad",
               "holds", "place", "group", "valid", "bypass_s", "measure", "missing"},
    "not_valid": {"row", "title", "why"},
    "prompts": {"prompt_id", "path", "kind", "text", "unit", "low", "high", "people", "options",
                "repeat"},
    "alarms": {"name", "state", "priority", "text", "since", "expected"},
    "commands": {"id", "verb", "target", "value", "who", "state", "why"},
}  # fmt: skip


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("feed"), "running", speed=20.0) as made:
        yield made


def merged(whole: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """What a page makes of a delta, written from the contract."""
    assert change["base"] == whole["seq"]
    result = dict(whole)
    for key, value in change.items():
        if key in ("type", "base"):
            continue
        if key in BY_NAME:
            entries = {**whole[key], **value}
            result[key] = {k: v for k, v in entries.items() if v is not None}
        else:
            result[key] = value
    return result


def test_a_full_frame_has_every_key_of_the_contract_and_no_other(unit: Bench) -> None:
    wait_until(lambda: unit.snapshot["prompts"] and unit.snapshot["alarms"], 20)
    with unit.feed() as feed:
        full = json.loads(feed.recv(5))
    assert full.pop("type") == "full"
    assert set(full) == KEYS
    for key, fields in PARTS.items():
        assert full[key], key
        assert all(set(entry) == fields for entry in full[key].values()), key
    for key, fields in ROWS.items():
        assert all(fields <= set(row) for row in full[key]), key
    assert {"batch_id", "state", "recipe", "use", "notice", "restart_needs_identity", "set_lot",
            "identity", "opened_by", "opened_utc", "changes", "causes", "places",
            "tree"} == set(full["procedure"])  # fmt: skip
    assert full["procedure"]["notice"] == "NOT FOR HUMAN USE"
    assert full["procedure"]["use"] == "virtual"
    assert full["procedure"]["tree"][0]["depth"] == 0
    places = full["procedure"]["places"]
    assert {"path", "title", "state", "text", "elapsed_s", "remaining_s", "waits_for", "logic",
            "step", "steps", "parts", "unknown", "timeout", "next", "causes"} == set(
        places[0]
    )  # fmt: skip
    value, quality, reason, age = full["tags"]["TT101"]
    assert (quality, reason, age) == ("good", "", 0)
    assert 15 < value < 40
    assert isinstance(full["mono_ns"], str)
    assert full["speed"] == 20.0


def test_deltas_add_up_to_the_whole(unit: Bench) -> None:
    with unit.feed() as feed:
        whole = json.loads(feed.recv(5))
        del whole["type"]
        for _ in range(15):
            change = json.loads(feed.recv(5))
            assert change["type"] == "delta"
            whole = merged(whole, change)
            shown = unit.snapshot
            if shown["seq"] == whole["seq"]:
                assert whole == json.loads(encode(shown))
    assert whole["seq"] > 10


entries = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2), max_size=4)
snapshots = st.fixed_dictionaries({"tags": entries, "causes": st.lists(st.integers(0, 2))})


@given(snapshots, snapshots)
def test_any_delta_on_any_snapshot_gives_the_next_one(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    old, new = {"seq": 1, **old}, {"seq": 2, **new}
    assert merged(old, json.loads(encode(delta(old, new)))) == new


def test_while_somebody_watches_there_are_at_most_five_snapshots_a_second(unit: Bench) -> None:
    with unit.feed() as feed:
        feed.recv(5)
        began, first = time.monotonic(), unit.snapshot["seq"]
        while time.monotonic() - began < 2.0:
            feed.recv(5)
        built, took_s = unit.snapshot["seq"] - first, time.monotonic() - began
    assert 2 < built <= 5.2 * took_s + 1


def test_a_stalled_producer_gives_beats_with_the_same_number_and_no_snapshot(
    unit: Bench,
) -> None:
    with unit.feed() as feed:
        feed.recv(5)
        unit.stalled.set()
        try:
            beats, seen = [], []
            end = time.monotonic() + 4.5
            while time.monotonic() < end and len(beats) < 3:
                message = json.loads(feed.recv(3))
                (beats if message["type"] == "beat" else seen).append(message["seq"])
            assert len(beats) == 3
            assert set(beats) == {unit.snapshot["seq"]}
            with unit.feed(client=unit.client("sam")) as late:
                first = json.loads(late.recv(3))
                assert (first["type"], first["seq"]) == ("full", unit.snapshot["seq"])
        finally:
            unit.stalled.clear()
            unit.within(unit.restart_pace)
        assert any(json.loads(feed.recv(3))["type"] == "delta" for _ in range(5))


def test_a_command_that_was_not_answered_in_time_is_never_carried_out(tmp_path: Path) -> None:
    with bench(tmp_path) as unit, unit.client("sam") as client:
        wait_until(lambda: unit.snapshot["seq"] > 2)
        unit.stalled.set()
        answer = unit.command(
            client, "set_sp", target="TIC101", value="35", expected="33", reason="late"
        )
        hold = client.post("/api/hold", json={"pressed_ms": 1100})
        before = len(unit.events)
        assert (answer.status_code, answer.json()["kind"]) == (504, "expired")
        assert "not carried out" in answer.json()["why"]
        assert hold.status_code == 504
        assert "emergency stop" in hold.json()["why"]
        # Live, field and its clock go on while the supervisor stands still.
        later_ns = unit.rig.clock.now_ns + 4 * NS_PER_S
        while unit.rig.field.run(later_ns) < later_ns:
            pass
        unit.rig.clock.advance_to(later_ns)
        unit.stalled.clear()
        wait_until(lambda: len(unit.records("command.refused", since=before)) == 2)
        found = [e.data for e in unit.records("command.refused", since=before)]
        assert [(d["verb"], "too late" in d["why"]) for d in found] == [
            ("hold", False), ("set_sp", True),
        ]  # fmt: skip
        assert unit.records("command.intent") == []


def test_fifty_clients_all_advance(unit: Bench) -> None:
    users = ["olivia", "sam", "quinn", "emil", "aud"] * 10
    with ExitStack() as open_:
        feeds = [open_.enter_context(unit.feed(user)) for user in users]
        first = unit.snapshot["seq"]
        reached = [0] * len(feeds)

        def read(number: int) -> None:
            while reached[number] < first + 5:
                reached[number] = json.loads(feeds[number].recv(5))["seq"]

        readers = [threading.Thread(target=read, args=(n,)) for n in range(len(feeds))]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(20)
        assert min(reached) >= first + 5
    wait_until(lambda: not unit.screen._front.feed.clients)


def test_the_hundred_and_first_client_is_refused_and_the_others_go_on(
    unit: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.hmi.feed.CLIENTS_MAX", 2)
    with unit.feed() as one, unit.feed("sam") as two:
        assert json.loads(one.recv(5))["type"] == "full"
        assert json.loads(two.recv(5))["type"] == "full"
        with pytest.raises(InvalidStatus), unit.feed("quinn") as three:
            three.recv(5)
        seq = json.loads(one.recv(5))["seq"]
        assert json.loads(one.recv(5))["seq"] > seq
    assert limits.CLIENTS_MAX == 100


def test_a_slow_client_skips_what_came_in_between_and_gets_the_whole() -> None:
    async def story() -> list[dict[str, Any]]:
        feed, got, gate = Feed(), [], asyncio.Event()

        async def send(text: str) -> None:
            await gate.wait()
            got.append(json.loads(text))

        feed.publish({"seq": 1, "tags": {"a": 1}})
        client = Client(send, lambda: True)
        serving = asyncio.create_task(feed.serve(client))
        await asyncio.sleep(0)
        for seq in range(2, 50):
            feed.publish({"seq": seq, "tags": {"a": seq}})
        gate.set()
        while len(got) < 2:
            await asyncio.sleep(0.01)
        feed.publish({"seq": 50, "tags": {"a": 50}})
        while len(got) < 3:
            await asyncio.sleep(0.01)
        serving.cancel()
        assert client.skipped == 1
        return got

    first, second, third = asyncio.run(story())
    assert (first["type"], first["seq"]) == ("full", 1)
    assert (second["type"], second["seq"]) == ("full", 49)
    assert (third["type"], third["base"], third["seq"]) == ("delta", 49, 50)


def test_a_client_that_takes_nothing_holds_up_nobody_and_is_dropped(
    unit: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.hmi.feed.SEND_S", 0.5)
    front = unit.screen._front
    wait_until(lambda: not front.feed.clients)
    with unit.feed("sam") as stuck:
        stuck.recv(5)
        client = next(iter(front.feed.clients))

        async def never(text: str) -> None:
            await asyncio.sleep(3600)

        client.send = never
        with unit.feed() as feed:
            feed.recv(5)
            seqs = [json.loads(feed.recv(5))["seq"] for _ in range(6)]
            assert seqs == sorted(set(seqs))
        wait_until(lambda: client not in front.feed.clients)
        with pytest.raises(ConnectionClosed) as closed:
            read_until_closed(stuck)
    assert closed.value.rcvd.code == 1008


def test_a_server_that_ends_is_a_record_and_comes_back_at_the_same_address(
    tmp_path: Path,
) -> None:
    with bench(tmp_path) as unit:
        with unit.feed() as feed:
            feed.recv(5)
            url, scans = unit.screen.url, unit.rig.station.board.scan

            def fault(snapshot: object) -> None:
                raise ValueError("a fault nobody foresaw")

            unit.screen._front.feed.publish = fault
            wait_until(lambda: unit.records("face.lost"))
            with pytest.raises(ConnectionClosed):
                read_until_closed(feed)
        assert "nobody foresaw" in unit.records("face.lost")[0].data["why"]
        wait_until(lambda: unit.screen._server.alive and unit._up())
        assert unit.screen.url == url
        with unit.feed("sam") as feed:
            seq = json.loads(feed.recv(5))["seq"]
            assert json.loads(feed.recv(5))["seq"] > seq
        assert unit.rig.station.board.scan > scans
        assert len(unit.records("face.lost")) == 1


def test_a_fault_in_what_is_shown_stops_no_tick(tmp_path: Path) -> None:
    with bench(tmp_path) as unit:

        def fault(*given: object) -> None:
            raise KeyError("no such thing")

        unit.screen._snapshots.build = fault
        wait_until(lambda: unit.records("face.lost"))
        scan = unit.rig.station.board.scan
        wait_until(lambda: unit.rig.station.board.scan > scan + 5)
        with unit.client() as client:
            assert client.post("/api/hold", json={"pressed_ms": 1000}).status_code == 409
