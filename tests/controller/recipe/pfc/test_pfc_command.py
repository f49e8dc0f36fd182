"""`cellwright recipe chart` and `states`: what they draw, write and refuse."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

import pytest
from pfc_bench import EVERYTHING, recipe

from controller.cli.app import main
from controller.cli.recipe_batch import read_batch
from controller.core.errors import BadInput
from controller.recipe.pfc.build import build
from controller.recipe.pfc.mermaid import mermaid
from controller.recipe.pfc.sheets import sheets
from controller.recipe.pfc.svg import svg
from controller.units import find_recipe, find_unit
from hil_sim.rig.rig import Rig


def cellwright(*words: str) -> int:
    with (
        mock.patch.object(sys, "argv", ["cellwright", *words]),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    return int(ended.value.code or 0)


def test_the_command_draws_a_recipe_by_its_id_and_by_its_file(tmp_path, capsys):
    made = build(recipe("car_t_perfusion"))
    out = tmp_path / "chart.svg"
    assert cellwright("recipe", "chart", "car_t_perfusion", "--out", str(out)) == 0
    assert out.read_text() == svg(sheets(made), made.title)
    assert cellwright("recipe", "chart", str(find_recipe("car_t_perfusion"))) == 0
    assert capsys.readouterr().out == out.read_text()
    assert cellwright("recipe", "chart", str(EVERYTHING), "--format", "mermaid") == 0
    assert capsys.readouterr().out == mermaid(build(recipe()))


def test_a_unit_can_be_named_by_its_file(capsys):
    unit = str(find_unit("perfusion_2l"))
    assert cellwright("recipe", "chart", str(EVERYTHING), "--unit", unit) == 0
    assert capsys.readouterr().out.startswith("<?xml")


@pytest.mark.parametrize(("words", "said"), [
    (["nothing_like_it"], "unknown recipe 'nothing_like_it'"),
    ([], "no recipe is named"),
    (["car_t_perfusion", "--format", "svgg"], "Did you mean 'svg'?"),
    (["car_t_perfusion", "--unit", "perfusion_3l"], "unknown unit 'perfusion_3l'"),
    (["car_t_perfusion", "--out", "no/such/place.svg"], "it cannot be written"),
    (["--batch", "no_such_place"], "there is no such log directory"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_refused_with_the_reason(words, said, capsys):
    assert cellwright("recipe", "chart", *words) == 2
    assert said in capsys.readouterr().err


def test_a_recipe_for_a_unit_nobody_has_names_the_line(tmp_path, capsys):
    file = tmp_path / "other.yaml"
    file.write_text(EVERYTHING.read_text().replace("unit: perfusion_2l", "unit: elsewhere", 1))
    assert cellwright("recipe", "chart", str(file)) == 2
    error = capsys.readouterr().err
    assert f"{file}:4:1: unknown unit 'elsewhere'" in error
    assert "--unit" in error


def test_the_page_of_state_machines_is_printed_or_written(tmp_path, capsys):
    assert cellwright("recipe", "states", "--out", str(tmp_path / "states.md")) == 0
    assert cellwright("recipe", "states") == 0
    assert capsys.readouterr().out == (tmp_path / "states.md").read_text()


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """The state directory of a short simulated run, its batch still open."""
    rig = Rig(tmp_path_factory.mktemp("run"), seed=1, fidelity="signal")
    rig.run(5_400.0)
    rig.finish()
    return rig.log_dir.parents[2]


def test_a_batch_is_drawn_from_its_log_its_folder_or_the_state_directory(run, tmp_path, capsys):
    (log,) = (run / "batches").glob("*/log")
    texts = []
    for path in (run, log.parent, log):
        assert cellwright("recipe", "chart", "--batch", str(path)) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] == texts[2]
    text = texts[0]
    assert f"batch {log.parent.name}" in text
    assert "Where it is" in text
    assert 'data-state="Running"' in text
    assert 'data-state="Complete"' in text
    assert 'data-state="Idle"' in text
    assert cellwright("recipe", "chart", "--batch", str(log), "--format", "mermaid") == 0
    assert "classDef Running" in capsys.readouterr().out


def test_a_file_that_is_not_the_recipe_of_the_batch_is_pointed_out(run, capsys):
    state = str(run)
    assert cellwright("recipe", "chart", "car_t_perfusion", "--batch", state) == 0
    assert capsys.readouterr().err == ""
    assert cellwright("recipe", "chart", str(EVERYTHING), "--batch", state) == 0
    assert "is not the recipe batch" in capsys.readouterr().err


def test_a_log_of_a_station_has_no_batch_to_draw(run):
    with pytest.raises(BadInput, match="no batch was opened in this log"):
        read_batch(run / "station")


def test_a_log_that_is_damaged_says_where(run, tmp_path, capsys):
    (log,) = (run / "batches").glob("*/log")
    copy = tmp_path / "log"
    for file in sorted(log.rglob("*")):
        if file.is_file():
            target = copy / file.relative_to(log)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    segment = copy / "segments" / "00000000.seg"
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    assert cellwright("recipe", "chart", "--batch", str(copy)) == 3
    assert "cellwright log verify" in capsys.readouterr().err
