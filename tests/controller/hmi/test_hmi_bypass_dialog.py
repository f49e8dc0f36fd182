"""A bypass as a person asks for it: the dialog wants the measure, the screen then shows it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from hmi_bench import Bench, bench
from hmi_rig import password_of
from playwright.sync_api import Page, expect, sync_playwright

ROW, MEASURE = "17", "oxygen is read at the probe every ten minutes"


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("dialog"), "running", speed=2.0) as made:
        yield made


@pytest.fixture
def page(unit: Bench) -> Iterator[Page]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "chromium is missing: make setup-test installs it"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        shown = browser.new_page(viewport={"width": 1280, "height": 800})
        shown.set_default_timeout(20_000)
        shown.goto(unit.url)
        shown.get_by_test_id("login-user").fill("sam")
        shown.get_by_test_id("login-password").fill(password_of("sam"))
        shown.get_by_test_id("login-go").click()
        expect(shown.get_by_test_id("all-rows")).to_be_visible(timeout=20_000)
        yield shown
        browser.close()


def test_a_person_bypasses_a_row_that_watches_with_a_measure_and_a_second_person(
    unit: Bench, page: Page
) -> None:
    page.get_by_test_id("all-rows").click()
    expect(page.get_by_test_id("row-1")).to_contain_text("never bypassed")
    expect(page.get_by_test_id("bypass-row-1")).to_have_count(0)
    expect(page.get_by_test_id("row-16")).to_contain_text("applies only in cells_in")
    page.get_by_test_id(f"bypass-row-{ROW}").click()
    expect(page.get_by_test_id("sign-consequence")).to_contain_text("a deviation is opened")
    page.get_by_test_id("sign-reason").fill("the probe is exchanged")
    for user, mark in (("sam", ""), ("quinn", "-2")):
        page.get_by_test_id(f"sign-user{mark}").fill(user)
        page.get_by_test_id(f"sign-password{mark}").fill(password_of(user))
    expect(page.get_by_test_id("sign-blocked")).to_have_text("Compensating measure: missing")
    expect(page.get_by_test_id("sign-go")).to_be_disabled()
    expect(page.get_by_test_id("sign-go")).to_be_in_viewport()
    page.get_by_test_id("field-measure").fill(MEASURE)
    page.get_by_test_id("sign-go").click()
    expect(page.get_by_test_id("sign-dialog")).to_be_hidden(timeout=20_000)
    expect(page.get_by_test_id(f"measure-{ROW}")).to_have_text(f"Instead: {MEASURE}")
    expect(page.get_by_test_id(f"bypassed-{ROW}")).to_contain_text("min")
    expect(page.get_by_test_id(f"bypass-row-{ROW}")).to_have_count(0)
    (opened,) = unit.records("deviation.opened")
    assert (opened.data["measure"], opened.data["seconds"]) == (MEASURE, "600")
    assert opened.data["second"].startswith("quinn@")
