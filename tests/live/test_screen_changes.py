"""A running recipe changed at the screen, by clicks of two people, against the live system.

REQ-HMI-CHANGE-*: what a change does is seen before it is signed, and stays in sight afterwards.
"""

from __future__ import annotations

import test_screen
from browser import Operator
from harness import wait_until
from playwright.sync_api import expect
from test_screen import LONG_MS, PASSWORD, open_and_start, sign, state_is

floor, person = test_screen.floor, test_screen.person
LEAK, PRIME = "prepare/set_up/leak_test", "prepare/set_up/prime"


def previewed(operator: Operator, allowed: bool, words: str) -> None:
    """The open dialog says what the change would do, or why it cannot be."""
    seen = operator.at("sign-preview")
    expect(seen).to_contain_text(words, timeout=LONG_MS)
    expect(seen).to_have_attribute("data-allowed", str(allowed).lower())


def step_is(operator: Operator, path: str, state: str) -> None:
    """An element of the tree is in a state."""
    expect(operator.at(f"step-{path}")).to_have_attribute("data-state", state, timeout=LONG_MS)


def test_an_engineer_and_qa_change_a_running_recipe_and_everybody_sees_both_values(
    floor, person
) -> None:
    """REQ-HMI-CHANGE-1: preview, two signatures, old and new value with the deviation; pause."""
    live, _, _ = floor
    olivia, emil = person("olivia"), person("emil")
    expect(olivia.at("liveness-tags")).to_have_attribute("data-state", "live", timeout=60_000)
    open_and_start(olivia)
    expect(olivia.at(f"place-{LEAK}")).to_be_visible(timeout=LONG_MS)
    expect(olivia.at("step-of")).to_contain_text("Step 2 of 9")
    expect(olivia.at("timeout")).to_contain_text("then an alarm, and it waits on")
    expect(olivia.at("ways-out")).to_have_text("Hold, Pause, Stop, Abort")

    emil.go("batch")
    emil.at(f"pick-{LEAK}").click()
    expect(emil.at("parameter-hold_time")).to_contain_text("5 min", timeout=LONG_MS)
    emil.at("change-hold_time").click()
    emil.at("field-value").fill("2 h")
    previewed(emil, False, "outside its registered range")
    expect(emil.at("sign-go")).to_be_disabled()
    emil.at("field-value").fill("10 min")
    previewed(emil, True, "5 min becomes 10 min")
    emil.shot("change_preview")

    # A supervisor is not QA: refused, the dialog stays and says why.
    emil.at("sign-reason").fill("the set is new to us")
    for who, mark in (("emil", ""), ("sam", "-2")):
        emil.at(f"sign-user{mark}").fill(who)
        emil.at(f"sign-password{mark}").fill(PASSWORD[who])
    emil.at("sign-go").click()
    expect(emil.at("sign-failed")).to_contain_text("may not be the second person", timeout=LONG_MS)
    assert not live.named("recipe.changed")
    sign(emil, "the set is new to us", "emil", "quinn")
    wait_until(lambda: live.named("recipe.changed", name="hold_time"), live.words)
    (changed,) = live.named("recipe.changed", name="hold_time")
    number = changed["data"]["deviation"]
    expect(emil.at("element-change")).to_contain_text(f"hold_time: 5 min -> 10 min, {number}")
    expect(emil.at("parameter-hold_time")).to_contain_text("10 min", timeout=LONG_MS)
    expect(emil.at("parameter-hold_time")).to_contain_text("5 min")
    expect(olivia.at(f"mark-{LEAK}")).to_have_text("changed", timeout=LONG_MS)
    emil.shot("element_changed")

    # A pause waits for its place; the engineer has the test skipped, and there it is.
    olivia.at("order-pause").click()
    expect(olivia.at("sign-consequence")).to_contain_text("Nothing is stopped by it")
    sign(olivia)
    state_is(olivia, "Pausing")
    emil.at("change-skip").click()
    previewed(emil, True, "it ends by its stopping steps")
    sign(emil, "tested on the bench already", "emil", "quinn")
    state_is(olivia, "Paused")
    step_is(olivia, LEAK, "Stopped")
    olivia.at("order-resume").click()
    sign(olivia, "", "olivia")
    step_is(olivia, PRIME, "Running")
    state_is(olivia, "Running")

    # One element is held and restarted while the whole runs; what was found later is recorded.
    olivia.at(f"details-{PRIME}").click()
    olivia.at("element-hold").click()
    expect(olivia.at("sign-consequence")).to_contain_text("It is no Hold of the unit")
    sign(olivia)
    step_is(olivia, PRIME, "Held")
    state_is(olivia, "Running")
    olivia.shot("element_held")
    olivia.at("element-restart").click()
    sign(olivia, "seen", "olivia")
    step_is(olivia, PRIME, "Running")
    olivia.at("record-deviation").click()
    olivia.at("field-value").fill("the clamp of the feed line was loose")
    sign(olivia, "seen on the round", "olivia")
    wait_until(lambda: live.named("deviation.recorded", target=PRIME), live.words)
    olivia.shot("batch_changed")
    olivia.press_hold()
    state_is(olivia, "Held")
