"""`cellwright sim run`: devices, station and screen in one command, as a newcomer starts it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from harness import ROOT, wait_until

from controller.people.demo import USERS
from controller.record.verify import verify

OLIVIA = USERS[0]


def started(folder: Path, *words: str) -> tuple[subprocess.Popen[str], Path]:
    """The command, with its output in a file."""
    output = folder / "out.txt"
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "controller.cli", "sim", "run", "--http", "--port", "0",
             "--demo", "--out", str(folder / "run"), *words],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=file, text=True,
        )  # fmt: skip
    return process, output


def address(output: Path, process: subprocess.Popen[str]) -> str:
    """The printed address, on a loopback interface."""
    found = wait_until(
        lambda: re.search(r"screen: (http://127\.0\.0\.1:\d+)", output.read_text())
        or process.poll() is not None,
        output.read_text, 120.0,
    )  # fmt: skip
    assert process.poll() is None, output.read_text()
    return str(found.group(1))


@pytest.mark.parametrize("words", [("--speed", "600"), ()], ids=["faster", "live"])
def test_one_command_prints_an_address_where_a_demo_user_logs_in_and_ctrl_c_ends_it(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    process, output = started(tmp_path, *words)
    try:
        url = address(output, process)
        with httpx.Client(base_url=url, headers={"X-Cellwright": "1"}, timeout=30.0) as client:
            assert "cellwright-simulated" in client.get("/").text
            body = {"user": OLIVIA.user, "password": OLIVIA.password}
            me = client.post("/api/login", json=body).json()
            assert (me["role"], me["demo"], me["simulated"]) == ("operator", True, True)
            assert client.get("/api/unit").json()["unit"]["id"] == "perfusion_2l"
        assert "DEMO ACCOUNTS: anybody can log in" in output.read_text()
        assert "password: 'demo password olivia 1'" in output.read_text()
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        assert process.wait(30.0) == 0
    finally:
        process.terminate()
        process.wait(30.0)
    (state,) = (tmp_path / "run").iterdir()
    for log in [state / "station", *state.glob("batches/*/log")]:
        report = verify(log, expect_sealed=False)
        assert report.ok, report.problems
    assert bool(list(state.glob("batches/*"))) == bool(words)
