"""`cellwright check` of recipes, as a person and as a program reads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from check_bench import RECIPE, UNIT, edited

from controller.cli.check import check_files
from controller.units import find_recipe, find_unit
from recipes import RECIPES

WARM = ("      - operation: grow\n",
        '      - {transition: warm, when: "TT101 > 120 degC", timeout: 2 h}\n'
        "      - operation: grow\n")  # fmt: skip
NARROW = ("low: 36 degC, high: 37.5 degC", "low: 36 degC, high: 39 degC")
Said = pytest.CaptureFixture[str]


def written(folder: Path, name: str, *edits: tuple[str, str]) -> Path:
    """A copy of the shipped recipe with edits."""
    (folder / name).write_text(edited(RECIPE, *edits))
    return folder / name


def test_a_sound_recipe_is_good_and_says_how_long_it_takes(capsys: Said) -> None:
    assert check_files([find_recipe("car_t_perfusion")]) == 0
    said = capsys.readouterr()
    assert "16 phases: good" in said.out
    assert "How long it takes" in said.out
    assert "culture/grow" in said.out
    assert "a person answers in 2 min" in said.out.replace("\n", " ").replace("  ", " ")
    assert said.err == ""


def test_an_error_is_said_with_its_line_what_it_is_and_what_to_do(
    tmp_path: Path, capsys: Said
) -> None:
    file = written(tmp_path, "bad.yaml", WARM)
    assert check_files([file]) == 2
    line = next(n for n, text in enumerate(file.read_text().splitlines(), 1) if "warm" in text)
    said = capsys.readouterr()
    assert f"{file}:{line}:" in said.err
    assert "'TT101 > 120 degC' can never be true" in said.err
    assert "TT101 is 0 degC to 100 degC" in said.err
    assert "Correct the condition" in said.err
    assert "How long it takes" not in said.out


def test_a_warning_is_told_and_the_recipe_is_good(tmp_path: Path, capsys: Said) -> None:
    assert check_files([written(tmp_path, "wide.yaml", NARROW)]) == 0
    said = capsys.readouterr()
    assert "warning: temperature_high of" in said.out
    assert "16 phases: good, 3 warnings" in said.out


def test_every_file_is_checked_whatever_the_others_are(tmp_path: Path, capsys: Said) -> None:
    files = [tmp_path / "nothing.yaml", written(tmp_path, "bad.yaml", WARM),
             find_recipe("car_t_perfusion")]  # fmt: skip
    assert check_files(files) == 2
    said = capsys.readouterr()
    assert "cannot read the file" in said.err
    assert "can never be true" in said.err
    assert "16 phases: good" in said.out


def test_a_program_gets_everything_as_json(tmp_path: Path, capsys: Said) -> None:
    bad = written(tmp_path, "bad.yaml", WARM)
    assert check_files([bad, find_unit("perfusion_2l")], as_json=True) == 2
    told = json.loads(capsys.readouterr().out)
    recipe, unit = told["files"]
    assert told["good"] is False
    assert (recipe["kind"], recipe["id"]) == ("recipe", "car_t_perfusion")
    found = recipe["findings"][0]
    assert (found["severity"], found["rule"]) == ("error", "never-true")
    assert found["where"].startswith(f"{bad}:")
    assert found["path"] == "culture/warm"
    assert recipe["durations"][-1]["path"] == "car_t_perfusion"
    assert (unit["kind"], unit["findings"]) == ("unit", [])


def test_a_recipe_is_checked_against_the_unit_that_is_named(tmp_path: Path, capsys: Said) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(edited(UNIT, ("  id: perfusion_2l\n", "  id: perfusion_9l\n")))
    assert check_files([find_recipe("car_t_perfusion")], str(other)) == 2
    said = capsys.readouterr()
    assert "the recipe is for unit 'perfusion_2l', this unit is 'perfusion_9l'" in said.err
    assert check_files([find_recipe("car_t_perfusion")], "perfusion_3l") == 2
    assert "Did you mean 'perfusion_2l'" in capsys.readouterr().err
    assert check_files([find_recipe("car_t_perfusion")], "perfusion_2l") == 0


def test_a_unit_nobody_knows_is_told_at_the_recipes_line(tmp_path: Path, capsys: Said) -> None:
    file = written(tmp_path, "far.yaml", ("unit: perfusion_2l\n", "unit: perfusion_2\n"))
    assert check_files([file]) == 2
    assert f"{file}:4:1: error: unknown unit 'perfusion_2'" in capsys.readouterr().err


def test_a_recipe_that_names_no_unit_is_told_so(tmp_path: Path, capsys: Said) -> None:
    file = tmp_path / "bare.yaml"
    file.write_text("recipe: bare\n")
    assert check_files([file]) == 2
    assert f"{file}:1:1: error: the recipe names no unit" in capsys.readouterr().err


def test_on_a_full_disk_the_answer_is_a_sentence_and_not_a_traceback() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "controller.cli", "check", "car_t_perfusion.yaml"], stdout=full,
            stderr=subprocess.PIPE, text=True, timeout=120, check=False, cwd=RECIPES,
            env={**os.environ, "PYTHONPATH": str(RECIPES.parent)},
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "The disk is full: not everything was written.\n"
