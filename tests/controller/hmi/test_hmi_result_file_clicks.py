"""A file of results handed in at the screen, by clicks in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hmi_bench import Bench, bench, wait_until
from hmi_rig import password_of
from playwright.sync_api import Page, expect, sync_playwright

from controller.asking import Request
from controller.core.yamltext import parse
from controller.recipe.model import OfferModel
from controller.recipe.offer import compile_offer
from controller.station import BatchOrder

SHOTS = Path("build/screenshots")
UNIT = """
variables:
  vcd: {dimension: cell_density}
  expected: {dimension: cell_density}
  viability: {dimension: fraction}
phases:
  - id: sample
    title: Daily sample
    running:
      - text: Model
        set: {expected: 10e6 /mL}
      - prompt: {kind: sample, id: vcd, text: Viable cell density, into: vcd, unit: 1e6/mL,
                 low: 0.1e6 /mL, high: 100e6 /mL, predicted: expected}
      - prompt: {kind: sample, id: viability, text: Viability, into: viability, unit: "%",
                 low: 0 %, high: 100 %}
"""
RECIPE = """
recipe: small
version: "1"
title: Small
unit: perfusion_2l
unit_version: "1"
controls: [{control: viability_ok, of: viability, low: 70 %, outside: [retest, hold]}]
procedure:
  - unit_procedure: culture
    operations:
      - operation: grow
        phases: [{phase: sample}]
"""


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Bench]:
    """A batch that waits for a count."""
    with bench(tmp_path / "out") as made:
        made.within(lambda: begin(made, tmp_path / "recipe.yaml"))
        wait_until(lambda: made.snapshot["prompts"])
        yield made


def begin(made: Bench, path: Path) -> None:
    station, document = made.rig.station, parse(UNIT.encode(), "unit.yaml")
    station.offer = compile_offer(document.validate(OfferModel), document, "perfusion_2l",
                                  station.offer.equipment)  # fmt: skip
    path.write_text(RECIPE)
    order = BatchOrder("B-1", "virtual", "PSN-1", "LOT-1")
    station.open_batch(station.load_recipe(path), path, order, made.rig.clock.stamp())
    made.rig.step(made.rig.clock.now_ns + 3_000_000_000)
    made.rig.supervisor.desk.ask(Request("start", origin="script"))


@pytest.fixture
def page() -> Iterator[Page]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "chromium is missing: make setup-test installs it"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page(viewport={"width": 1280, "height": 900})
        browser.close()


def file(unit: Bench, folder: Path, *results: str) -> Path:
    """An instrument's file, measured now."""
    time = unit.within(lambda: unit.rig.clock.stamp().rfc3339())
    rows = [f"B-1/sample,{result},counter,SN 7,{time},olivia" for result in results]
    path = folder / "counts.csv"
    path.write_text("\n".join(("sample,analyte,value,unit,instrument,serial,time,operator", *rows)))
    return path


def test_a_file_is_chosen_refused_confirmed_by_a_second_person_and_answers(
    unit: Bench, page: Page, tmp_path: Path
) -> None:
    page.goto(unit.url)
    page.get_by_test_id("login-user").fill("olivia")
    page.get_by_test_id("login-password").fill(password_of("olivia"))
    page.get_by_test_id("login-go").click()
    page.get_by_test_id("nav-batch").click()
    vcd, viability = "culture/grow/sample.vcd", "culture/grow/sample.viability"
    prompt = page.get_by_test_id(f"prompt-{vcd}")
    expect(prompt.get_by_test_id("prompt-sample")).to_have_text("B-1/sample", timeout=15_000)

    wrong = file(unit, tmp_path, "vcd,9.5,%")
    expect(prompt.get_by_test_id("prompt-file")).to_be_enabled(timeout=15_000)
    prompt.get_by_test_id("prompt-file").set_input_files(wrong)
    expect(prompt.get_by_test_id("prompt-file-failed")).to_contain_text(
        "counts.csv:2", timeout=9_000
    )

    far = file(unit, tmp_path, "vcd,30,1e6/mL", "viability,61,%")
    prompt.get_by_test_id("prompt-file").set_input_files(far)
    expect(prompt.get_by_test_id("prompt-repeat")).to_contain_text("30", timeout=9_000)
    page.screenshot(path=_shot("result_file_again"))
    prompt.get_by_test_id("prompt-file").set_input_files(far)
    for who, mark in (("olivia", ""), ("quinn", "-2")):
        page.get_by_test_id(f"sign-user{mark}").fill(who)
        page.get_by_test_id(f"sign-password{mark}").fill(password_of(who))
    page.get_by_test_id("sign-go").click()

    again = page.get_by_test_id(f"prompt-{viability}")
    expect(again.get_by_test_id("prompt-again")).to_contain_text("61 %", timeout=15_000)
    page.screenshot(path=_shot("result_file_retest"))
    cancel = page.get_by_test_id("sign-cancel")
    if cancel.is_visible():
        cancel.click()
    unit.within(lambda: unit.rig.step(unit.rig.clock.now_ns + 2_000_000_000))
    better = file(unit, tmp_path, "viability,93,%")
    again.get_by_test_id("prompt-file").set_input_files(better)
    wait_until(lambda: unit.records("sample.recorded")[1:])
    found = unit.records("sample.recorded")
    assert [event.data["value"] for event in found] == ["30", "93"]
    assert unit.records("prompt.answered")[0].data["second"] == "quinn@station"


def _shot(name: str) -> Path:
    SHOTS.mkdir(parents=True, exist_ok=True)
    return SHOTS / f"{name}.png"
