"""Matrix and gate run as plain Python too: they agree with the reference, and no branch is untold.

REQ: interlock and gate code has 100 % branch coverage. The suite in tests/mutants runs in a process
without the compiler, under coverage; mutation testing runs the same suite.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
FILES = tuple(f"controller/field/{name}.py" for name in ("matrix", "effects", "gate"))
LIMIT_S = 120


def test_without_the_compiler_they_agree_as_well_and_every_branch_was_taken(tmp_path):
    data, report = tmp_path / "coverage", tmp_path / "coverage.json"
    coverage = [sys.executable, "-m", "coverage"]
    ran = subprocess.run(
        [*coverage, "run", "--branch", f"--data-file={data}", f"--include={','.join(FILES)}", "-m",
         "pytest", "-q", "-p", "no:cacheprovider", "tests/mutants"],
        cwd=ROOT, env=os.environ | {"NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True,
        timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    subprocess.run(
        [*coverage, "json", f"--data-file={data}", "-o", str(report)], cwd=ROOT, check=True,
        capture_output=True, timeout=LIMIT_S,
    )  # fmt: skip
    found = json.loads(report.read_text())["files"]
    for name in FILES:
        assert found[name]["missing_lines"] == [], name
        assert found[name]["missing_branches"] == [], name
        assert found[name]["summary"]["num_branches"] > 40, f"{name} was not measured"
