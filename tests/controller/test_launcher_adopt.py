"""A launcher was killed, its programs were not: the next one takes them over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.adopt import (
    STATUS_UNKNOWN,
    adopt,
    find_program,
    hold_launcher,
    pids_path,
    write_pids,
)
from controller.core.errors import Refused
from controller.launcher import Launcher

STATION = "unit_under_test.adopted"
SLEEPER = "import time; time.sleep(600)"


def program(module, station=STATION):
    """A process that looks like one of a station."""
    return subprocess.Popen([sys.executable, "-c", SLEEPER, module, "--station", station])


@contextmanager
def left_alone(folder, station=STATION):
    """Two programs and the file a launcher left that was killed."""
    both = [program("controller.field", station), program("controller.cli.supervise", station)]
    try:
        for each in both:
            end = time.monotonic() + 10
            while not Path(f"/proc/{each.pid}/cmdline").read_bytes().count(station.encode()):
                assert time.monotonic() < end
                time.sleep(0.01)
        write_pids(pids_path(folder, STATION), {"field": both[0].pid, "supervisor": both[1].pid})
        yield both
    finally:
        for each in both:
            each.kill()
            each.wait()


def test_what_a_killed_launcher_left_is_known_by_number_begin_and_command_line(tmp_path):
    with left_alone(tmp_path) as both:
        found = adopt(tmp_path, STATION)
        assert {name: each.pid for name, each in found.items()} == {
            "field": both[0].pid, "supervisor": both[1].pid}  # fmt: skip
        assert find_program("field", STATION) == both[0].pid
        assert found["field"].poll() is None
        both[0].kill()
        assert found["field"].wait(10) == STATUS_UNKNOWN
        assert list(adopt(tmp_path, STATION)) == ["supervisor"]
        file = pids_path(tmp_path, STATION)
        before = json.loads(file.read_text())
        number, since = before["supervisor"]
        file.write_text(json.dumps({"supervisor": [number, since + 1]}))
        assert adopt(tmp_path, STATION) == {}, "another process has the number now"
        for rubbish in (b"", b"{", b"[]", b'{"field": 3}', b'{"field": [-1, "x"]}', b"\xff"):
            file.write_bytes(rubbish)
            assert adopt(tmp_path, STATION) == {}


def test_processes_of_another_station_are_never_taken_over(tmp_path):
    with left_alone(tmp_path, station="another"):
        assert adopt(tmp_path, STATION) == {}
        assert find_program("field", STATION) == 0


def test_a_living_field_is_taken_over_and_its_supervisor_replaced(tmp_path):
    said, starts = [], []

    def starting(name, code):
        def command():
            starts.append(name)
            return [sys.executable, "-c", code]
        return command

    with left_alone(tmp_path) as both:
        living = adopt(tmp_path, STATION)
        launcher = Launcher(
            starting("field", SLEEPER), starting("supervisor", "import time; time.sleep(0.5)"),
            lambda: True, said.append, pids_path(tmp_path, STATION), living,
        )  # fmt: skip
        before = {number: signal.getsignal(number)
                  for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}  # fmt: skip
        try:
            assert launcher.run() == 0
        finally:
            for number, what in before.items():
                signal.signal(number, what)
        assert starts == ["supervisor"]
        assert both[1].wait(10) == -signal.SIGKILL
        assert both[0].wait(10) == -signal.SIGTERM, "the end of the run is the field's end too"
    assert f"process {both[0].pid} is taken over" in said[0]


def test_a_field_that_was_taken_over_and_dies_is_started_again(tmp_path):
    with left_alone(tmp_path) as both:
        launcher = Launcher(list, list, lambda: True, lambda text: None, None,
                            adopt(tmp_path, STATION))  # fmt: skip
        launcher._adopt()
        both[0].kill()
        status = launcher.field.process.wait(10)
        assert launcher._ended(launcher.field, status, time.monotonic_ns()) == -1
        assert launcher.field.process is None


def test_a_second_launcher_of_a_station_is_refused_while_the_first_lives(tmp_path):
    lock = hold_launcher(tmp_path, STATION)
    with pytest.raises(Refused, match="another `cellwright run` keeps station"):
        hold_launcher(tmp_path, STATION)
    os.close(lock)
    os.close(hold_launcher(tmp_path, STATION))


def test_a_reserve_never_counts_as_the_stations_field(tmp_path):
    with left_alone(tmp_path) as both:
        waiting = program("controller.field.reserve")
        try:
            end = time.monotonic() + 10
            while b"reserve" not in Path(f"/proc/{waiting.pid}/cmdline").read_bytes():
                assert time.monotonic() < end
                time.sleep(0.01)
            assert find_program("field", STATION) == both[0].pid
            write_pids(pids_path(tmp_path, STATION), {"field": waiting.pid})
            assert adopt(tmp_path, STATION) == {}
        finally:
            waiting.kill()
            waiting.wait()
