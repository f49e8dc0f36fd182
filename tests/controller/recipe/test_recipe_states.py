"""The procedural state table, every state against every command."""

from __future__ import annotations

import pytest

from controller.core.errors import Refused
from controller.recipe.states import ACTIVE, COMMANDS, FINAL, STATES, legal, move

# Written out from ISA-88 and not derived from the table it checks.
LEGAL = {
    ("Idle", "start"): "Running",
    ("Running", "hold"): "Holding",
    ("Running", "stop"): "Stopping",
    ("Running", "abort"): "Aborting",
    ("Holding", "stop"): "Stopping",
    ("Holding", "abort"): "Aborting",
    ("Held", "restart"): "Restarting",
    ("Held", "stop"): "Stopping",
    ("Held", "abort"): "Aborting",
    ("Restarting", "hold"): "Holding",
    ("Restarting", "stop"): "Stopping",
    ("Restarting", "abort"): "Aborting",
    ("Stopping", "abort"): "Aborting",
    ("Holding", "worsen"): "Holding",
    ("Held", "worsen"): "Holding",
    ("Running", "done"): "Complete",
    ("Holding", "done"): "Held",
    ("Restarting", "done"): "Running",
    ("Stopping", "done"): "Stopped",
    ("Aborting", "done"): "Aborted",
}
TRIGGERS = (*COMMANDS, "worsen", "done")


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("trigger", TRIGGERS)
def test_every_state_takes_exactly_the_commands_isa_88_gives_it(state: str, trigger: str) -> None:
    wanted = LEGAL.get((state, trigger))
    assert legal(state, trigger) is (wanted is not None)
    if wanted is not None:
        assert move(state, trigger) == wanted
        return
    with pytest.raises(Refused) as refused:
        move(state, trigger)
    assert state in refused.value.what
    assert "Nothing was changed" in str(refused.value)


def test_a_refusal_says_what_is_possible_instead() -> None:
    with pytest.raises(Refused, match="restart, stop, abort"):
        move("Held", "start")


@pytest.mark.parametrize("trigger", ["to_Complete", "to_Held", "reset", ""])
def test_there_are_no_shortcuts_past_the_table(trigger: str) -> None:
    with pytest.raises(Refused):
        move("Running", trigger)


def test_every_state_that_is_not_final_can_be_left_by_a_person() -> None:
    for state in STATES:
        if state in FINAL or state in ("Aborting",):
            continue
        assert any(legal(state, command) for command in COMMANDS), state


def test_every_active_state_ends_and_no_other_does() -> None:
    assert {state for state in STATES if legal(state, "done")} == ACTIVE
