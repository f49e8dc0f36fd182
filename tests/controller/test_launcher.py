"""The launcher with real programs: what it starts again, how fast, and what ends the whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from itertools import pairwise
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
from controller.launcher import AGAIN_NS, PAUSE_MAX_NS, QUICK_NS, Launcher

ROOT = Path(__file__).parents[2]
S = 1_000_000_000
STAYS = "time.sleep(600)"
# A launcher over two little programs; each start is a line `NAME PID TIME BATCH` in `starts`. With
# the code of a reserve as fourth argument it starts one a tenth of a second after field.
PROGRAM = """
import sys, time
from pathlib import Path
from controller import reserve
from controller.launcher import Launcher
reserve.AFTER_NS, reserve.AGAIN_NS = 10**8, 3 * 10**8
folder = Path(sys.argv[1])
def command(name, code):
    note = ("import os, sys, time; open(sys.argv[1], 'a').write("
            f"'{name} %d %d %s' % (os.getpid(), time.monotonic_ns(), sys.argv[2]) + chr(10)); ")
    return lambda: [sys.executable, "-c", note + code, str(folder / "starts"),
                    "open" if (folder / "current").exists() else "none"]
sys.exit(Launcher(command("field", sys.argv[2]), command("supervisor", sys.argv[3]),
                  (folder / "current").exists,
                  lambda text: print(text, file=sys.stderr, flush=True), folder / "pids",
                  reserve_command=command("reserve", sys.argv[4]) if sys.argv[4] else None).run())
"""


class Launched:
    """A launcher in a process of its own, and what it started."""

    def __init__(self, process, folder):
        self.process, self.folder = process, folder

    def starts(self, name):
        """(pid, monotonic ns, batch) of every start of a program."""
        file = self.folder / "starts"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(int(words[1]), int(words[2]), words[3]) for line in lines
                if len(words := line.split()) == 4 and words[0] == name]  # fmt: skip

    def wait(self, name, number, timeout_s=20.0):
        """Waits for so many starts of a program; the last one's pid."""
        end = time.monotonic() + timeout_s
        while len(found := self.starts(name)) < number:
            assert time.monotonic() < end, (name, number, found, self.said())
            time.sleep(0.02)
        return found[number - 1][0]

    def said(self):
        return (self.folder / "said").read_text()

    def ended(self, timeout_s=20.0):
        return self.process.wait(timeout_s)


@contextmanager
def launched(folder, field=STAYS, supervisor=STAYS, batch=False, reserve=""):
    if batch:
        (folder / "current").write_text("B-1\n")
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder), field, supervisor, reserve],
            cwd=ROOT, stdin=subprocess.DEVNULL, stderr=said,
        )  # fmt: skip
    found = Launched(process, folder)
    try:
        yield found
    finally:
        process.kill()
        process.wait()
        for name in ("field", "supervisor", "reserve"):
            for pid, *_ in found.starts(name):
                if alive(pid):
                    os.kill(pid, signal.SIGKILL)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_each_program_that_is_killed_is_started_again_and_the_other_left_alone(tmp_path):
    with launched(tmp_path) as run:
        field, supervisor = run.wait("field", 1), run.wait("supervisor", 1)
        os.kill(field, signal.SIGKILL)
        again = run.wait("field", 2)
        assert again != field
        assert len(run.starts("supervisor")) == 1
        os.kill(supervisor, signal.SIGKILL)
        run.wait("supervisor", 2)
        assert len(run.starts("field")) == 2
        assert alive(again)
        assert "field ended (killed by SIGKILL) and is started again" in run.said()


def test_field_is_told_at_each_start_whether_a_batch_is_open_now(tmp_path):
    with launched(tmp_path) as run:
        first = run.wait("field", 1)
        (tmp_path / "current").write_text("B-1\n")
        os.kill(first, signal.SIGKILL)
        run.wait("field", 2)
        assert [batch for *_, batch in run.starts("field")] == ["none", "open"]


@pytest.mark.parametrize(("status", "final"), [(0, 0), (10, 1)])
def test_a_run_that_has_ended_ends_both_and_nothing_starts_again(tmp_path, status, final):
    with launched(tmp_path, supervisor=f"time.sleep(0.3); sys.exit({status})", batch=True) as run:
        field = run.wait("field", 1)
        assert run.ended() == final
        assert not alive(field)
        assert len(run.starts("supervisor")) == 1
        assert len(run.starts("field")) == 1


@pytest.mark.parametrize("who", ["field", "supervisor"])
def test_a_program_that_is_refused_at_its_start_without_a_batch_ends_all_with_its_status(
    tmp_path, who
):
    with launched(tmp_path, **{who: "sys.exit(2)"}) as run:
        assert run.ended() == 2
        for name in ("field", "supervisor"):
            assert not any(alive(pid) for pid, *_ in run.starts(name))


def test_a_supervisor_that_cannot_start_while_a_batch_is_open_never_costs_field(tmp_path):
    with launched(tmp_path, supervisor="sys.exit(2)", batch=True) as run:
        field = run.wait("field", 1)
        run.wait("supervisor", 5)
        assert run.process.poll() is None
        assert alive(field)
        assert len(run.starts("field")) == 1


def test_a_program_that_dies_at_once_again_and_again_is_started_ever_more_slowly(tmp_path):
    with launched(tmp_path, field="sys.exit(7)") as run:
        run.wait("field", 6)
        times = [at_ns for _, at_ns, _ in run.starts("field")]
        gaps = [(after - before) / S for before, after in pairwise(times)]
        for gap, least in zip(gaps, (0.1, 0.2, 0.4, 0.8, 1.6), strict=False):
            assert gap >= least
        assert len(run.starts("supervisor")) == 1


def test_the_pause_before_a_start_is_bounded_and_forgotten_after_a_good_life():
    launcher = Launcher(list, list, lambda: True, lambda text: None)
    field = launcher.field
    for _ in range(12):
        assert launcher._ended(field, 7, 0) == -1
    assert field.pause_ns == field.due_ns == PAUSE_MAX_NS
    field.started_ns = 0
    assert launcher._ended(field, 7, QUICK_NS) == -1
    assert (field.pause_ns, field.due_ns) == (0, QUICK_NS)


def test_one_ctrl_c_ends_a_run_without_a_batch(tmp_path):
    with launched(tmp_path) as run:
        field, supervisor = run.wait("field", 1), run.wait("supervisor", 1)
        run.process.send_signal(signal.SIGINT)
        assert run.ended() == 0
        assert not alive(field)
        assert not alive(supervisor)


def test_with_a_batch_open_the_first_ctrl_c_asks_and_the_second_ends_it(tmp_path):
    with launched(tmp_path, batch=True) as run:
        field, supervisor = run.wait("field", 1), run.wait("supervisor", 1)
        run.process.send_signal(signal.SIGINT)
        end = time.monotonic() + 10
        while "A batch is open" not in run.said():
            assert time.monotonic() < end
            time.sleep(0.02)
        assert f"within {AGAIN_NS // S} s" in run.said()
        assert alive(field)
        assert alive(supervisor)
        time.sleep(1.1)
        run.process.send_signal(signal.SIGINT)
        assert run.ended() == 0
        assert not alive(field)


def test_a_ctrl_c_held_down_is_one_and_ends_no_run_whose_batch_is_open():
    said = []
    launcher = Launcher(list, list, lambda: True, said.append)
    held = [launcher._may_stop(signal.SIGINT, 50 * S + at * S // 10) for at in range(25)]
    assert not any(held)
    assert len(said) == 1
    assert launcher._may_stop(signal.SIGINT, 50 * S + 24 * S // 10 + S)


# -- a field in reserve -------------------------------------------------------------------------

# Loads, says so, and becomes field: the order it got is one more start of field, by its own pid.
LOADS = "import json; "
SAYS_READY = (
    "os.write(1, b'R'); open(sys.argv[1] + '.ready', 'a').write('%d' % os.getpid() + chr(10)); "
)
TAKES = (
    "line = sys.stdin.readline(); line or os._exit(0); batch = json.loads(line)[-1]; "
    "open(sys.argv[1], 'a').write('field %d %d %s' % "
    "(os.getpid(), time.monotonic_ns(), batch) + chr(10)); os.write(1, b'T'); "
)
RESERVE = LOADS + SAYS_READY + TAKES + STAYS


def in_reserve(run, number=1):
    """Waits until so many reserves have been ready; the last one's pid."""
    end, file = time.monotonic() + 20, run.folder / "starts.ready"
    while not file.exists() or len(pids := file.read_text().split()) < number:
        assert time.monotonic() < end, run.said()
        time.sleep(0.02)
    return int(pids[number - 1])


def test_a_field_that_dies_is_followed_by_the_reserve_and_that_by_another_reserve(tmp_path):
    with launched(tmp_path, reserve=RESERVE) as run:
        first, waiting = run.wait("field", 1), in_reserve(run)
        (tmp_path / "current").write_text("B-1\n")
        os.kill(first, signal.SIGKILL)
        assert run.wait("field", 2) == waiting
        assert run.starts("field")[1][2] == "open", "the order says what is so now"
        end = time.monotonic() + 10
        while json.loads((tmp_path / "pids").read_text()).get("field", [0])[0] != waiting:
            assert time.monotonic() < end, "the next launcher could not take it over"
            time.sleep(0.02)
        following = in_reserve(run, 2)
        os.kill(waiting, signal.SIGKILL)
        assert run.wait("field", 3) == following
        assert len(run.starts("supervisor")) == 1


@pytest.mark.parametrize("code", [
    pytest.param(LOADS + STAYS, id="not_ready_yet"),
    pytest.param(LOADS + SAYS_READY + STAYS, id="ready_and_deaf"),
    pytest.param(LOADS + SAYS_READY + "sys.stdin.readline(); sys.exit(3)", id="dies_of_the_order"),
    pytest.param(LOADS + SAYS_READY + "os.close(0); " + STAYS, id="takes_no_order"),
    pytest.param("sys.exit(70)", id="cannot_load"),
])  # fmt: skip
def test_a_reserve_that_is_of_no_use_costs_no_more_than_a_cold_start_and_is_ended(tmp_path, code):
    with launched(tmp_path, reserve=code, batch=True) as run:
        first, waiting = run.wait("field", 1), run.wait("reserve", 1)
        time.sleep(0.3)
        mark = time.monotonic_ns()
        os.kill(first, signal.SIGKILL)
        again = run.wait("field", 2)
        assert again not in {pid for pid, *_ in run.starts("reserve")}
        assert run.starts("field")[1][1] - mark < 5 * S
        assert not alive(waiting), "two processes could be field"
        time.sleep(0.3)
        assert alive(again)
        assert len(run.starts("field")) == 2


def test_a_reserve_that_was_stopped_is_not_waited_for(tmp_path):
    with launched(tmp_path, reserve=RESERVE, batch=True) as run:
        first, waiting = run.wait("field", 1), in_reserve(run)
        os.kill(waiting, signal.SIGSTOP)
        os.kill(first, signal.SIGKILL)
        assert run.wait("field", 2) != waiting
        assert not alive(waiting)
        assert "does not answer: field starts cold" in run.said()


def test_field_and_its_reserve_killed_at_once_are_followed_by_a_cold_start(tmp_path):
    with launched(tmp_path, reserve=RESERVE, batch=True) as run:
        first, waiting = run.wait("field", 1), in_reserve(run)
        os.kill(waiting, signal.SIGKILL)
        os.kill(first, signal.SIGKILL)
        assert run.wait("field", 2) not in (first, waiting)
        in_reserve(run, 2)


def test_three_fields_killed_in_quick_succession_are_each_followed(tmp_path):
    with launched(tmp_path, reserve=RESERVE, batch=True) as run:
        in_reserve(run)
        for number in (1, 2, 3):
            os.kill(run.wait("field", number), signal.SIGKILL)
        assert alive(run.wait("field", 4))
        assert run.process.poll() is None


def test_a_reserve_that_is_killed_is_replaced_and_neither_program_notices(tmp_path):
    with launched(tmp_path, reserve=RESERVE) as run:
        run.wait("field", 1)
        os.kill(in_reserve(run), signal.SIGKILL)
        second = in_reserve(run, 2)
        assert alive(second)
        assert (len(run.starts("field")), len(run.starts("supervisor"))) == (1, 1)


def test_a_reserve_ends_with_its_launcher_and_with_the_run(tmp_path):
    with launched(tmp_path, reserve=RESERVE) as run:
        waiting = in_reserve(run)
        run.process.kill()
        run.ended()
        eventually_dead(waiting)
    (tmp_path / "starts.ready").unlink()
    with launched(tmp_path, reserve=RESERVE) as run:
        waiting = in_reserve(run)
        run.process.send_signal(signal.SIGTERM)
        assert run.ended() == 0
        assert not alive(waiting)


def eventually_dead(pid):
    end = time.monotonic() + 10
    while alive(pid):
        assert time.monotonic() < end, pid
        time.sleep(0.02)


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


# -- a launcher was killed, its programs were not ----------------------------------------------

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


def test_a_term_ends_both_programs_at_once_and_a_deaf_one_is_killed(tmp_path):
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {STAYS}"
    with launched(tmp_path, supervisor=deaf, batch=True) as run:
        field, supervisor = run.wait("field", 1), run.wait("supervisor", 1)
        time.sleep(0.3)
        run.process.send_signal(signal.SIGTERM)
        assert run.ended() == 0
        assert not alive(field)
        assert not alive(supervisor)


def test_programs_are_sessions_of_their_own_so_a_ctrl_c_of_the_terminal_is_not_theirs(tmp_path):
    with launched(tmp_path) as run:
        pids = [run.wait("field", 1), run.wait("supervisor", 1), run.process.pid]
        assert [os.getsid(pid) == pid for pid in pids[:2]] == [True, True]
        assert len({os.getsid(pid) for pid in pids}) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_supervisor_is_told_by_which_signal_the_run_was_ended(tmp_path, number):
    heard = (
        "import signal; from pathlib import Path\n"
        "def hear(number, frame):\n"
        "    Path(sys.argv[1] + '.heard').write_text(str(int(number))); os._exit(0)\n"
        "signal.signal(signal.SIGINT, hear); signal.signal(signal.SIGTERM, hear)\n"
        "Path(sys.argv[1] + '.ready').write_text(''); time.sleep(600)"
    )
    with launched(tmp_path, supervisor=heard) as run:
        run.wait("supervisor", 1)
        run.wait("field", 1)
        end = time.monotonic() + 20
        while not (tmp_path / "starts.ready").exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        run.process.send_signal(number)
        run.ended()
        assert (tmp_path / "starts.heard").read_text() == str(int(number))
