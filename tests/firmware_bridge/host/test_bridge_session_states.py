"""The table of the session's states; and whatever a board says, the session goes on."""

from __future__ import annotations

import random

import pytest
from scripted_board import DIGEST, TABLE, ScriptedBoard
from session_desk import MS, Desk

from controller.core.errors import BrokenInvariant
from firmware_bridge import messages as m
from firmware_bridge.frames import encode
from firmware_bridge.layout import layout
from firmware_bridge.states import NEXT, Phase, Turn, after


@pytest.mark.parametrize("phase", list(Phase), ids=lambda phase: phase.value)
def test_the_table_of_states_takes_what_it_has_and_nothing_else(phase: Phase) -> None:
    for turn in Turn:
        if (phase, turn) in NEXT:
            assert after(phase, turn) is NEXT[phase, turn]
        else:
            with pytest.raises(BrokenInvariant):
                after(phase, turn)


def test_every_phase_is_reached_and_left() -> None:
    assert {phase for phase, _ in NEXT} == set(Phase)
    assert set(NEXT.values()) == set(Phase)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_a_board_says_the_session_goes_on(seed: int) -> None:
    """Whole frames of every kind with wrong, right and nearly right numbers, at any moment."""
    rng = random.Random(seed)
    desk = Desk(ScriptedBoard(table=TABLE if seed % 2 else b""))
    for _ in range(400):
        desk.step()
        flight = desk.sent[-1][1]
        kind = rng.choice(list(m.MESSAGES))
        least = layout(m.MESSAGES[kind]).least
        size = rng.choice([least, least, rng.randrange(120)])
        payload = bytes(rng.choice([0, 1, rng.randrange(256)]) for _ in range(size))
        session = rng.choice([flight.session, flight.session, 0, rng.randrange(1 << 32)])
        sequence = (flight.sequence + rng.choice([0, 0, 0, 1, -1])) % 65_536
        line = encode(kind, session, sequence, payload, rng.choice([1] * 30 + [2]))
        desk.now_ns += rng.randrange(70) * MS
        desk.note(desk.session.feed(line, desk.now_ns))
        desk.session.command({rng.randrange(8): (1, 100)}, safe=rng.random() < 0.5)
    desk.board = ScriptedBoard(boot_id=99)
    desk.run(6_500 * MS)
    assert desk.session.armed
    assert desk.board.acted[0] == m.Arm(DIGEST, 0)
