"""The operator's screen by clicks, in a real browser, against the live two-process system.

REQ-HMI-*: what a person must be able to do, and must see.
"""

from __future__ import annotations

import os
import signal
import time

import pytest
from browser import Operator, address, chromium
from harness import launched, stopped, wait_until
from playwright.sync_api import expect

from controller.people.demo import USERS
from controller.record.verify import verify
from hil_sim.rig.serving import served

PASSWORD = {each.user: each.password for each in USERS}
SHOWN_S = 2.0
LONG_MS = 30_000


@pytest.fixture(scope="module")
def floor(tmp_path_factory):
    """Served devices, the two programs with the screen, and a browser."""
    folder = tmp_path_factory.mktemp("floor")
    links, state = folder / "links.yaml", folder / "state"
    words = ("--screen", "--demo", "--port", "0")
    with (
        served(links, 1) as unit,
        launched(unit, links, state, words) as live,
        chromium() as browser,
    ):
        yield live, browser, address(live)


@pytest.fixture
def person(floor):
    """Opens a page of one's own, logged in; what a page asked for is looked at on leaving."""
    _, browser, url = floor
    contexts, people = [], []

    def come(user: str) -> Operator:
        context = browser.new_context(
            ignore_https_errors=True, viewport={"width": 1280, "height": 800}
        )
        contexts.append(context)
        operator = Operator(context.new_page(), url)
        people.append(operator)
        if user:
            operator.log_in(user, PASSWORD[user])
        return operator

    yield come
    asked = {each.split("/")[2] for operator in people for each in operator.requests}
    for context in contexts:
        context.close()
    assert asked <= {url.split("/")[2]}, "a request left the machine"


def state_is(operator: Operator, state: str) -> None:
    """The head of the page shows the procedure's state."""
    expect(operator.at("procedure-state")).to_have_text(state, timeout=LONG_MS)


def sign(operator: Operator, reason: str = "", *people: str) -> None:
    """Fills the dialog that is open, and signs."""
    dialog = operator.at("sign-dialog")
    expect(dialog).to_be_visible()
    if reason:
        operator.at("sign-reason").fill(reason)
    for who, mark in zip(people, ("", "-2"), strict=False):
        operator.at(f"sign-user{mark}").fill(who)
        operator.at(f"sign-password{mark}").fill(PASSWORD[who])
    operator.at("sign-go").click()
    expect(dialog).to_be_hidden(timeout=LONG_MS)


def open_and_start(operator: Operator) -> None:
    """A batch, from nothing to Running."""
    operator.go("batch")
    button = operator.at("order-open_batch")
    expect(button).to_be_enabled(timeout=60_000)
    button.click()
    operator.at("field-lot").fill("LOT-2026-0117")
    operator.at("field-patient").fill("PSN-0042")
    sign(operator, "", "olivia")
    expect(operator.at("order-start")).to_be_enabled(timeout=LONG_MS)
    operator.at("order-start").click()
    sign(operator, "", "olivia")
    state_is(operator, "Running")


def test_a_frozen_server_is_seen_within_two_seconds_and_only_hold_stays(floor, person) -> None:
    """REQ-HMI-TRUTH-1: values are struck, orders disabled, Hold is there; live again by itself."""
    live, _, _ = floor
    olivia = person("olivia")
    olivia.go("batch")
    expect(olivia.at("order-open_batch")).to_be_enabled(timeout=60_000)
    with stopped(live.supervisor):
        began = time.time()
        seen = olivia.when_seen("NO DATA FROM THE SERVER")
        olivia.shot("frozen_server")
        assert seen - began <= SHOWN_S
        expect(olivia.at("order-open_batch")).to_be_disabled()
        expect(olivia.at("hold")).to_be_enabled()
    expect(olivia.at("order-open_batch")).to_be_enabled(timeout=LONG_MS)
    expect(olivia.at("stale")).to_have_count(0)


def test_a_stalled_producer_behind_a_living_server_is_seen(floor, person) -> None:
    """REQ-HMI-TRUTH-2: field stands still, the server talks on: not one value looks live."""
    live, _, _ = floor
    olivia = person("olivia")
    expect(olivia.at("liveness-source")).to_contain_text("live", timeout=LONG_MS)
    pid = live.field
    began = time.time()
    os.kill(pid, signal.SIGSTOP)
    try:
        seen = olivia.when_seen("DOES NOT SCAN")
        assert seen - began <= SHOWN_S
        expect(olivia.at("liveness-link")).to_contain_text("live")
        expect(olivia.at("hold")).to_be_enabled()
    finally:
        os.kill(pid, signal.SIGCONT)
    expect(olivia.at("stale")).to_have_count(0, timeout=LONG_MS)


def test_a_killed_server_comes_back_without_a_reload(floor, person) -> None:
    """REQ-HMI-TRUTH-3: the page says so within 2 s, and is live again on the same session."""
    live, _, _ = floor
    olivia = person("olivia")
    olivia.page.evaluate("window.notReloaded = true")
    began = time.time()
    os.kill(live.supervisor, signal.SIGKILL)
    assert olivia.when_seen("NO DATA FROM THE SERVER") - began <= SHOWN_S
    expect(olivia.at("stale")).to_have_count(0, timeout=60_000)
    assert olivia.page.evaluate("window.notReloaded") is True


def test_a_shift_from_the_log_in_to_the_empty_vessel(floor, person) -> None:
    """REQ-HMI-SHIFT: open, start, answer, trip, acknowledge, reset, restart, hold, abort, end."""
    live, _, url = floor
    olivia = person("")
    olivia.page.goto(url)
    olivia.at("login-user").fill("olivia")
    olivia.at("login-password").fill("not the password at all")
    olivia.at("login-go").click()
    expect(olivia.at("login-said")).to_contain_text("wrong user or password")
    olivia.shot("log_in")
    olivia.log_in("olivia", PASSWORD["olivia"])

    open_and_start(olivia)
    prompt = olivia.page.locator('[data-testid^="prompt-"][data-kind="scan"]').first
    expect(prompt).to_be_visible(timeout=LONG_MS)
    prompt.get_by_test_id("prompt-value").fill("LOT-2026-0117")
    prompt.get_by_test_id("prompt-answer").click()
    wait_until(lambda: live.named("prompt.answered", value="LOT-2026-0117"), live.words)
    expect(prompt).to_have_count(0, timeout=LONG_MS)
    olivia.shot("batch")

    live.unit.fault("balance_disconnected")
    olivia.go("unit")
    expect(olivia.at("cause-9")).to_be_visible(timeout=LONG_MS)
    expect(olivia.at("worst-alarm")).to_be_visible()
    state_is(olivia, "Held")
    olivia.shot("trip")
    live.unit.clear("balance_disconnected")

    olivia.go("alarms")
    olivia.at("ack-row:9").click()
    expect(olivia.at("ack-row:9")).to_have_count(0, timeout=LONG_MS)
    olivia.shot("alarms")
    olivia.go("unit")
    reset = olivia.at("reset-9")
    expect(reset).to_be_enabled(timeout=LONG_MS)
    reset.click()
    sign(olivia, "balance plugged in again")
    expect(olivia.at("cause-9")).to_have_count(0, timeout=LONG_MS)

    olivia.go("batch")
    olivia.at("order-restart").click()
    sign(olivia, "the balance weighs again", "olivia")
    state_is(olivia, "Running")
    olivia.press_hold(300)
    olivia.page.wait_for_timeout(1_000)
    state_is(olivia, "Running")
    olivia.press_hold()
    state_is(olivia, "Held")

    olivia.at("order-abort").click()
    expect(olivia.at("sign-consequence")).to_contain_text("What follows")
    olivia.shot("sign_abort")
    sign(olivia, "the rehearsal is over", "sam")
    state_is(olivia, "Aborted")
    olivia.at("order-end_environment").click()
    sign(olivia, "the vessel was never filled", "olivia", "quinn")
    expect(olivia.at("order-open_batch")).to_be_enabled(timeout=LONG_MS)
    olivia.go("record")
    olivia.shot("record")

    (batch,) = live.state.glob("batches/*/log")
    report = verify(batch, expect_sealed=True, deep=True)
    assert report.ok, report.problems
    signed = [
        (row["data"]["user"], row["data"]["meaning"]) for row in live.named("signature.given")
    ]
    assert signed[:3] == [("olivia", "opened"), ("olivia", "started"), ("olivia", "restarted")]
    assert ("sam", "aborted") in signed
    assert len(live.named("session.refused")) == 1
    for row in live.named("command.intent", verb="hold"):
        assert row["actor"].startswith("olivia@")


def test_a_click_on_an_old_state_is_refused_and_says_why(floor, person) -> None:
    """REQ-HMI-STALE: two people at two screens; the second one's dialog is about the past."""
    live, _, _ = floor
    olivia, sam = person("olivia"), person("sam")
    open_and_start(olivia)
    sam.go("batch")
    expect(sam.at("order-stop")).to_be_enabled(timeout=LONG_MS)
    sam.at("order-stop").click()
    expect(sam.at("sign-dialog")).to_be_visible()
    olivia.press_hold()
    state_is(olivia, "Held")
    sam.at("sign-reason").fill("too late")
    sam.at("sign-password").fill(PASSWORD["sam"])
    sam.at("sign-go").click()
    expect(sam.at("sign-failed")).to_contain_text("REFUSED", timeout=LONG_MS)
    expect(sam.at("sign-failed")).to_contain_text("the screen showed Running")
    sam.shot("old_state")
    sam.at("sign-cancel").click()
    state_is(sam, "Held")
    assert live.named("command.refused", verb="stop")


def test_hold_without_a_log_in_acts_and_restart_asks_who_it_was(floor, person) -> None:
    """REQ-HMI-HOLD: a press of 1 s at the log-in page holds; identified before Restart."""
    live, _, url = floor
    olivia = person("olivia")
    olivia.go("batch")
    state_is(olivia, "Held")
    olivia.at("order-restart").click()
    sign(olivia, "going on", "olivia")
    state_is(olivia, "Running")
    stranger = person("")
    stranger.page.goto(url)
    stranger.press_hold()
    state_is(olivia, "Held")
    expect(stranger.at("hold-said")).to_contain_text("ACCEPTED", timeout=LONG_MS)
    stranger.shot("hold_without_log_in")
    assert live.named("command.intent", verb="hold")[-1]["actor"].startswith("unidentified person@")
    expect(olivia.at("needs-identity")).to_be_visible(timeout=LONG_MS)
    olivia.at("identify-hold").click()
    olivia.at("field-value").fill("Quinn Quist")
    sign(olivia, "told at the vessel")
    expect(olivia.at("needs-identity")).to_have_count(0, timeout=LONG_MS)
    olivia.at("order-restart").click()
    sign(olivia, "everything is fine", "olivia")
    state_is(olivia, "Running")
