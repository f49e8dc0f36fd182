"""What people did about alarms outlives a real kill -9; a real annunciator hears of it all."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from harness import kill, proved, taken_up, wait_until

HERE = Path(__file__).parent
OPERATOR = """by: operator_1
role: operator
after: 2 s
answers: []
orders:
  - {at: 30 s, request: acknowledge, target: "row:restart"}
  - {at: 32 s, request: shelve, target: "row:13", value: 30 min, reason: the probe is being cleaned}
"""
HEARS = """import json, sys
for line in sys.stdin:
    told = json.loads(line)
    with open(sys.argv[1], "a") as file:
        file.write(line)
    print("ok", told["n"], flush=True)
"""


def heard(out):
    lines = out.read_text().splitlines() if out.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def test_acknowledgements_and_shelving_survive_a_kill_and_the_annunciator_comes_back(
    handed, tmp_path
):
    script, program, out = tmp_path / "operator.yaml", tmp_path / "hears.py", tmp_path / "heard"
    script.write_text(OPERATOR)
    program.write_text(HEARS)
    words = ["--script", script, "--annunciator", f"{sys.executable} {program} {out}"]
    with taken_up(handed, tmp_path, words) as live:
        live.wait_record(0, "alarm.state", 90.0, alarm="row:restart", new="LATCHED-ACK")
        live.wait_record(0, "alarm.state", 30.0, alarm="row:13", new="SHELVED")
        wait_until(lambda: heard(out) and heard(out)[-1]["count"] > 0, live.words)
        before = len(heard(out))
        mark = kill(live.supervisor)
        live.wait_record(mark, "batch.attached", 60.0)
        wait_until(lambda: len(heard(out)) > before, live.words)
        wait_until(
            lambda: {"row:restart"} <= {a["name"] for a in heard(out)[-1]["alarms"]
                                        if a["state"] in ("ACK", "LATCHED-ACK")},
            live.words,
        )  # fmt: skip
        moves = [row["data"] for row in live.since(mark, "alarm.state")]
        assert not [m for m in moves if m["alarm"] in ("row:restart", "row:13")], moves
        live.kill_everything()
        proved(live.state)
