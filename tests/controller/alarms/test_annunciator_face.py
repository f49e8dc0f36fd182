"""Somebody hears: the alarms of a real station on a real program that is killed, hangs and lies."""

from __future__ import annotations

import json
import sys
import time
from types import SimpleNamespace

import pytest
from alarm_bench import event, made, raised

from controller.alarms import RTN_UNACK, UNACK
from controller.annunciator import face as room
from controller.annunciator.face import LISTED_MAX, Annunciator, shown
from controller.cli.hearing import Hearing
from controller.core.clock import VirtualClock
from controller.core.errors import BadInput

S = 10**9
GOOD = ("import json, sys\n"
        "for line in sys.stdin:\n"
        "    told = json.loads(line)\n"
        "    open({out!r}, 'a').write(line)\n"
        "    print('ok', told['n'], flush=True)\n")  # fmt: skip
HANGS = "import sys, time\nsys.stdin.readline(); time.sleep(600)"
LIES = "import sys\nfor line in sys.stdin: print('ok 0', flush=True)"


class Standing:
    use, batch_id = "engineering", "B-1"


class Orders:
    standing = Standing()


class Unit:
    """What the face asks of a supervisor: its alarms, and a record of what it says."""

    def __init__(self):
        from alarm_bench import profile

        self.alarms, self.profile, self.orders = made(), profile(), Orders()
        self.listeners, self.told = [], []

    def record(self, event):
        self.told.append(event)
        for follower in self.alarms.follow(event):
            self.record(follower)

    def names(self):
        return [e.name for e in self.told if not e.name.startswith("alarm.")]


@pytest.fixture
def unit():
    return Unit()


def program(tmp_path, code=GOOD):
    file = tmp_path / f"annunciator{len(list(tmp_path.iterdir()))}.py"
    file.write_text(code.format(out=str(tmp_path / "said")) if code is GOOD else code)
    return [sys.executable, "-u", str(file)]


def until(face, done, clock, step_s=0.05, limit_s=20.0):
    end = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < end, "it never happened"
        clock.advance_to(clock.now_ns + round(step_s * S))
        face.turn(clock.stamp())
        time.sleep(0.01)


def said(tmp_path):
    file = tmp_path / "said"
    text = file.read_text() if file.exists() else ""
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def test_the_picture_is_that_of_the_worst_and_flashes_while_somebody_must_look():
    alarms = made()
    assert shown(alarms, "u") == {"unit": "u", "horn": False, "beacon": "off", "flash": False,
                                  "count": 0, "alarms": []}  # fmt: skip
    alarms.follow(raised("9"))
    alarms.follow(raised("1", 1))
    found = shown(alarms, "u")
    assert (found["horn"], found["flash"]) == (True, True)
    assert (found["beacon"], found["count"]) == ("red", 2)
    assert found["alarms"][0]["action"].startswith("Compare TT101")
    stamp = VirtualClock(1).at(2)
    for row in ("row:1", "row:9"):
        alarms.acknowledge(row, stamp, "me", "operator")
    assert (shown(alarms, "u")["horn"], shown(alarms, "u")["flash"]) == (False, False)
    assert shown(alarms, "u")["beacon"] == "red"
    for row, output in [n.split(":")[1:] for n in alarms.book.names if n.startswith("proof:")][:30]:
        alarms.follow(event("effect.not_confirmed", row=row, output=output))
    assert len(shown(alarms, "u")["alarms"]) == LISTED_MAX
    assert shown(alarms, "u")["count"] == 32


def test_a_program_hears_every_change_and_is_started_again_when_it_was_killed(unit, tmp_path):
    clock, face = VirtualClock(1), Annunciator(unit, program(tmp_path))
    until(face, lambda: said(tmp_path), clock)
    unit.record(raised("9"))
    until(face, lambda: said(tmp_path)[-1]["horn"], clock)
    first = face._child
    first._process.kill()
    until(face, lambda: "annunciator.lost" in unit.names(), clock)
    assert unit.alarms.all["annunciator"].state == UNACK
    assert unit.alarms.all["annunciator"].priority == "critical"
    assert "signal 9" in unit.alarms.all["annunciator"].text
    until(face, lambda: "annunciator.back" in unit.names(), clock)
    assert face._child is not first
    assert unit.alarms.all["annunciator"].state == RTN_UNACK
    until(face, lambda: said(tmp_path)[-1]["alarms"][0]["name"] == "annunciator", clock)
    assert unit.names().count("annunciator.lost") == 1
    face.close()
    until(face, lambda: face._child is None or face._child.ended, clock, 0.0)


@pytest.mark.parametrize(("code", "why"), [
    (HANGS, "it does not answer"), (LIES, "it said 'ok 0', not 'ok 1'"),
    ("", "it ended with exit status 0"),
])  # fmt: skip
def test_one_that_hangs_lies_or_ends_is_an_alarm_and_is_tried_again(unit, tmp_path, code, why):
    clock, face = VirtualClock(1), Annunciator(unit, program(tmp_path, code))
    step = 0.2 if code == HANGS else 0.01
    until(face, lambda: "annunciator.lost" in unit.names(), clock, step)
    assert next(e for e in unit.told if e.name == "annunciator.lost").data["why"] == why
    until(face, lambda: face._child is None, clock)
    until(face, lambda: face._child is not None, clock)
    assert unit.names() == ["annunciator.lost"], "told once"
    face.close()


def test_one_that_is_not_there_is_an_alarm_at_once_and_costs_nothing_else(unit):
    clock, face = VirtualClock(1), Annunciator(unit, ["/nowhere/annunciator"])
    until(face, lambda: "annunciator.lost" in unit.names(), clock)
    assert "cannot be started" in unit.alarms.all["annunciator"].text


def test_a_new_supervisor_ends_the_loss_that_its_predecessor_recorded(unit, tmp_path):
    unit.record(event("annunciator.lost", why="killed"))
    clock, face = VirtualClock(1), Annunciator(unit, program(tmp_path))
    until(face, lambda: "annunciator.back" in unit.names(), clock)
    assert unit.told[-2].data.get("alarm") in ("annunciator", None)
    assert not unit.alarms.stands("annunciator")
    assert next(e for e in unit.told if e.name == "annunciator.back").data["seconds"] == "0"
    face.close()


def test_without_a_program_a_unit_for_patients_says_so_and_any_other_does_not(unit, monkeypatch):
    clock, face = VirtualClock(1), Annunciator(unit)
    face.turn(clock.stamp())
    assert unit.told == []
    monkeypatch.setattr(Standing, "use", "clinical")
    assert room.NEEDED_FOR == ("clinical",)
    for _ in range(3):
        face.turn(clock.stamp())
    assert unit.names() == ["annunciator.none"]
    assert unit.alarms.all["annunciator:none"].priority == "low"
    face.close()


def test_a_unit_whose_annunciator_hangs_on_its_board_needs_no_program(unit, monkeypatch):
    board = SimpleNamespace(annunciator=7)
    links = [SimpleNamespace(board=None), SimpleNamespace(board=board)]
    monkeypatch.setattr(unit, "profile", SimpleNamespace(id="perfusion_2l_io", links=links))
    monkeypatch.setattr(Standing, "use", "clinical")
    Annunciator(unit).turn(VirtualClock(1).stamp())
    assert unit.told == []


def test_one_that_was_lost_and_is_wanted_no_more_is_not_lost(unit):
    unit.record(event("annunciator.lost", why="killed"))
    Annunciator(unit).turn(VirtualClock(1).stamp())
    assert not unit.alarms.stands("annunciator")
    assert unit.alarms.stands("annunciator:none")


def test_what_nobody_acknowledges_goes_out_by_the_command_and_what_became_of_it_is_recorded(
    unit, tmp_path
):
    out = tmp_path / "call"
    clock, face = VirtualClock(1), Annunciator(unit, (), ["sh", "-c", f"cat > {out}; exit 4"])
    unit.record(raised("1"))
    for name in unit.listeners:
        name(unit.told[0])
    (escalated,) = unit.alarms.due(clock.at(400 * S))
    for listener in unit.listeners:
        listener(escalated)
    until(face, lambda: "callout.done" in unit.names(), clock)
    done = next(e for e in unit.told if e.name == "callout.done")
    assert dict(done.data) == {"alarm": "row:1", "number": 1, "exit_code": 4,
                               "why": "exit status 4"}  # fmt: skip
    assert done.words() == "Call 1 for row:1 went out: its command failed, exit status 4"
    call = json.loads(out.read_text())
    assert (call["alarm"], call["number"], call["priority"]) == ("row:1", 1, "critical")
    assert call["action"].startswith("Compare TT101")
    assert call["consequence"].startswith("Above 39 degC")


def test_a_command_that_is_none_is_refused_before_anything_runs_unless_a_batch_is_open():
    good = Hearing("cellwright annunciator console", "true --now")
    for option in ("--annunciator", "--call-out"):
        bad = Hearing(*("/nowhere/x y" if option == o else "" for o in
                        ("--annunciator", "--call-out")))  # fmt: skip
        with pytest.raises(BadInput, match=f"{option} '/nowhere/x y' is no command"):
            bad.checked(None)
        heard = []
        assert bad.checked(heard.append) is bad
        assert "nobody may hear" in heard[0]
    assert Hearing("true", "").checked(None) == Hearing("true")
    assert good.words() == ["--annunciator=cellwright annunciator console",
                            "--call-out=true --now"]  # fmt: skip
    assert Hearing().words() == []
    with pytest.raises(BadInput, match="no command"):
        Hearing('true "').checked(None)


def test_the_face_of_a_run_has_both_commands(unit):
    face = Hearing('true "a b"', "false").made(unit)
    assert face._command == ["true", "a b"]
    assert len(unit.listeners) == 1
    assert Hearing("x 'y").made(unit)._command == ["x 'y"]
