"""The procedural state table, every state against every command."""

from __future__ import annotations

import pytest
from recipe_life import LEGAL

from controller.core.errors import Refused
from controller.recipe.states import ACTIVE, COMMANDS, FINAL, STATES, TABLE, legal, move

TRIGGERS = (*COMMANDS, "worsen", "done")


def test_states_commands_and_ends_are_those_of_isa_88() -> None:
    assert set(COMMANDS) == {"start", "hold", "restart", "stop", "abort", "pause", "resume"}
    assert set(STATES) == {
        "Idle", "Running", "Pausing", "Paused", "Holding", "Held", "Restarting", "Stopping",
        "Stopped", "Aborting", "Aborted", "Complete",
    }  # fmt: skip
    assert {"Stopped", "Aborted", "Complete"} == FINAL
    assert set(TABLE) == set(TRIGGERS)


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
    with pytest.raises(Refused) as refused:
        move("Held", "start")
    assert all(verb in str(refused.value) for verb in ("restart", "stop", "abort"))
    assert "pause" not in str(refused.value)
    with pytest.raises(Refused, match="No command is possible now"):
        move("Aborted", "hold")


@pytest.mark.parametrize("trigger", ["to_Complete", "to_Held", "reset", "", "Hold", "hold "])
def test_there_are_no_shortcuts_past_the_table(trigger: str) -> None:
    with pytest.raises(Refused):
        move("Running", trigger)


def test_every_state_that_is_not_final_can_be_left_by_a_person_or_by_its_own_end() -> None:
    for state in set(STATES) - FINAL:
        ways = {to for (source, _), to in LEGAL.items() if source == state and to != state}
        assert ways, state
        if state != "Aborting":
            assert any(legal(state, command) for command in COMMANDS), state


def test_every_state_can_reach_an_end_and_no_end_can_be_left() -> None:
    for state in STATES:
        reached, front = {state}, {state}
        while front:
            front = {to for (source, _), to in LEGAL.items() if source in front} - reached
            reached |= front
        assert reached & FINAL, state
        assert state not in FINAL or reached == {state}


def test_every_state_but_idle_stops_and_aborts_until_it_is_ending() -> None:
    for state in set(STATES) - FINAL - {"Idle", "Stopping", "Aborting"}:
        assert legal(state, "stop"), state
        assert legal(state, "abort"), state


def test_every_active_state_ends_and_no_other_does() -> None:
    assert {state for state in STATES if legal(state, "done")} == ACTIVE
