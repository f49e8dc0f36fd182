"""The alarm page by clicks, in a real browser, against the live two-process system.

REQ-HMI-ALARM-*: what an alarm tells a person, what may be asked about it, and that none is lost.
"""

from __future__ import annotations

import re

import test_screen
from browser import Operator
from field_view import profile
from harness import stopped, wait_until
from playwright.sync_api import expect
from test_screen import LONG_MS, PASSWORD, open_and_start, sign, state_is

from controller.alarms import Book

floor, person = test_screen.floor, test_screen.person
LINK, TRIP, HOLD = "link:balance", "row:9", "unit:hold"
SEEN = "the phases wait for the balance, I stand beside it"
EXCHANGED = "the balance is exchanged"


def alarm_is(operator: Operator, name: str, state: str, timeout_ms: int = LONG_MS) -> None:
    """An alarm stands on the list in a state."""
    expect(operator.at(f"alarm-{name}")).to_have_attribute("data-state", state, timeout=timeout_ms)


def acknowledge(operator: Operator, name: str) -> None:
    """By its button, until the list shows it."""
    operator.at(f"ack-{name}").click()
    expect(operator.at(f"ack-{name}")).to_have_count(0, timeout=LONG_MS)


def test_an_operator_works_through_the_alarms_of_a_fault_and_none_of_them_is_lost(
    floor, person
) -> None:
    """REQ-HMI-ALARM-1: meaning, action, time; acknowledge, shelve, out of service, silence."""
    live, _, _ = floor
    olivia, sam = person("olivia"), person("sam")
    # Every device was read: else no batch is opened.
    expect(olivia.at("liveness-tags")).to_have_attribute("data-state", "live", timeout=60_000)
    open_and_start(olivia)
    live.unit.fault("balance_disconnected")
    olivia.go("alarms")
    alarm_is(olivia, LINK, "UNACK")
    alarm_is(olivia, HOLD, "UNACK")
    entry = Book.of(profile()).entry(LINK)
    expect(olivia.at(f"consequence-{LINK}")).to_contain_text(entry.consequence)
    expect(olivia.at(f"action-{LINK}")).to_contain_text(entry.action)
    expect(olivia.at(f"time-{LINK}")).to_have_text(re.compile(r"^9 min \d\d s left$"))

    # What only follows from the lost balance is under it, and counted on every page.
    expect(olivia.at("banner-hidden")).to_contain_text("2", timeout=LONG_MS)
    olivia.at(f"explains-{LINK}").click()
    expect(olivia.at(f"because-{LINK}").get_by_test_id(f"hidden-{TRIP}")).to_be_visible()
    expect(olivia.at("hidden-count")).to_contain_text("2 suppressed by design")

    olivia.at("silence").click()
    expect(olivia.at("silence")).to_have_count(0, timeout=LONG_MS)
    expect(olivia.at("horn")).to_have_attribute("data-sounds", "false")
    wait_until(lambda: live.named("alarm.silenced"), live.words)
    olivia.shot("alarms_waiting")

    # Sam's dialog is about an alarm that Olivia acknowledges meanwhile.
    sam.go("alarms")
    sam.at(f"shelve-{HOLD}").click()
    sam.at("sign-reason").fill("too late")
    acknowledge(olivia, HOLD)
    alarm_is(olivia, HOLD, "ACK")
    sam.at("sign-go").click()
    expect(sam.at("sign-failed")).to_contain_text("now it is ACTIVE, acknowledged", timeout=LONG_MS)
    sam.shot("alarms_refused")
    sam.at("sign-cancel").click()
    alarm_is(sam, HOLD, "ACK")
    assert live.named("command.refused", verb="shelve")
    assert not live.named("command.intent", verb="shelve")

    olivia.at(f"shelve-{HOLD}").click()
    olivia.at("field-minutes").fill("31")
    olivia.at("sign-reason").fill(SEEN)
    expect(olivia.at("sign-blocked")).to_contain_text("above 30")
    olivia.at("field-minutes").fill("1")
    sign(olivia)
    expect(olivia.at(f"hidden-{HOLD}")).to_have_attribute("data-state", "SHELVED", timeout=LONG_MS)
    expect(olivia.at(f"alarm-{HOLD}")).to_have_count(0)
    expect(olivia.at(f"until-{HOLD}")).to_have_text(
        re.compile(r"until \d\d:\d\d, (1 min 00|\d\d?) s left")
    )
    expect(olivia.at(f"by-{HOLD}")).to_have_text(re.compile(f"by olivia@.*: {SEEN}"))
    expect(olivia.at("hidden-count")).to_contain_text("1 shelved")
    done = olivia.page.locator('footer [data-state="confirmed"]').filter(has_text="shelve")
    expect(done.first).to_be_visible(timeout=LONG_MS)
    expect(olivia.at(f"asked-{HOLD}")).to_have_count(0)
    (shelved,) = live.named("alarm.state", alarm=HOLD, new="SHELVED")
    assert (shelved["reason"], shelved["actor"].split("@")[0]) == (SEEN, "olivia")

    # Out of service is a supervisor's, and signed.
    expect(olivia.at(f"out-{LINK}")).to_have_count(0)
    sam.at(f"out-{LINK}").click()
    sign(sam, EXCHANGED, "sam")
    sam.at("hidden-count").click()
    expect(sam.at(f"by-{LINK}")).to_have_text(re.compile(f"by sam@.*: {EXCHANGED}"))
    sam.shot("alarms_hidden")
    sam.at(f"in-{LINK}").click()
    expect(sam.at("sign-consequence")).to_contain_text("It stands behind this")
    sign(sam, "it is exchanged", "sam")
    alarm_is(sam, LINK, "UNACK")
    signed = {row["data"]["meaning"] for row in live.named("signature.given")}
    assert {"taken out of service", "put back into service"} <= signed

    # Nobody has to remember what was shelved: it comes back by itself, and waits again.
    alarm_is(olivia, HOLD, "UNACK", 90_000)
    expect(olivia.at(f"hidden-{HOLD}")).to_have_count(0)
    acknowledge(olivia, HOLD)

    # The balance is back; the row stays latched, and can be acknowledged in that state.
    live.unit.clear("balance_disconnected")
    alarm_is(olivia, TRIP, "LATCHED-UNACK", 60_000)
    acknowledge(olivia, TRIP)
    alarm_is(olivia, TRIP, "LATCHED-ACK")
    expect(olivia.at(f"alarm-{TRIP}")).to_contain_text("until its row is reset")
    olivia.go("unit")
    olivia.at("reset-9").click()
    sign(olivia, "the balance weighs again")
    olivia.go("alarms")
    expect(olivia.at(f"alarm-{TRIP}")).to_have_count(0, timeout=LONG_MS)
    state_is(olivia, "Held")


def test_alarms_that_are_not_live_are_struck_out_and_offer_nothing(floor, person) -> None:
    """REQ-HMI-ALARM-2: an old list looks old, no time goes on counting, no button acts."""
    live, _, _ = floor
    sam = person("sam")
    sam.go("alarms")
    expect(sam.at(f"shelve-{HOLD}")).to_be_enabled(timeout=LONG_MS)
    with stopped(live.supervisor):
        sam.when_seen("NO DATA FROM THE SERVER")
        for what in (f"shelve-{HOLD}", f"out-{HOLD}"):
            expect(sam.at(what)).to_be_disabled()
        for struck in (sam.at("alarm-count"), sam.at("horn"), sam.at("hidden-count").locator("b")):
            expect(struck).to_have_css("text-decoration-line", "line-through")
        expect(sam.at("hold")).to_be_enabled()
        sam.shot("alarms_stale")
    expect(sam.at(f"shelve-{HOLD}")).to_be_enabled(timeout=LONG_MS)


def test_who_may_only_read_sees_the_alarms_and_no_button(floor, person) -> None:
    """REQ-HMI-ALARM-3: rights of the table; an auditor asks for nothing."""
    aud = person(next(user for user in PASSWORD if user.startswith("aud")))
    aud.go("alarms")
    expect(aud.at(f"alarm-{HOLD}")).to_be_visible(timeout=LONG_MS)
    for mark in ("ack-", "shelve-", "out-"):
        expect(aud.page.locator(f'[data-testid^="{mark}"]')).to_have_count(0)
