"""Real programs: one that answers, one that hangs, one that dies, one that is not there."""

from __future__ import annotations

import io
import json
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from controller.annunciator.child import CALLS_MAX, CallOut, Child
from controller.cli.annunciator import picture, speak
from controller.core.errors import BadInput

TOLD = {"n": 7, "unit": "u", "horn": True, "beacon": "red", "flash": True, "count": 1,
        "alarms": [{"name": "row:1", "state": "UNACK", "priority": "critical", "text": "hot",
                    "action": "look"}]}  # fmt: skip


def wait_until(done, limit_s=20.0):
    end = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def python(code):
    return [sys.executable, "-u", "-c", code]


def test_the_reference_program_rings_prints_and_answers():
    lines = io.StringIO("".join(json.dumps(TOLD | {"n": n}) + "\n" for n in (1, 2)))
    answers, shown = io.StringIO(), io.StringIO()
    speak(lines, answers, shown)
    assert answers.getvalue() == "ok 1\nok 2\n"
    assert shown.getvalue() == (
        "\au: HORN, beacon red flashing, 1 alarms\n  critical UNACK         hot\n\a"
    )
    quiet = TOLD | {"horn": False, "flash": False, "beacon": "off", "count": 0, "alarms": []}
    assert picture(quiet) == "u: quiet, beacon off, 0 alarms"
    shown = io.StringIO()
    speak(io.StringIO(json.dumps(quiet) + "\n" + json.dumps(quiet) + "\n"), io.StringIO(), shown)
    assert shown.getvalue() == "u: quiet, beacon off, 0 alarms\n", "said once"


@pytest.mark.parametrize("line", ["{bad", "{}", "[]", "1", '{"n": 1, "alarms": 3}'])
def test_a_line_that_no_station_sent_is_refused_in_words(line):
    with pytest.raises(BadInput, match="this is no line of a station"):
        speak(io.StringIO(line + "\n"), io.StringIO(), io.StringIO())


def test_a_text_cannot_steer_the_terminal():
    alarms = [TOLD["alarms"][0] | {"text": "hot\x1b[2J"}]
    assert picture(TOLD | {"alarms": alarms}).endswith("hot\\x1b[2J")


def test_the_shipped_program_answers_and_ends_with_its_input():
    program = str(Path(sys.executable).with_name("cellwright"))
    child = Child([program, "annunciator", "console"])
    child.send(json.dumps(TOLD).encode() + b"\n")
    wait_until(lambda: child.lines or child.ended)
    assert (list(child.lines), child.ended) == (["ok 7\n"], "")
    child._out.put(None)
    wait_until(lambda: child.ended)
    assert child.ended == "it ended with exit status 0"


def test_a_program_that_dies_or_is_not_there_says_how():
    child = Child(python("raise SystemExit(3)"))
    wait_until(lambda: child.ended)
    assert child.ended == "it ended with exit status 3"
    child = Child(["/nowhere/annunciator"])
    wait_until(lambda: child.ended)
    assert child.ended == "it cannot be started: No such file or directory"
    child.kill()
    child = Child(python("import os; os.kill(os.getpid(), 9)"))
    wait_until(lambda: child.ended)
    assert child.ended == "it ended with signal 9"


def test_one_that_reads_nothing_blocks_nobody_and_is_killed_with_what_it_started():
    child = Child(python(
        "import subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(p.pid)\ntime.sleep(600)"
    ))  # fmt: skip
    wait_until(lambda: child.lines)
    grandchild = int(child.lines.popleft())
    for _ in range(100):
        child.send(b"x" * 10_000)
    child.kill()
    wait_until(lambda: child.ended)
    assert child.ended == "it ended with signal 9"

    def gone():
        try:
            return Path(f"/proc/{grandchild}/stat").read_text().split()[2] == "Z"
        except FileNotFoundError:
            return True

    wait_until(gone)


def test_what_it_started_cannot_keep_us_listening_for_ever():
    """A program that leaves its group behind: it is told that nobody listens, no thread stays."""
    floods = "import os\nos.setsid()\nwhile True: os.write(1, b'n' * 999)"
    before = threading.active_count()
    child = Child(python(
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen([sys.executable, '-c', {floods!r}], stderr=subprocess.DEVNULL)\n"
        "print(p.pid)\ntime.sleep(600)"
    ))  # fmt: skip
    wait_until(lambda: len(child.lines) == child.lines.maxlen)
    child.kill()
    wait_until(lambda: child.ended == "it ended with signal 9")
    wait_until(lambda: threading.active_count() <= before)


def test_a_program_that_ends_has_ended_though_what_it_started_has_not():
    child = Child(["sh", "-c", "sleep 5 & exit 4"])
    wait_until(lambda: child.ended, 4.0)
    assert child.ended == "it ended with exit status 4"
    child.kill()


def test_a_child_killed_before_it_began_does_not_live_on():
    for _ in range(20):
        child = Child(["sleep", "600"])
        child.kill()
        wait_until(lambda child=child: child.ended)


def test_a_line_without_an_end_is_taken_in_pieces():
    child = Child(python("print('y' * 1000)"))
    wait_until(lambda: child.ended)
    assert [len(line) for line in child.lines] == [400, 400, 201]


@pytest.mark.parametrize(("argv", "code", "why"), [
    (["true"], 0, ""), (["false"], 1, "exit status 1"),
    (["/nowhere/call"], -1, "it cannot be started: No such file or directory"),
    (["sleep", "600"], -1, "it did not end in 0.3 s"),
    (python("import os; os.kill(os.getpid(), 15)"), -signal.SIGTERM, "exit status -15"),
])  # fmt: skip
def test_what_becomes_of_a_call_is_told(argv, code, why):
    calls = CallOut(argv, 5.0 if argv[0] != "sleep" else 0.3)
    calls.call("row:1", 2, b"{}\n")
    wait_until(lambda: calls.done)
    (done,) = calls.done
    assert (done.alarm, done.number, done.exit_code, done.why) == ("row:1", 2, code, why)


def test_a_call_says_on_its_input_what_is_the_matter(tmp_path):
    out = tmp_path / "said"
    calls = CallOut(["sh", "-c", f"cat > {out}"])
    calls.call("row:1", 1, b'{"alarm": "row:1"}\n')
    wait_until(lambda: calls.done)
    assert json.loads(out.read_text()) == {"alarm": "row:1"}


def test_calls_wait_in_a_line_with_an_end():
    calls = CallOut(["sleep", "600"], 0.1)
    for number in range(CALLS_MAX + 4):
        calls.call("row:1", number, b"")
    told = [done for done in calls.done if "calls wait already" in done.why]
    assert 3 <= len(told) <= 4, "the first may have been taken already"
    assert all(done.exit_code == -1 for done in told)
    wait_until(lambda: len(calls.done) == CALLS_MAX + 4)
