"""The command line as a person meets it: one object of JSON, clear refusals, exit status 2."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from controller.cli.app import main
from equipment_profiles import DEVICES, UNITS
from recipes import RECIPES

UNIT = (UNITS / "perfusion_2l.yaml").read_text()
RECIPE = (RECIPES / "car_t_perfusion.yaml").read_text()


def program(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs the command as a person would, in a process of its own."""
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(
        [sys.executable, "-m", "controller.cli", *words], cwd=cwd, text=True,
        capture_output=True, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": str(root), "COLUMNS": "200"},
    )  # fmt: skip


def cellwright(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The same through the program's own `main`, without a second to start it."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd),
        mock.patch.object(sys, "argv", ["cellwright", *words]),
        mock.patch.dict(os.environ, {"COLUMNS": "200"}),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    status = ended.value.code
    assert isinstance(status, int)
    return subprocess.CompletedProcess(words, status, out.getvalue(), err.getvalue())


@pytest.mark.parametrize(
    ("words", "status"), [(["check", str(UNITS / "perfusion_2l.yaml")], 0), (["demo", "--sed"], 2)]
)
def test_in_a_process_of_its_own_the_program_says_the_same_with_the_same_status(
    tmp_path: Path, words: list[str], status: int
) -> None:
    alone, here = program(*words, cwd=tmp_path), cellwright(*words, cwd=tmp_path)
    assert alone.returncode == here.returncode == status
    assert (alone.stdout, alone.stderr) == (here.stdout, here.stderr)


def test_demo_prints_one_json_object_and_leaves_a_log_that_verifies(tmp_path: Path) -> None:
    done = program("demo", "--until", "30min", "--json", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["fidelity"] == "signal"
    assert result["virtual_s"] == 1800.0
    assert set(result["final"]) >= {"vcd_e6_per_ml", "viability_pct", "volume_l", "lactate_mm"}
    assert set(result["config_digests"]) == {"recipe", "profile", "software"}
    assert (tmp_path / "run" / "trends.png").read_bytes().startswith(b"\x89PNG")
    verified = program("log", "verify", "run/log", "--json", cwd=tmp_path)
    assert verified.returncode == 0, verified.stdout
    assert json.loads(verified.stdout)["root"] == result["log_root"]
    shown = cellwright("log", "show", "run/log", cwd=tmp_path)
    assert "NOT FOR HUMAN USE" in shown.stdout
    assert "leak_test" in shown.stdout
    expanded = cellwright("log", "show", "run/log", "--expand", "--json", cwd=tmp_path)
    rows = [json.loads(line) for line in expanded.stdout.splitlines()]
    assert len(rows) > len(shown.stdout.splitlines())


def test_a_changed_byte_makes_verify_fail_and_name_the_place(tmp_path: Path) -> None:
    done = program("demo", "--until", "60s", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    [segment] = (tmp_path / "run" / "log").resolve().glob("segments/*.seg")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(bytes(data))
    verified = program("log", "verify", "run/log", cwd=tmp_path)
    assert verified.returncode == 3
    assert "record" in verified.stdout
    assert "NOT whole" in verified.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["demo", "--fidelity", "signl"], "Did you mean 'signal'"),
        (["demo", "--fault", "heater_stuk_on@2h"], "Did you mean 'heater_stuck_on'"),
        (["demo", "--fault", "heater_stuck_on@soon"], "is not a time"),
        (["demo", "--until", "seven"], "is not a time"),
        (["demo", "--until", "900d"], "longest run"),
        (["check", "nowhere.yaml"], "cannot read the file"),
        (["log", "verify", "nowhere"], "no such log directory"),
        (["run", "--unit", "perfusion_3l", "--recipe", "car_t_perfusion", "--links", "l.yaml",
          "--state", "s"], "Did you mean 'perfusion_2l'"),
    ],
)  # fmt: skip
def test_bad_words_are_refused_with_a_hint_and_nothing_is_started(
    tmp_path: Path, words: list[str], said: str
) -> None:
    done = cellwright(*words, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def _unit(old: str, new: str) -> str:
    assert old in UNIT, old
    return UNIT.replace(old, new, 1)


def _recipe(old: str, new: str) -> str:
    assert old in RECIPE, old
    return RECIPE.replace(old, new, 1)


BAD = {
    "unknown unit": (_unit("TT101 > 38.5 degC", "TT101 > 38.5 degX"), "unknown unit"),
    "wrong dimension": (_unit("TT101 > 38.5 degC", "TT101 > 38.5 mL"), "is a volume"),
    "unknown tag": (_unit("any: [TT103 > 45 degC]", "any: [TT193 > 45 degC]"), "'TT103'"),
    "duplicate id": (_unit('- id: "2"', '- id: "1"'), "duplicate id '1'"),
    "loop without fallback": (_unit("    fallback: {other: TT102, after: 5 s}\n", ""), "fallback"),
    "unprotected actuator": (
        UNIT.replace("    then: [heater = 0, stirrer = 0, all MFC 0]",
                     "    then: [heater = 0, all MFC 0]"),
        "no row protects stirrer",
    ),
    "limit out of range": (_unit("TT101 > 38.5 degC", "TT101 > 138.5 degC"), "could never trip"),
    "unknown key": (_unit("    never_bypass: true", "    never_bypas: true"), "'never_bypass'"),
    "alias": ("unit: &a {id: x}\nrows: *a\n", "aliases are not allowed"),
    "recipe parameter": (_recipe("{value: 37 degC,", "{value: 39 degC,"), "39"),
    "recipe dimension": (_recipe("{value: 37 degC,", "{value: 37 mL,"), "volume"),
    "recipe phase": (_recipe("- phase: harvest\n", "- phase: harvesst\n"), "'harvest'"),
    "recipe unit": (_recipe("unit: perfusion_2l", "unit: perfusion_2"), "perfusion_2l"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_check_names_the_file_and_line_of_each_fault(tmp_path: Path, name: str) -> None:
    text, said = BAD[name]
    (tmp_path / "bad.yaml").write_text(text)
    done = cellwright("check", "bad.yaml", cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert "bad.yaml:" in done.stderr or name == "recipe unit"


def test_a_hundred_megabytes_are_refused_before_they_are_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.yaml").open("wb") as file:
        file.truncate(100_000_000)
    done = cellwright("check", "huge.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "huge.yaml" in done.stderr
    assert "the limit is" in done.stderr


def test_check_prints_the_process_safety_time_of_every_row(tmp_path: Path) -> None:
    done = cellwright("check", str(UNITS / "perfusion_2l.yaml"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for number in range(1, 21):
        heads = [(line.strip("│| ").split() or [""])[0] for line in done.stdout.splitlines()]
        assert any(head.split(".")[0] == str(number) for head in heads), f"row {number}"
    assert "TOO SLOW" not in done.stdout


def test_a_folder_that_is_no_demo_is_never_emptied(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    done = cellwright("demo", "--until", "10s", "--out", "mine", cwd=tmp_path)
    assert done.returncode == 2
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_every_shipped_device_profile_is_used_or_loads() -> None:
    from controller.profile.device import load_device

    files = sorted(DEVICES.glob("*.yaml"))
    assert len(files) >= 7
    for file in files:
        assert load_device(file).profile.sources
