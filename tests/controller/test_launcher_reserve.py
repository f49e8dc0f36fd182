"""The launcher and a field in reserve: called at once, replaced, never worse than a cold start."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest
from launcher_bench import STAYS, S, alive, launched

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
