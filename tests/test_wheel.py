"""What ships: the wheel holds the built screen and the data files, and nothing that builds them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_wheel_holds_the_screen_the_table_of_rights_and_the_requirements(tmp_path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "controller/hmi/static/index.html", "controller/people/rights.yaml",
        "hil_sim/qualification/requirements/perfusion_2l.yaml", "hil_sim/rig/hands.yaml",
        "equipment_profiles/units/perfusion_2l.yaml", "recipes/car_t_perfusion.yaml",
    } <= names  # fmt: skip
    assert any(name.startswith("controller/hmi/static/assets/") for name in names)
    assert not [name for name in names if name.startswith(("controller/hmi/web/", "tests/"))]
