"""`cellwright firmware`: what is shown is what the board is given, the build names its images."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from controller.cli.firmware import firmware_app
from controller.core.errors import BadInput
from controller.units import find_recipe, find_unit, load_unit
from firmware_bridge import build
from firmware_bridge.table import Table


def ran(*words):
    return CliRunner().invoke(firmware_app, list(words))


@pytest.fixture(scope="module")
def shown():
    return json.loads(ran("tables", "perfusion_2l_io", "--json").stdout)


def test_the_table_written_is_the_one_the_profile_names(tmp_path):
    file = tmp_path / "io.table"
    done = ran("tables", "perfusion_2l_io", "--out", str(file))
    profile, _ = load_unit(find_unit("perfusion_2l_io"))
    (board,) = [link.board for link in profile.links if link.board is not None]
    assert file.read_bytes() == board.table
    assert hashlib.sha256(file.read_bytes()).hexdigest() in done.stdout
    assert len(Table.split(board.table).causes) == len(board.rows)


def test_every_row_is_shown_with_what_the_board_forces_and_what_it_leaves_to_the_kernel(shown):
    rows = {row["id"]: row for row in shown["rows"]}
    assert rows["1"]["conditions"] == ["TT101 > 38.5 degC", "TT102 > 38.5 degC"]
    assert (rows["1"]["effects"], rows["1"]["kernel_alone"]) == (["km101 = 0"], ["heater"])
    assert rows["9"]["kernel_alone"] == ["feed", "perfusate", "base"]
    assert (rows["air"]["delay_s"], rows["air"]["bad"]) == (1.0, ["trip"])
    assert rows["air"]["valid"] == "not in prime"
    assert rows["6"]["told"] == "io.6"
    assert not rows["9"]["never_bypass"]
    assert rows["6"]["never_bypass"]


def test_each_signal_says_where_the_board_has_it_from(shown):
    source = {each["tag"]: each["from"] for each in shown["signals"]}
    assert source["PT101"] == "analog input 0"
    assert source["XV203_ZSC"] == "digital input 8"
    assert source["ST_FEED"] == "host, at most 3 s old"


def test_a_unit_without_a_board_is_refused_with_what_to_do():
    done = ran("tables", "perfusion_2l")
    assert isinstance(done.exception, BadInput)
    assert "unit perfusion_2l has no I/O board" in str(done.exception)
    assert "protocol: bridge" in done.exception.do


def test_a_file_that_cannot_be_written_is_refused(tmp_path):
    done = ran("tables", "perfusion_2l_io", "--out", str(tmp_path / "no" / "io.table"))
    assert isinstance(done.exception, BadInput)
    assert "cannot write" in str(done.exception)


def missing():
    raise BadInput("no arm-none-eabi-gcc found", do="Install it.")


def test_what_is_built_is_named_with_its_digest_and_what_is_not_with_what_to_install(monkeypatch):
    monkeypatch.setattr(build, "image", missing)
    done = ran("build", "--json")
    found = {one["name"]: one for one in json.loads(done.stdout)["built"]}
    assert done.exit_code == 2
    assert found["library"]["sha256"] == build.digest(build.library()).hex()
    assert "Install it" in found["image"]["error"]


def test_the_image_is_shown_with_what_it_takes_of_flash_and_ram(monkeypatch):
    monkeypatch.setattr(build, "image", build.library)
    monkeypatch.setattr(build, "sizes", lambda _: SimpleNamespace(flash=30_000, ram=8_000))
    done = ran("build")
    assert done.exit_code == 0
    assert "flash 30000 of 32768 bytes, RAM 8000 of 8192 bytes" in done.stdout


def test_a_unit_takes_the_recipes_of_the_unit_it_says_and_of_no_other_version(tmp_path):
    from controller.core.yamltext import load
    from controller.recipe.load import compile_recipe

    _, offer = load_unit(find_unit("perfusion_2l_io"))
    assert dict(offer.serves) == {"perfusion_2l": "1", "perfusion_2l_io": "1"}
    recipe = compile_recipe(load(find_recipe("car_t_perfusion")), offer)
    assert recipe.unit == "perfusion_2l"
    file = tmp_path / "recipe.yaml"
    text = find_recipe("car_t_perfusion").read_text()
    file.write_text(text.replace('unit_version: "1"', 'unit_version: "2"'))
    with pytest.raises(BadInput, match="version 2 of perfusion_2l, this is version 1"):
        compile_recipe(load(file), offer)


def test_a_batch_keeps_a_unit_based_on_another_as_one_file_that_means_the_same(tmp_path):
    """SR-PROFILE: the file in the log has the digest of its header, and runs by itself."""
    from controller.beginning import blobs_of

    profile, _ = load_unit(find_unit("perfusion_2l_io"))
    text = dict(blobs_of(profile, find_recipe("car_t_perfusion")))["profile"]
    assert hashlib.sha256(text).hexdigest() == profile.sha256
    blob = tmp_path / f"sha256-{profile.sha256}"
    blob.write_bytes(text)
    again, offer = load_unit(blob)
    assert (again.plan_digest, again.sha256) == (profile.plan_digest, profile.sha256)
    assert again.links == profile.links
    assert offer.unit == "perfusion_2l_io"
