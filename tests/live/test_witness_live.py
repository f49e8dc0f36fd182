"""A live batch with a witness; then its whole state directory is put back to an earlier copy."""

from __future__ import annotations

import shutil
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from field_view import tidy
from harness import ROOT, launched, log_rows, stopped, wait_until

from controller.record.keys import Keys
from controller.record.verify import verify
from hil_sim.rig.serving import served

OPERATOR = Path(__file__).with_name("quick_operator.yaml")


@contextmanager
def witness(state: Path, device: str):
    """A witness as a program; its line `URL=VKEY`."""
    words = [sys.executable, "-m", "controller.cli", "witness", "serve", "--state", str(state),
             "--port", "0", "--trust", device]  # fmt: skip
    with state.with_suffix(".out").open("w+") as out:
        process = subprocess.Popen(words, cwd=ROOT, stdout=out, stderr=out)
        try:
            yield wait_until(
                lambda: next(
                    (line.removeprefix("witness: ")
                     for line in state.with_suffix(".out").read_text().splitlines()
                     if line.startswith("witness: ")), None,
                ), "no witness",
            )  # fmt: skip
        finally:
            process.terminate()
            process.wait(10)


def seen(line: str, origin: str) -> int:
    """How many records of a log the witness has seen."""
    url = f"{line.partition('=')[0]}/checkpoint/{quote(origin)}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return int(answer.read().split(b"\n")[1])


def test_a_state_directory_put_back_to_an_earlier_copy_ends_in_a_hold(tmp_path):
    state, links = tmp_path / "state", tmp_path / "links.yaml"
    device = str(Keys.in_directory(state / "keys").device.verifier)
    with witness(tmp_path / "w", device) as line, served(links, 1) as unit:
        words = ("--script", OPERATOR, "--witness", line)
        try:
            with launched(unit, links, state, words) as live:
                live.wait_record(0, "batch.opened", 90.0)
                (log,) = state.glob("batches/*/log")
                origin = log_rows(log)[0]["data"]["vkey"].partition("+")[0]
                told = live.wait_record(0, "checkpoint.witnessed", origin=origin)
                assert told["log"] == "station"
                wait_until(lambda: (log.parent / "evidence" / "witnessed").exists(), "evidence")
                with stopped(live.supervisor):
                    shutil.copytree(state, tmp_path / "copy")
                before = len(log_rows(log))
                wait_until(lambda: seen(line, origin) > before, "a later checkpoint is not seen")
                assert not live.named("log.rolled_back", "witness.lost")
                live.kill_everything()
            for found in (tmp_path / "copy" / "station", *tmp_path.glob("copy/batches/*/log")):
                assert verify(found, expect_sealed=False, deep=True).ok
            shutil.rmtree(state)
            (tmp_path / "copy").rename(state)
            with launched(unit, links, state, words) as live:
                wait_until(lambda: "ROLLED BACK" in live.output.read_text(errors="replace"),
                           live.words, 90.0)  # fmt: skip
                wait_until(lambda: _held(live), "the unit is not held")
                assert list(state.rglob("disputed"))
        finally:
            tidy(state)


def _held(live) -> bool:
    with live.board() as board:
        return bool(board.read("unit_held").value)
