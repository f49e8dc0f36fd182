"""What keeps the screen from starting or going on keeps no batch from it, and is tried again."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
from hmi_bench import bench, wait_until
from hmi_rig import demo_people, make

from controller.cli.screen import ScreenAsked, people_of, serve_screen
from controller.core.clock import VirtualClock
from controller.core.errors import BadInput, Refused
from controller.hmi.screen import ADDRESS, Screen, ScreenOptions
from controller.hmi.tls import certificate, fingerprint
from controller.people.demo import add_demo_users
from controller.people.people import People
from controller.record.state import StateDir
from hil_sim.rig.rig import Rig


def _live(rig: Rig, batch_id: str) -> SimpleNamespace:
    said: list[str] = []
    return SimpleNamespace(station=rig.station, batch_id=batch_id, missing=list, heard=said,
                           opened=lambda batch: None, said=said.append)  # fmt: skip


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made, screen = make(tmp_path, 1.0, "opened")
    screen.close()
    return made


def test_a_port_that_is_taken_with_a_batch_open_is_recorded_and_the_screen_comes(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.hmi.screen.AGAIN_S", (0.0, 1.0))
    told: list[str] = []
    rig.supervisor.listeners.append(lambda event: told.append(event.name))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        live, asked = _live(rig, "B-1"), ScreenAsked(f"127.0.0.1:{port}", http=True)
        with pytest.raises(BadInput, match=str(port)):
            serve_screen(asked, _live(rig, ""), "car_t_perfusion", "none", True, rig.clock.stamp())
        face = serve_screen(asked, live, "car_t_perfusion", "none", True, rig.clock.stamp())
        assert "goes on without a screen, which is tried again" in live.heard[-1]
        for _ in range(3):
            face.turn(rig.clock.stamp())
        rig.supervisor.tick(rig.clock.stamp())
        assert told.count("face.lost") >= 1
    face._again_s = 0.0
    face.turn(rig.clock.stamp())
    wait_until(lambda: _answers(port))
    assert json.loads((rig.station.state_dir.path / ADDRESS).read_text())["url"] == face.url
    face.close()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("batch", ["B-1", ""])
def test_an_address_file_that_cannot_be_written_is_said_and_the_screen_is_served(
    rig: Rig, batch: str
) -> None:
    (rig.station.state_dir.path / "screen.new").mkdir()
    live = _live(rig, batch)
    face = serve_screen(ScreenAsked("127.0.0.1:0", http=True), live, "car_t_perfusion", "none",
                        True, rig.clock.stamp())  # fmt: skip
    assert any("screen.json cannot be written" in text for text in live.heard)
    assert _answers(int(face.url.rsplit(":", 1)[1]))
    face.close()


def test_a_fault_of_the_disk_at_the_start_with_a_batch_open_is_said(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("controller.hmi.screen.certificate", full)
    monkeypatch.setattr(People, "first_code", full)
    live, asked = _live(rig, "B-1"), ScreenAsked("127.0.0.1:0")
    face = serve_screen(asked, live, "car_t_perfusion", "none", True, rig.clock.stamp())
    assert "No space left" in live.heard[-1]
    for _ in range(2):
        face.turn(rig.clock.stamp())
    face.close()


def test_a_code_that_cannot_be_written_with_a_batch_open_is_said(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(people: People) -> None:
        raise Refused("the code for the first admin cannot be written")

    monkeypatch.setattr(People, "first_code", full)
    live, asked = _live(rig, "B-1"), ScreenAsked("127.0.0.1:0", http=True)
    face = serve_screen(asked, live, "car_t_perfusion", "none", True, rig.clock.stamp())
    assert "code for the first admin" in live.heard[-1]
    assert face.url
    face.close()
    with pytest.raises(Refused):
        serve_screen(asked, _live(rig, ""), "car_t_perfusion", "none", True, rig.clock.stamp())


def test_a_certificate_that_is_none_is_bad_input(tmp_path: Path) -> None:
    cert, _ = certificate(tmp_path, "127.0.0.1", VirtualClock(1).stamp().utc_ns)
    assert len(fingerprint(cert)) == 95
    cert.write_text("rubbish")
    with pytest.raises(BadInput, match="certificate"):
        fingerprint(cert)


def test_a_broken_recipe_at_a_restart_is_looked_at_again_when_the_next_batch_is_opened(
    rig: Rig, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("nonsense: [")
    live, asked = _live(rig, "B-1"), ScreenAsked("127.0.0.1:0", http=True)
    face = serve_screen(asked, live, str(recipe), "none", True, rig.clock.stamp())
    assert "looked at again" in live.heard[0]
    assert "started" not in live.heard[0]
    known = rig.supervisor.requests.opener.recipes
    with pytest.raises(BadInput):
        known()
    good = Path(__file__).parents[3] / "recipes" / "car_t_perfusion.yaml"
    recipe.write_text(good.read_text())
    assert known() == {"car_t_perfusion": recipe}
    face.close()


def test_a_server_that_lives_and_takes_nothing_is_recorded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bench(tmp_path) as unit:
        server = unit.screen._server
        real, server.call = server.call, lambda *given: True
        now = [unit.screen._wall()]
        monkeypatch.setattr(unit.screen, "_wall", lambda: now[0])
        wait_until(lambda: unit.screen._front.handing or now.__setitem__(0, now[0] + 1))
        for _ in range(20):
            now[0] += 1.0
            unit.within(lambda: None)
        wait_until(lambda: unit.records("face.lost"))
        server.call = real
        assert [r.data["why"] for r in unit.records("face.lost")] == [
            "'its server has taken nothing for 10 s'"
        ]


# -- demo accounts ----------------------------------------------------------------------------


def test_demo_accounts_without_demo_keep_a_station_from_starting_and_no_batch_from_going_on(
    tmp_path: Path,
) -> None:
    stamp, state, said = VirtualClock(1).stamp(), StateDir(tmp_path), []
    before = People(tmp_path)
    add_demo_users(before, stamp)
    before.close()
    asked = ScreenAsked("127.0.0.1:0")
    with pytest.raises(Refused, match="anybody can log in"):
        people_of(asked, state, stamp, said.append)
    (tmp_path / "batch.open").write_text("B-1")
    state.current = lambda: "B-1"  # type: ignore[method-assign]
    people, events = people_of(asked, state, stamp, said.append)
    assert people is not None
    assert {event.name for event in events} == {"account.disabled"}
    assert "were disabled" in said[-1]
    assert people.accounts.usable == []
    people.close()


def test_accounts_of_this_rig_are_no_demo_accounts(tmp_path: Path) -> None:
    stamp = VirtualClock(1).stamp()
    demo_people(tmp_path, 1.0, stamp).close()
    people, events = people_of(ScreenAsked("127.0.0.1:0"), StateDir(tmp_path), stamp, print)
    assert events == []
    assert people is not None
    assert people.accounts.usable
    people.close()


def test_a_screen_without_anyway_raises_as_before(rig: Rig, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        options = ScreenOptions(tls=False, port=taken.getsockname()[1])
        people = rig.supervisor.requests.people
        with pytest.raises(BadInput):
            Screen(rig.station, people, options).start(rig.clock.stamp())
