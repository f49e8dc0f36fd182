"""A bypass on the live system: it outlives the supervisor that set it, and ends with field."""

from __future__ import annotations

import time

import pytest
from door import Door
from field_view import profile
from harness import kill, taken_up, wait_until

ROW, MEASURE = "17", "oxygen is read at the probe every ten minutes"
SECOND = "unverified:operator_2@station"


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    return Door(tmp_path_factory.mktemp("bypass") / "door")


@pytest.fixture(scope="module")
def live(handed, tmp_path_factory, door):
    with taken_up(handed, tmp_path_factory.mktemp("station"), extra=door.environment) as found:
        wait_until(lambda: found.named("field.restored"), found.words)
        yield found


def bypassed(live):
    place = next(i for i, cause in enumerate(profile().causes) if cause.row == ROW)
    with live.board() as board:
        return int(board.image.causes[place]["bypass_until_ns"]) > 0


def test_a_bypass_goes_on_over_a_killed_supervisor_and_lapses_with_a_killed_field(live, door):
    mark = time.monotonic_ns()
    ask = {"verb": "bypass", "target": ROW, "value": f"900;{MEASURE}", "second": SECOND}
    door.ask(ask)
    opened = live.wait_record(mark, "deviation.opened", row=ROW)
    assert opened["data"]["measure"] == MEASURE
    live.wait_record(mark, "bypass.set", row=ROW)
    assert bypassed(live)

    before = live.supervisor
    kill(before)
    live.wait_record(mark, "batch.attached", 60.0)
    assert live.supervisor != before
    assert bypassed(live)
    assert not live.since(mark, "bypass.lapsed")

    again = time.monotonic_ns()
    door.ask(ask)
    refused = live.wait_record(again, "command.refused", verb="bypass")
    assert "bypassed already" in refused["data"]["why"], "the new supervisor knows it"

    kill(live.field)
    live.wait_record(again, "field.restored", 60.0)
    live.wait_record(again, "bypass.lapsed", row=ROW)
    wait_until(lambda: not bypassed(live), live.words)
    assert len(live.since(mark, "deviation.opened")) == 1
    assert len(live.since(mark, "bypass.lapsed")) == 1
