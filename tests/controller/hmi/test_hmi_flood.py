"""Nobody can take Hold away: not by connections, not by presses, not by watching."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from hmi_bench import MARK, Bench, bench, wait_until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from controller.core.errors import Refused
from controller.hmi import limits
from controller.hmi.lines import Lines
from controller.hmi.rows import ended_sessions
from controller.people.session import Sessions

PRESS = {"pressed_ms": 1200}


def _connections(unit: Bench, count: int) -> list[socket.socket]:
    port = int(unit.url.rsplit(":", 1)[1])
    return [socket.create_connection(("127.0.0.1", port), 5) for _ in range(count)]


def _ended(line: socket.socket, seconds: float) -> bool:
    line.settimeout(seconds)
    try:
        return line.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.mark.parametrize("tls", [False, True])
def test_450_connections_that_say_nothing_keep_nobody_from_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: bool
) -> None:
    monkeypatch.setattr("controller.hmi.lines.HEAD_S", 2.0)
    with bench(tmp_path, tls=tls) as unit:
        silent = _connections(unit, 450)
        try:
            for _ in range(3):
                answer = httpx.post(unit.url + "/api/hold", json=PRESS, headers=MARK,
                                    verify=False, timeout=10)  # fmt: skip  # noqa: S501
                assert (answer.status_code, answer.json()["why"]) == (409, "no batch is open")
            assert all(_ended(line, 10) for line in silent)
        finally:
            for line in silent:
                line.close()


@pytest.mark.parametrize("said", [b"POST /api/hold HTTP/1.1\r\nHost: 127.0.0.1\r\n", b""])
def test_a_connection_without_a_whole_head_is_ended_and_a_feed_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr("controller.hmi.lines.HEAD_S", 0.5)
    monkeypatch.setattr("controller.hmi.lines.REQUEST_S", 0.5)
    with bench(tmp_path) as unit, unit.feed() as feed:
        feed.recv(5)
        (line,) = _connections(unit, 1)
        with line:
            line.sendall(said)
            assert _ended(line, 5)
        for _ in range(10):
            feed.recv(5)


def test_a_head_that_comes_in_drops_has_no_longer_than_one_that_does_not_come() -> None:
    now = [0.0]
    lines, (left, right) = Lines(lambda: now[0]), socket.socketpair()
    with left, right:
        peer = ("192.0.2.1", 7)
        assert lines.came(peer, left)
        for _ in range(6):
            lines.begins(peer)
            now[0] += limits.HEAD_S / 5
            lines.end_late()
        assert len(lines) == 0


def test_who_only_waits_makes_room_and_another_address_is_not_touched() -> None:
    lines, pairs = Lines(lambda: 0.0), []
    for number in range(limits.ADDRESS_LINES_MAX + 1):
        pairs.append(socket.socketpair())
        assert lines.came(("192.0.2.1", number), pairs[-1][0])
    assert len(lines) == limits.ADDRESS_LINES_MAX
    assert pairs[0][1].recv(1) == b""
    for number in range(1, limits.ADDRESS_LINES_MAX + 1):
        lines.asks(("192.0.2.1", number))
    pairs += [socket.socketpair(), socket.socketpair()]
    assert not lines.came(("192.0.2.1", 900), pairs[-1][0])
    assert lines.came(("192.0.2.2", 900), pairs[-2][0])
    assert limits.LOCAL_LINES_MAX >= limits.CLIENTS_MAX + 100
    for pair in pairs:
        for end in pair:
            end.close()


def test_a_hold_beyond_the_rate_is_carried_out_and_shared_not_turned_away(tmp_path: Path) -> None:
    with bench(tmp_path, "running", speed=5.0) as unit, unit.client("sam") as sam:
        wait_until(lambda: unit.snapshot["procedure"]["state"] == "Running")
        before = len(unit.events)
        with unit.client() as stranger, ThreadPoolExecutor(20) as many:
            presses = [many.submit(stranger.post, "/api/hold", json=PRESS) for _ in range(19)]
            presses.append(many.submit(sam.post, "/api/hold", json=PRESS))
            codes = {press.result().status_code for press in presses}
        assert codes <= {200, 409}, codes
        assert 200 in codes
        asked = unit.records("command.intent", "command.refused", since=before)
        assert 5 <= len(asked) <= 12
        wait_until(lambda: unit.snapshot["procedure"]["state"] == "Held")


def test_a_hold_at_a_desk_full_of_holds_is_no_refusal(tmp_path: Path) -> None:
    with bench(tmp_path) as unit, unit.client() as client:
        full = [("held", None)] * 64
        unit.stalled.set()
        unit.rig.supervisor.desk._holds.extend(full)  # type: ignore[arg-type]
        answer = client.post("/api/hold", json=PRESS)
        unit.rig.supervisor.desk._holds.clear()
        unit.stalled.clear()
    assert answer.status_code == 504
    assert "Hold is carried out" in answer.json()["why"]


def test_one_log_in_cannot_have_all_the_feeds(tmp_path: Path) -> None:
    with bench(tmp_path) as unit, unit.client("olivia") as olivia:
        cookie = {"Cookie": f"{unit.cookie}={olivia.cookies[unit.cookie]}"}
        address = unit.url.replace("http", "ws", 1) + "/api/feed"
        with ExitStack() as open_:
            for _ in range(8):
                open_.enter_context(connect(address, additional_headers=cookie)).recv(5)
            with pytest.raises((InvalidStatus, ConnectionClosed)):
                open_.enter_context(connect(address, additional_headers=cookie)).recv(5)
            assert open_.enter_context(unit.feed("quinn")).recv(5)


def test_the_cookie_of_another_port_is_left_alone(tmp_path: Path) -> None:
    with bench(tmp_path) as unit, unit.client("olivia") as client:
        client.cookies.set("cellwright-1", "of another station")
        assert client.get("/api/me").json()["user"] == "olivia"
        out = client.post("/api/logout")
        assert out.headers["set-cookie"].startswith(f"{unit.cookie}=")
        assert "cellwright-1" not in out.headers["set-cookie"]


def test_what_the_accounts_refuse_is_said_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*given: object) -> None:
        raise Refused("the accounts cannot be read or written: disk I/O error")

    with bench(tmp_path) as unit, unit.client("olivia") as client:
        monkeypatch.setattr(Sessions, "touch", refused)
        answer = unit.command(client, "acknowledge", target="row:8", expected="x")
    assert (answer.status_code, answer.json()["kind"]) == (503, "refused")
    assert "disk I/O error" in answer.json()["why"]


def test_a_log_out_the_disk_did_not_take_is_not_undone_by_a_restart(tmp_path: Path) -> None:
    with bench(tmp_path) as unit, unit.client("olivia") as client:
        row = unit.people._store.read("SELECT * FROM sessions")[0]
        assert client.post("/api/logout").status_code == 200
        unit.records("session.ended")
    log = unit.rig.station.supervisor.station_log
    assert row[0] in ended_sessions((log.directory, log.size))
    assert row[0] not in ended_sessions((log.directory, 0))
    with unit.people._store.change() as db:
        db.execute("INSERT INTO sessions VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    unit.people.sessions = Sessions(unit.people._store, unit.people.random)
    assert len(unit.people.sessions.all()) == 1
    front = unit.screen._front
    assert front is not None
    front._logs = [(log.directory, log.size)]
    front.begin()
    assert unit.people.sessions.all() == []
