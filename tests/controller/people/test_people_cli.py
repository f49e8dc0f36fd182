"""`cellwright user` against a real screen over TLS: what a person types, sees and is refused."""

from __future__ import annotations

import json
import shutil
import threading
import time
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from typer.testing import CliRunner

from controller.cli.app import app
from controller.cli.user import Talk
from controller.core.errors import BadInput, Refused
from controller.hmi.screen import Screen, ScreenOptions
from controller.people.password import Passwords
from controller.people.people import People
from controller.record.entry import read_records
from controller.requests import Requests
from hil_sim.rig.paced import Paced
from hil_sim.rig.rig import Rig

PASSWORD = "a long enough password"


class Running:
    """A station without accounts behind a screen, moved by a thread."""

    def __init__(self, out: Path) -> None:
        self.rig = Rig(out)
        self.people = People(out, passwords=Passwords(PasswordHasher(1, 8, 1)))
        self.code = self.people.first_code()
        self.rig.supervisor.requests = Requests(self.rig.supervisor, self.people)
        self.screen = Screen(self.rig.station, self.people, ScreenOptions())
        self.state = self.rig.station.state_dir.path
        self.screen.start(self.rig.clock.stamp())
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        paced = Paced(self.rig, 1.0, time.monotonic_ns)
        while not self._end.is_set():
            self.screen.turn(paced.turn())
            time.sleep(0.01)

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        self.screen.close()

    def records(self, name: str) -> list[dict]:
        return [r for r in read_records(self.rig.station.state_dir.station) if r["event"] == name]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    made = Running(tmp_path_factory.mktemp("station"))
    yield made
    made.close()


@pytest.fixture
def typed(monkeypatch):
    """What the person at the terminal types, in order."""
    lines: list[str] = []
    monkeypatch.setattr("builtins.input", lambda prompt="": lines.pop(0))
    monkeypatch.setattr("getpass.getpass", lambda prompt="": lines.pop(0))
    return lines


def user(*words: str, state: Path):
    return CliRunner().invoke(app, ["user", *words, "--state", str(state)])


def test_the_first_admin_then_a_user_then_a_list_then_disabled(running, typed):
    first = user("add", "ada", "--first", "--name", "Ada Admin", state=running.people.folder.parent)
    assert first.exit_code == 0, first.exception
    assert "ada was added as admin" in first.output
    made = first.output.splitlines()[-1]
    assert running.code.exists()  # until that person has logged in

    typed += ["ada", made, PASSWORD, PASSWORD]  # the first log-in needs a new password
    added = user("add", "nora", "--role", "operator", "--name", "Nora", state=running.state)
    assert added.exit_code == 0, added.exception
    assert typed == []
    assert not running.code.exists()
    assert running.people.accounts.find("nora").must_change

    typed += ["ada", PASSWORD]
    assert user("disable", "nora", "--reason", "left", state=running.state).exit_code == 0
    typed += ["ada", PASSWORD]
    listed = user("list", state=running.state).output.splitlines()
    assert [line.split()[:3] for line in listed] == [
        ["ada", "admin", "in"], ["nora", "operator", "disabled"],
    ]  # fmt: skip
    assert [r["data"]["user"] for r in running.records("account.added")] == ["ada", "nora"]
    (disabled,) = running.records("account.disabled")
    assert (disabled["actor"], disabled["reason"]) == ("ada@station", "left")
    assert running.people.sessions.all() == []

    typed += ["ada", "wrong"]
    wrong = user("list", state=running.state)
    assert "wrong user or password" in str(wrong.exception)
    typed += ["ada", PASSWORD]
    again = user("add", "nora", "--role", "qa", "--name", "N", state=running.state)
    assert "never given again" in str(again.exception)


def test_a_screen_with_another_certificate_gets_no_password(running, typed, tmp_path):
    """UR-14. The person is not asked for one either."""
    other = tmp_path / "other"
    (other / "tls").mkdir(parents=True)
    shutil.copy(Path(__file__).parent / "another_cert.pem", other / "tls" / "cert.pem")
    with pytest.raises(Refused):
        Talk(other, running.screen.url).ask("GET", "/api/me")


def test_where_no_screen_runs_it_says_so(tmp_path):
    with pytest.raises(BadInput, match="no screen runs"):
        Talk(tmp_path)
    (tmp_path / "screen.json").write_text(json.dumps({"url": "http://127.0.0.1:9"}))
    with pytest.raises(Refused, match="does not answer"):
        Talk(tmp_path).ask("GET", "/api/me")


@pytest.mark.parametrize("url", ["http://station.example:8443", "ftp://127.0.0.1", "nonsense",
                                 "https://127.0.0.1:9"])  # fmt: skip
def test_an_address_that_would_give_a_password_away_is_refused(tmp_path, url):
    with pytest.raises(BadInput):
        Talk(tmp_path, url)
