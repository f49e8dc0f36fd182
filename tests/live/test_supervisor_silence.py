"""Nobody above field for longer than its limit: the table's column, never cold cells."""

from __future__ import annotations

import signal
import time

from field_view import field_of, profile
from harness import (
    S,
    environment_kept,
    kill,
    liquids_shut,
    named,
    processes,
    proved,
    taken_up,
    wait_until,
)

from controller.field.ring import EventKind

LIMIT_S = 10.0


def acts(board, profile, row):
    """Whether a row acts, as field's own image has it."""
    board.refresh()
    index = next(at for at, cause in enumerate(profile.causes) if cause.row == row)
    return bool(board.image.causes[index]["active"])


def test_a_supervisor_that_stays_away_costs_nitrogen_and_product_valve_and_nothing_else(
    handed, tmp_path
):
    with taken_up(handed, tmp_path) as live:
        wait_until(lambda: live.batch_state == "Held", live.words)
        wait_until(lambda: liquids_shut(live.unit), "liquids are not shut")
        field, supervisor = live.field, live.supervisor
        board = field_of(live.state).board
        kill(live.launcher, signal.SIGSTOP)
        mark = kill(supervisor)
        live.unit.mark()
        before = int(board.image.beat["scans"][0])
        wait_until(lambda: acts(board, profile(), "supervisor"), "the row does not act", 30.0)
        assert time.monotonic_ns() - mark > (LIMIT_S - 2.0) * S  # it beats at least every second
        time.sleep(2.0)
        told = [event for event in board.drain() if event.kind == EventKind.CAUSE_ACTIVE]
        assert processes(live.token, "controller.cli.supervise") == []
        assert live.field == field
        drives = live.unit.drives()
        assert (drives["n2"], drives["xv203"]) == (0.0, 0.0)
        assert environment_kept(live.unit) == []
        board.refresh()
        beat = board.image.beat[0]
        assert int(beat["scans"]) + int(beat["missed"]) - before >= LIMIT_S * 10 - 20
        kill(live.launcher, signal.SIGCONT)
        live.wait_record(mark, "cause.active", row="supervisor")
        live.wait_record(mark, "batch.attached")
        live.wait_record(mark, "cause.cleared", row="supervisor")
        assert live.field == field
        assert live.supervisor != supervisor
        assert live.batch_state == "Held"
        assert environment_kept(live.unit) == []
        live.kill_everything()
        found = live.rows()
        effects = named(found, "effect.applied", row="supervisor")
        outputs = {row["data"]["output"] for row in effects}
        assert outputs >= {"n2", "xv203"}
        alarms = named(found, "alarm.state", alarm="row:supervisor")
        assert [row["data"]["new"] for row in alarms][:1] == ["UNACK"]
        sources = {row["source"].rsplit(".", 1)[1] for row in named(found, "cause.active")}
        assert {str(event.sequence) for event in told} <= sources
        started = named(found, "field.started")
        assert any("scanning after" in row["data"]["words"] for row in started)
        assert all(row["source"].startswith(f"{row['data']['generation']}.field.")
                   for row in started)  # fmt: skip
        proved(live.state)
