"""The launcher with real programs: what it starts again, how fast, and what ends the whole."""

from __future__ import annotations

import os
import signal
import time
from itertools import pairwise

import pytest
from launcher_bench import STAYS, S, alive, launched

from controller.launcher import AGAIN_NS, PAUSE_MAX_NS, QUICK_NS, Launcher


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
