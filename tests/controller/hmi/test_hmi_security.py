"""What strangers, other pages and bad input get from the server: nothing, and a record."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from hmi_bench import MARK, Bench, bench, read_until_closed, wait_until
from hmi_rig import password_of
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from controller.core.clock import NS_PER_S
from controller.core.errors import BadInput, RecordFailure
from controller.hmi.screen import Screen, ScreenOptions

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("security"), "opened") as made:
        yield made


@pytest.mark.parametrize(
    "path",
    ["/api/me", "/api/unit", "/api/history?tags=TT101&from_s=0&to_s=9", "/api/record",
     "/api/users"],
)  # fmt: skip
def test_nobody_reads_anything_without_a_session(unit: Bench, path: str) -> None:
    with unit.client() as client:
        answer = client.get(path)
    assert answer.status_code == 401
    assert answer.json()["accepted"] is False


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/redoc", "/../pyproject.toml",
                                  "/%2e%2e/%2e%2e/pyproject.toml", "/api/nothing"])  # fmt: skip
def test_nothing_is_served_but_the_pages_and_the_routes(unit: Bench, path: str) -> None:
    with unit.client("olivia") as client:
        assert client.get(path).status_code == 404


def test_a_command_without_a_session_is_refused_and_recorded_in_the_station_log(
    unit: Bench,
) -> None:
    before = len(unit.events)
    with unit.client() as client:
        answer = unit.command(client, "start", reason=SCRIPT)
    assert answer.status_code == 401
    found = unit.records("command.refused", since=before)
    assert [event.actor for event in found] == ["unidentified person@station"]
    log = unit.rig.station.supervisor.station_log
    kept = unit.within(lambda: [r for r in log.records() if r["event"] == "command.refused"])
    assert kept[-1]["reason"] == SCRIPT[:200]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "rebound.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"X-Cellwright": "0"}, 403),
    ],
)
def test_a_page_of_another_origin_may_not_even_hold(
    unit: Bench, headers: dict[str, str], status: int
) -> None:
    before = len(unit.events)
    with unit.client() as client:
        answer = client.post("/api/hold", json={"pressed_ms": 1500}, headers=headers)
    assert answer.status_code == status
    assert unit.records("command.intent", "command.refused", since=before) == []


def test_the_own_origin_may_ask(unit: Bench) -> None:
    with unit.client() as client:
        answer = client.post(
            "/api/hold", json={"pressed_ms": 5}, headers={"Origin": unit.url}
        )
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("pressed", [0, 999, 60_001, "1500", 1500.5, None, True])
def test_a_press_that_was_not_deliberate_does_not_hold(unit: Bench, pressed: object) -> None:
    before = len(unit.events)
    with unit.client("olivia") as client:
        answer = client.post("/api/hold", json={"pressed_ms": pressed})
    assert (answer.status_code, answer.json()["kind"]) == (422, "bad_input")
    assert unit.records("command.intent", "command.refused", since=before) == []


def test_a_reason_of_a_megabyte_is_refused_before_it_is_read(unit: Bench) -> None:
    before = len(unit.events)
    with unit.client("olivia") as client:
        answer = unit.command(client, "restart", reason="x" * 1_000_000)
        piecewise = client.post(
            "/api/command", content=(b"x" * 1000 for _ in range(100)),
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        long = unit.command(client, "restart", reason="x" * 1_001)
    assert (answer.status_code, piecewise.status_code) == (413, 413)
    assert (long.status_code, long.json()["kind"]) == (422, "bad_input")
    assert unit.records("command.intent", "command.refused", since=before) == []


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b"\xff\xfe", b'{"verb": 7}', b'{"verb": "start", "seen": "now"}',
     b'{"verb": "start", "seen": "1", "admin": true}', b"[" * 30_000,
     b'{"verb": "start", "seen": "1", "signatures": [{}, {}, {}]}'],
)  # fmt: skip
def test_what_is_no_command_is_bad_input_and_is_not_sent_back(unit: Bench, body: bytes) -> None:
    with unit.client("olivia") as client:
        answer = client.post(
            "/api/command", content=body, headers={"Content-Type": "application/json"}
        )
    assert answer.status_code == 422, answer.text
    assert answer.json()["kind"] == "bad_input"


def test_html_in_a_reason_stays_text_and_no_answer_can_run_it(unit: Bench) -> None:
    with unit.client("sam") as client:
        answer = unit.command(client, "reset", target="1", expected="latched", reason=SCRIPT)
        assert answer.status_code == 409
        wait_until(lambda: SCRIPT in str(client.get("/api/record?limit=20").json()))
        rows = client.get("/api/record?limit=20")
        page = client.get("/")
    assert rows.headers["content-type"] == "application/json"
    for found in (rows, page, answer):
        policy = found.headers["content-security-policy"]
        script = next(p for p in policy.split(";") if p.strip().startswith("script-src"))
        assert script.strip() == "script-src 'self'"
        assert "frame-ancestors 'none'" in policy
        assert found.headers["x-content-type-options"] == "nosniff"
        assert found.headers["referrer-policy"] == "no-referrer"
    assert rows.headers["cache-control"] == "no-store"


def test_a_control_character_is_refused(unit: Bench) -> None:
    with unit.client("sam") as client:
        answer = unit.command(client, "reset", target="1", expected="latched", reason="a\nb\x1b[2J")
    assert answer.status_code == 422, answer.text


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(unit: Bench) -> None:
    with unit.client() as client:
        answer = client.post(
            "/api/login", json={"user": "olivia", "password": password_of("olivia")}
        )
        assert answer.status_code == 200
        assert answer.json()["role"] == "operator"
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert client.get("/api/me").json()["user"] == "olivia"
        assert client.post("/api/logout").status_code == 200
        client.cookies.set(unit.cookie, cookie.split("=", 1)[1].split(";")[0])
        assert client.get("/api/me").status_code == 401


@pytest.mark.parametrize(
    "headers", [{}, {"Cookie": "cellwright-1=" + "0" * 64}, {"Origin": "https://elsewhere.example"}]
)
def test_the_feed_is_closed_to_strangers_and_to_pages_of_others(
    unit: Bench, headers: dict[str, str]
) -> None:
    if "Origin" in headers:
        with unit.client("olivia") as client:
            headers = {**headers, "Cookie": f"{unit.cookie}={client.cookies[unit.cookie]}"}
    address = unit.url.replace("http", "ws", 1) + "/api/feed"
    with (
        pytest.raises((InvalidStatus, ConnectionClosed)),
        connect(address, additional_headers=headers) as feed,
    ):
        feed.recv(3)


def test_a_disabled_user_sees_and_does_nothing_any_more(tmp_path: Path) -> None:
    with bench(tmp_path) as unit, unit.client("olivia") as client, unit.feed("olivia") as feed:
        assert client.get("/api/me").status_code == 200
        with unit.client("ada") as admin:
            answer = admin.post("/api/users/olivia/disable", json={"reason": "left the site"})
            assert answer.status_code == 200
        assert client.get("/api/me").status_code == 401
        assert client.get("/api/unit").status_code == 401
        assert unit.command(client, "acknowledge", target="row:8").status_code == 401
        with pytest.raises(ConnectionClosed):
            read_until_closed(feed)
        with unit.client() as stranger:
            body = {"user": "olivia", "password": password_of("olivia")}
            assert stranger.post("/api/login", json=body).status_code == 401


def test_wrong_passwords_are_delayed_then_locked_with_an_event(tmp_path: Path) -> None:
    with bench(tmp_path) as unit, unit.client() as client:
        wrong = {"user": "olivia", "password": "this is not the password"}
        codes, locked = [], False
        for _ in range(9):
            answer = client.post("/api/login", json=wrong)
            codes.append(answer.status_code)
            if answer.status_code == 423:
                locked = "locked" in answer.json()["why"]
                if locked:
                    break
                ahead = round(answer.json()["wait_s"] * NS_PER_S) + NS_PER_S
                unit.within(lambda ns=ahead: _skip(unit, ns))
        assert codes[0] == 401
        assert 423 in codes
        assert locked
        right = {"user": "olivia", "password": password_of("olivia")}
        assert client.post("/api/login", json=right).status_code == 423
        assert len(unit.records("account.locked")) == 1
        assert "this is not the password" not in str(unit.events)


def _skip(unit: Bench, ns: int) -> None:
    """Lets the rig's time go on."""
    end = unit.rig.clock.now_ns + ns
    while unit.rig.clock.now_ns < end:
        unit.rig.step(end)
    unit.restart_pace()
    unit.screen._built_s = -1.0
    unit.screen.turn(unit.rig.clock.stamp())
    time.sleep(0.05)


def test_more_than_ten_log_ins_a_minute_from_one_address_are_not_looked_at(tmp_path: Path) -> None:
    with bench(tmp_path) as unit, unit.client() as client:
        body = {"user": "stranger", "password": "wrong wrong wrong"}
        codes = [client.post("/api/login", json=body).status_code for _ in range(12)]
        assert codes[10:] == [429, 429]
        assert 429 not in codes[:10]
        assert client.post("/api/hold", json={"pressed_ms": 1000}).status_code != 429


def test_too_many_commands_a_second_are_not_looked_at(unit: Bench) -> None:
    with unit.client("aud") as client:
        body = {"verb": "start", "seen": "1"}

        def ask(_number: int) -> int:
            return client.post("/api/command", json=body).status_code

        # Side by side, so that a slow machine also gets too many of them within a second.
        with ThreadPoolExecutor(8) as crowd:
            codes = set(crowd.map(ask, range(160)))
    assert 429 in codes


def test_with_tls_the_certificate_is_the_stations_own_and_the_cookie_secure(
    tmp_path: Path,
) -> None:
    with bench(tmp_path, tls=True) as unit:
        assert unit.url.startswith("https://127.0.0.1:")
        cert = tmp_path / "tls" / "cert.pem"
        assert (tmp_path / "tls" / "key.pem").stat().st_mode & 0o77 == 0
        assert json.loads((tmp_path / "screen.json").read_text()) == {"url": unit.url}
        context = ssl.create_default_context(cafile=str(cert))
        with httpx.Client(base_url=unit.url, verify=context, headers=MARK) as client:
            answer = client.post(
                "/api/login", json={"user": "quinn", "password": password_of("quinn")}
            )
            assert answer.status_code == 200
            assert "; Secure" in answer.headers["set-cookie"]
            assert client.get("/api/me").json()["role"] == "qa"
        assert len(unit.screen.fingerprint) == 95


def test_a_log_in_whose_record_cannot_be_kept_does_not_count_and_hold_still_works(
    tmp_path: Path,
) -> None:
    with bench(tmp_path, "running", speed=5.0) as unit, unit.client() as client:
        wait_until(lambda: unit.snapshot["procedure"]["state"] == "Running")
        failure = RecordFailure("no space left on the disk")
        unit.within(lambda: unit.rig.supervisor.log_failed(failure, unit.rig.clock.stamp()))
        wait_until(lambda: "no space left" in unit.snapshot["log"]["failed"])
        body = {"user": "olivia", "password": password_of("olivia")}
        answer = client.post("/api/login", json=body)
        assert answer.status_code == 504, answer.text
        assert "set-cookie" not in answer.headers
        assert client.get("/api/me").status_code == 401
        with unit.client("sam") as sam:
            refused = unit.command(sam, "set_sp", target="TIC101", value="36", expected="33")
            assert refused.status_code == 409
            assert "log cannot be written" in refused.json()["why"]
            held = sam.post("/api/hold", json={"pressed_ms": 1000})
            assert held.json()["kind"] in ("accepted", "refused")
            assert "log" not in held.json()["why"]


def test_a_session_that_was_idle_shows_and_does_not_command(unit: Bench) -> None:
    with unit.client("sam") as client, unit.feed(client=unit.client("sam")) as feed:
        session = unit.people.sessions.by_token(client.cookies[unit.cookie])
        idle, unit.people.sessions.idle_s = unit.people.sessions.idle_s, 0.0
        try:
            answer = unit.command(client, "reset", target="8", expected="latched", reason="idle")
            me = client.get("/api/me")
            seq = json.loads(feed.recv(5))["seq"]
            assert json.loads(feed.recv(5))["seq"] >= seq
        finally:
            unit.people.sessions.idle_s = idle
    assert session is not None
    assert answer.status_code == 401
    assert "idle" in answer.json()["why"]
    assert me.json()["view_only"] is True


def test_strangers_fill_no_log(tmp_path: Path) -> None:
    with bench(tmp_path) as unit, unit.client() as client:
        body = {"verb": "start", "seen": "1"}
        codes = [client.post("/api/command", json=body).status_code for _ in range(35)]
        assert codes[:30] == [401] * 30
        assert codes[30:] == [429] * 5
        assert len(unit.records("command.refused")) == 30


def test_an_address_that_is_taken_is_said_at_the_start(tmp_path: Path, unit: Bench) -> None:
    port = int(unit.url.rsplit(":", 1)[1])
    other = Screen(unit.rig.station, unit.people, ScreenOptions(tls=False, port=port))
    with pytest.raises(BadInput, match=str(port)):
        other.start(unit.rig.clock.stamp())
