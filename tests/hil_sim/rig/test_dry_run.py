"""A dry run: a recipe nobody wrote a script for runs to its end, and says what happened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from controller.cli import recipe_dry_run
from controller.core.errors import BadInput
from controller.record.verify import verify
from equipment_profiles import UNITS
from hil_sim.rig.dry_run import DryRun, dry_run, prepare
from recipes import RECIPES

RECIPE = Path(__file__).with_name("dry_recipe.yaml")
ONLY_LEAK_TEST = """
recipe: only_leak_test
version: "1"
title: Leak test
unit: perfusion_2l
unit_version: "1"
procedure:
  - unit_procedure: prepare
    operations:
      - operation: test
        phases: [{phase: leak_test, with: {hold_time: 1 min}}, {phase: end_environment}]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dry")


@pytest.fixture(scope="module")
def run(folder: Path) -> DryRun:
    return dry_run(prepare(str(RECIPE)), folder / "one", recipe=str(RECIPE))


def spans(run: DryRun, name: str) -> list[Any]:
    return [span for span in run.spans if span.path.endswith(f"/{name}")]


def words(run: DryRun, kind: str) -> list[str]:
    return [note.words for note in run.notes if note.kind == kind]


def test_a_recipe_without_a_script_runs_to_its_end_with_every_prompt_answered(run: DryRun) -> None:
    assert run.complete
    assert run.prompts == run.answered > 20
    assert not run.given_up
    assert not run.holds
    assert {span.state for span in run.spans} == {"Complete"}
    assert all(span.end_s is not None for span in run.spans)


def test_what_must_be_entered_is_taken_from_the_middle_of_its_range(run: DryRun) -> None:
    assert run.entered == {"seed_density": "0.3e6 /mL"}
    assert run.recipe.formula["seed_density"] == "0.3e6 /mL"
    assert words(run, "parameter.resolved")[0].endswith("(vcd)")
    counted = float(words(run, "parameter.resolved")[0].split("= ")[1].split("e6")[0])
    assert 0.25 < counted < 0.4  # what was seeded has been counted


def test_elements_stand_in_the_order_they_began_and_a_loop_shows_every_round(run: DryRun) -> None:
    begins = [span.begin_s for span in run.spans]
    assert begins == sorted(begins)
    assert run.spans[0].level == "procedure"
    assert len(spans(run, "count")) == len(spans(run, "restimulate")) == 2
    first, second = spans(run, "count_due")
    assert first.end_s - first.begin_s == pytest.approx(4 * 3600, abs=120)
    assert second.begin_s > first.end_s
    assert len(words(run, "loop.again")) == len(words(run, "loop.limit")) == 1


def test_selections_controls_and_deviations_are_told(run: DryRun) -> None:
    assert len(words(run, "selection.taken")) == 2
    outside = words(run, "control.result")
    assert [text.rpartition(", ")[2] for text in outside] == ["retest", "deviation"] * 2
    assert len(words(run, "deviation.recorded")) == 2


def test_the_run_lies_between_what_the_check_expects_at_least_and_at_most(run: DryRun) -> None:
    whole = run.report.durations[-1]
    assert whole.least_s < run.end_s - run.begin_s < whole.most_s
    assert run.truth["viability_pct"] > 90


def test_the_same_seed_gives_the_same_run(run: DryRun, folder: Path) -> None:
    again = dry_run(prepare(str(RECIPE)), folder / "two", recipe=str(RECIPE))
    assert [(s.path, s.begin_s, s.end_s) for s in again.spans] == [
        (s.path, s.begin_s, s.end_s) for s in run.spans
    ]
    assert (again.notes, again.alarms, again.truth) == (run.notes, run.alarms, run.truth)
    for name in ("one", "two"):
        report = verify(next((folder / name / "batches").glob("*/log")), expect_sealed=True)
        assert report.ok


def test_a_whole_run_is_told_to_people_and_to_programs(
    run: DryRun, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe_dry_run.show(run, 1, 1.0)
    said = capsys.readouterr().out
    assert "Complete after 11 h" in said
    assert "entered at the opening: seed_density = 0.3e6 /mL" in said
    assert "restimulate  Restimulate a culture that grows slowly" in said
    assert "LONGER" not in said
    data = json.loads(json.dumps(recipe_dry_run.as_data(run, 1, 1.0)))
    assert data["complete"] is True
    assert data["elements"][0]["begin_s"] == 0.0
    assert {"leak_test", "end_environment"} <= {e["path"].split("/")[-1] for e in data["elements"]}


@pytest.fixture
def leak(tmp_path: Path) -> Path:
    path = tmp_path / "leak.yaml"
    path.write_text(ONLY_LEAK_TEST)
    return path


def test_a_script_answers_first_and_a_batch_that_does_not_complete_ends_with_1(
    leak: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "script.yaml"
    script.write_text('answers: [{prompt: "*.release", answer: "no"}]')
    with pytest.raises(typer.Exit) as ended:
        recipe_dry_run.dry_run(str(leak), script=script)
    assert ended.value.exit_code == 1
    said = capsys.readouterr().out
    assert "Why it did not go on:" in said
    assert "prepare/test/leak_test.release: nobody answers" in said


def test_a_batch_that_completes_ends_with_0(
    leak: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended:
        recipe_dry_run.dry_run(str(leak), json=True)
    assert ended.value.exit_code == 0
    assert json.loads(capsys.readouterr().out)["state"] == "Complete"


def test_a_procedure_that_leaves_the_environment_on_is_not_a_complete_batch(
    leak: Path, tmp_path: Path
) -> None:
    leak.write_text(leak.read_text().replace(", {phase: end_environment}", ""))
    found = dry_run(prepare(str(leak)), tmp_path / "state", recipe=str(leak))
    assert not found.complete
    assert found.given_up == [
        "the procedure is Complete and the environment still on: no phase ended it"
    ]


def test_a_hold_is_told_with_its_cause_and_the_batch_is_restarted(
    leak: Path, tmp_path: Path
) -> None:
    script = tmp_path / "script.yaml"
    script.write_text("orders: [{at: 4 min, order: hold, reason: rehearsal}]")
    found = dry_run(prepare(str(leak)), tmp_path / "state", recipe=str(leak), script=script)
    assert found.complete
    assert [why for _, _, why in found.holds] == ["hold by unverified:operator_1@station"]
    begin_s, end_s, _ = found.holds[0]
    assert end_s is not None
    assert 300 < end_s - begin_s < 700


def test_a_part_that_is_held_is_restarted_and_the_whole_never_was(
    leak: Path, tmp_path: Path
) -> None:
    part = "prepare/test/leak_test"
    script = tmp_path / "script.yaml"
    script.write_text(f"orders: [{{at: 4 min, order: hold, target: {part}, reason: rehearsal}}]")
    found = dry_run(prepare(str(leak)), tmp_path / "state", recipe=str(leak), script=script)
    assert found.complete
    assert not found.holds
    assert [part in said for said in words(found, "part.held")] == [True]
    assert found.spans[-1].end_s is not None


@pytest.mark.campaign
@pytest.mark.parametrize("name", [file.stem for file in sorted(RECIPES.glob("*.yaml"))])
def test_every_shipped_recipe_dry_runs_to_its_end_without_a_hold(
    name: str, tmp_path: Path
) -> None:
    found = dry_run(prepare(name), tmp_path, recipe=name)
    assert found.complete, found.given_up
    assert not found.holds
    assert found.prompts == found.answered


def test_a_recipe_that_the_check_refuses_is_not_run(
    leak: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = yaml.safe_load(leak.read_text())
    data["procedure"][0]["operations"][0]["phases"] = [{"phase": "sample"}]  # no cells are in
    leak.write_text(yaml.safe_dump(data))
    with pytest.raises(BadInput, match="is refused") as refused:
        recipe_dry_run.dry_run(str(leak))
    assert refused.value.exit_code == 2
    assert "leak.yaml:" in capsys.readouterr().err


def test_a_unit_that_nobody_simulates_is_refused(leak: Path, tmp_path: Path) -> None:
    unit = tmp_path / "other.yaml"
    text = (UNITS / "perfusion_2l.yaml").read_text()
    unit.write_text(text.replace("id: perfusion_2l", "id: other"))
    with pytest.raises(BadInput, match="not simulated"):
        prepare(str(leak), str(unit))


@pytest.mark.parametrize("text", ["seed", "=3", "seed="])
def test_what_is_entered_is_name_and_value(text: str, leak: Path) -> None:
    with pytest.raises(BadInput, match="NAME=VALUE"):
        recipe_dry_run.dry_run(str(leak), enter=[text])


def test_a_script_answers_the_same_prompt_again_in_every_round_of_a_loop(tmp_path: Path) -> None:
    script = tmp_path / "script.yaml"
    script.write_text(
        'answers: [{prompt: "*/count.draw", answer: "yes", after: 20 min, '
        "hands: {draw_sample: {volume_l: 0.002}}}]"
    )
    found = dry_run(prepare(str(RECIPE)), tmp_path / "state", recipe=str(RECIPE), script=script)
    assert found.complete
    assert [span.end_s - span.begin_s > 20 * 60 for span in spans(found, "count")] == [True, True]
