"""The field in reserve by itself: it holds nothing until its order comes, and then it is field."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from field_room import ROOT, START_S, STATION, Lines, Running, eventually, field, profile_of

from controller.adopt import is_program
from controller.field.links.note import NoteKind
from controller.field.program import REFUSED
from controller.field.reserve import LOAD_FAILED, READY, TAKEN
from controller.profile import planfile

LIQUIDS_STOP = {b"1ST\r", b"2ST\r", b"3ST\r"}
MS = 1_000_000


@pytest.fixture
def lines():
    found = Lines()
    yield found
    found.close()


class Waiting(Running):
    """A reserve; once it was called it is a field in its room."""

    def ready(self):
        assert eventually(lambda: self.process.stdout.read(1), self.words, START_S) == READY
        return self

    def order(self, lines, *words, plan=None):
        """What the launcher would start field with."""
        links = [word for name, url in lines.urls.items() for word in ("--link", f"{name}={url}")]
        return [sys.executable, "-m", "controller.field", "--plan", str(plan or self.plan),
                "--shm", str(self.folder), "--station", STATION, *links, *words]  # fmt: skip

    def call(self, order):
        """Hands the order over; what the reserve answers."""
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        return self.process.stdout.read(1)

    def status(self, name):
        """A line of its status in /proc."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return text.split(f"\n{name}:")[1].split()[0]

    def efforts(self):
        """The nice values of all its threads."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return {os.getpriority(os.PRIO_PROCESS, int(task.name)) for task in tasks}


@contextmanager
def waiting(folder, plan=None):
    """A reserve in a folder that stands for /dev/shm; ended on leaving."""
    found = plan or folder / "unit.plan"
    if plan is None:
        planfile.write(profile_of(), found)
    errors = folder / "reserve.err"
    with errors.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "controller.field.reserve", "--plan", str(found),
             "--station", STATION],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, bufsize=0,
        )  # fmt: skip
    room = Waiting(process, folder, profile_of(), errors)
    room.plan = found
    try:
        yield room
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_until_it_is_called_it_holds_nothing_and_after_it_is_field_in_every_way(lines, tmp_path):
    with waiting(tmp_path) as room:
        room.ready()
        assert list(tmp_path.glob("cellwright*")) == []
        assert set(lines.listen().values()) == {b""}
        assert room.status("VmLck") == "0"
        assert not is_program(room.process.pid, "field", STATION)
        assert room.call(room.order(lines, "--batch", "open", "--at-least", "7000")) == TAKEN
        assert is_program(room.process.pid, "field", STATION)
        room.process.stdin.close()
        room.process.stdout.close()  # as when its launcher is killed
        room.scans(5)
        assert room.region.generation == 7000
        assert int(room.beat["pid"]) == room.process.pid
        heard = lines.listen()
        assert {heard["pump_bus"][at : at + 4] for at in (0, 4, 8)} == LIQUIDS_STOP, "first of all"
        assert b"GO" not in heard["pump_bus"]
        assert b"AS 0.0\r" not in heard["gas_bus"]
        assert room.efforts() == {0}, "loading was slow, field is not"
        assert (room.status("VmLck") != "0") == bool(room.beat["locked"])
        (said, frames) = room.notes()
        assert said.kind is frames.kind is NoteKind.STARTED
        assert "from the reserve scanning after" in said.what
        room.process.terminate()
        assert room.ended() == 0


def test_it_runs_the_unit_as_the_file_is_when_it_is_called(lines, tmp_path):
    with waiting(tmp_path) as room:
        room.ready()
        room.profile = profile_of("50 ms")
        planfile.write(room.profile, room.plan)
        assert room.call(room.order(lines, "--batch", "none")) == TAKEN
        began, period = int(room.scans(1).beat["started_ns"]), 50 * MS
        assert (int(room.scans(3).beat["deadline_ns"]) - began) % period == 0
        assert int(room.beat["deadline_ns"]) - began < 100 * MS * int(room.beat["scans"])


def test_called_while_a_field_lives_it_is_refused_before_it_has_written_a_byte(lines, tmp_path):
    with field(tmp_path, lines.urls) as living, waiting(tmp_path) as room:
        room.ready()
        living.scans(1)
        other = Lines()
        try:
            assert room.call(room.order(other, "--batch", "open")) == TAKEN
            assert room.ended() == REFUSED
            assert set(other.listen().values()) == {b""}
        finally:
            other.close()
        assert "a living field owns station" in room.words
        living.scans(3)


@pytest.mark.parametrize("harm", [b"", b"[", b'["python", "-m", "contro'])
def test_it_ends_when_its_launcher_is_gone_also_in_the_middle_of_an_order(tmp_path, harm):
    with waiting(tmp_path) as room:
        room.process.stdin.write(harm)
        room.process.stdin.close()
        assert room.ended() == 0


@pytest.mark.parametrize("order", [
    b"[]", b"{", b"3", b'["python", "-m", "controller.field.reserve"]', b'["-m", 3]', b"\xff",
])  # fmt: skip
def test_an_order_that_is_not_for_field_is_refused_and_nothing_is_held(tmp_path, order):
    with waiting(tmp_path) as room:
        room.process.stdin.write(order + b"\n")
        assert room.ended() == REFUSED
        assert "an order that is" in room.words
        assert list(tmp_path.glob("cellwright*")) == []


def test_one_that_cannot_load_says_why_and_ends(tmp_path):
    with waiting(tmp_path, tmp_path / "no.plan") as room:
        assert room.ended(60.0) == LOAD_FAILED
        assert "no.plan" in room.words
        assert room.process.stdout.read(1) == b""
