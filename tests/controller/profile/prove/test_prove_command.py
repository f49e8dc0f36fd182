"""`cellwright prove`: its JSON, its words, its exit status."""

from __future__ import annotations

import json

import pytest
import yaml
from seeded import UNIT, changed
from typer.testing import CliRunner

from controller.cli.app import app
from controller.cli.prove import print_text
from controller.core.yamltext import load
from controller.profile.prove.claims import claims
from controller.profile.prove.prover import prove_claim
from controller.profile.prove.run import Proof, prove

RUNNER = CliRunner()


@pytest.fixture
def broken(tmp_path):
    """A file of the shipped unit with one property that holds and one that does not."""
    data = json.loads(json.dumps(load(UNIT).data))
    data["properties"] = [
        {"id": "good", "title": "Good", "whenever": ["TT101 > 38.5 degC"], "then": "heater = 0",
         "within": "3 s"},
        {"id": "wrong", "title": "Wrong", "whenever": ["TT101 > 38 degC"], "then": "heater = 0",
         "within": "3 s"},
    ]  # fmt: skip
    file = tmp_path / "unit.yaml"
    file.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=10_000))
    return file


def test_json_has_every_property_and_nothing_else_and_a_broken_one_exits_with_1(broken):
    result = RUNNER.invoke(app, ["prove", str(broken), "--json"])
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert set(said) == {"properties", "seconds"}
    assert all(
        set(one) == {"id", "holds", "vacuous", "counterexample"} for one in said["properties"]
    )
    found = {one["id"]: one for one in said["properties"]}
    assert found["good"]["holds"] is True
    assert found["good"]["counterexample"] is None
    case = found["wrong"]["counterexample"]
    assert case["confirmed"] is True
    hot = next(line for line in case["tags"] if line["tag"] == "TT101")
    assert hot["value"] > 38.0
    assert hot["unit"] == "degC"
    assert hot["quality"] == "good"
    assert [name for name, one in found.items() if not one["holds"]] == ["wrong"]


def test_text_shows_the_counter_example_as_a_table_of_tags(broken, capsys):
    profile = changed(lambda data: data.update(yaml.safe_load(broken.read_text())))
    results = tuple(prove_claim(profile, claim) for claim in claims(profile))
    print_text(profile, Proof(results, 1.0), {"wrong": True})
    said = capsys.readouterr().out
    assert "DOES NOT HOLD" in said
    assert "Counter-example, after 3 s of the premise, confirmed: the kernel does it" in said
    assert "TT101" in said
    assert "NOT PROVED" in said


def test_an_unknown_unit_is_refused_with_the_nearest_name():
    result = RUNNER.invoke(app, ["prove", "perfusion_2"])
    assert "perfusion_2l" in str(result.exception)


def test_the_shipped_unit_is_proved_in_time():
    proof = prove(changed(lambda data: None))
    assert [result.id for result in proof.results if not result.holds] == []
    assert len(proof.results) > 100
    assert not any(result.vacuous for result in proof.results)
