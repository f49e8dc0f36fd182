"""`cellwright recipe export` and `import` as a person meets them."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from controller.cli.app import main
from controller.core.yamltext import load
from controller.recipe.model import RecipeModel
from recipes import RECIPES


def cellwright(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
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
    assert isinstance(ended.value.code, int)
    return subprocess.CompletedProcess(words, ended.value.code, out.getvalue(), err.getvalue())


def test_a_recipe_goes_out_and_comes_back_and_what_batchml_cannot_say_is_listed(
    tmp_path: Path,
) -> None:
    out = cellwright("recipe", "export", "car_t_dose", "--out", "dose.xml", cwd=tmp_path)
    assert out.returncode == 0
    assert "Carried beside BatchML" in out.stderr
    assert "culture/grow/expand: exceptions of a phase" in out.stderr
    assert "Not in the file:" in out.stderr
    back = cellwright("recipe", "import", "dose.xml", "--out", "dose.yaml", cwd=tmp_path)
    assert back.returncode == 0
    assert "Left out: nothing" in back.stderr
    assert "loads for perfusion_2l version 1" in back.stderr
    shipped = load(RECIPES / "car_t_dose.yaml").validate(RecipeModel)
    assert load(tmp_path / "dose.yaml").validate(RecipeModel) == shipped
    again = cellwright("recipe", "import", "dose.xml", "--out", "dose.yaml", cwd=tmp_path)
    assert again.returncode == 2
    assert "not overwritten" in again.stderr


def test_without_out_the_file_is_printed_and_nothing_else(tmp_path: Path) -> None:
    out = cellwright("recipe", "export", "car_t_perfusion", cwd=tmp_path)
    assert out.stdout.startswith("<?xml")
    (tmp_path / "r.xml").write_text(out.stdout)
    back = cellwright("recipe", "import", "r.xml", cwd=tmp_path)
    assert back.stdout.startswith("recipe: car_t_perfusion\n")


def test_a_recipe_that_does_not_load_is_not_exported(tmp_path: Path) -> None:
    text = (RECIPES / "car_t_perfusion.yaml").read_text()
    (tmp_path / "r.yaml").write_text(text.replace("phase: prime", "phase: primed"))
    out = cellwright("recipe", "export", "r.yaml", cwd=tmp_path)
    assert out.returncode == 2
    assert "r.yaml:" in out.stderr
    assert "Did you mean 'prime'?" in out.stderr
    assert not out.stdout


def test_an_import_that_cannot_run_is_written_and_refused_at_its_line(tmp_path: Path) -> None:
    xml = cellwright("recipe", "export", "car_t_perfusion", cwd=tmp_path).stdout
    wrong = xml.replace("<ValueString>24</ValueString>", "<ValueString>2400</ValueString>", 1)
    assert wrong != xml
    (tmp_path / "r.xml").write_text(wrong)
    back = cellwright("recipe", "import", "r.xml", "--out", "r.yaml", cwd=tmp_path)
    assert back.returncode == 2
    assert "r.yaml:" in back.stderr
    assert "out of range" in back.stderr
    assert (tmp_path / "r.yaml").is_file()


@pytest.mark.parametrize("text", ["<a>", "<!DOCTYPE a><a/>", ""])
def test_a_hostile_file_is_refused_with_its_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "r.xml").write_text(text)
    back = cellwright("recipe", "import", "r.xml", cwd=tmp_path)
    assert back.returncode == 2
    assert "r.xml:1" in back.stderr
    missing = cellwright("recipe", "import", "none.xml", cwd=tmp_path)
    assert missing.returncode == 2
