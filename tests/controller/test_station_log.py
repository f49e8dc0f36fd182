"""The station's log: what belongs to no batch, in the format and for the tools of every log."""

from __future__ import annotations

import subprocess
import sys

import pytest
from people_bench import TERMINAL, PeopleDeck
from test_docs import ROOT

from controller.core.events import Event
from controller.people import door
from controller.record.note import VerifierKey
from controller.record.prove import check, prove
from controller.record.query import Filter
from controller.record.show import select
from controller.record.sources import Source
from controller.record.verify import verify

SCRIPT = ROOT / "controller" / "record" / "verifier" / "cellwright_verify.py"


@pytest.fixture
def deck(tmp_path):
    """Accounts and log-ins, a refusal, a trip without a batch, what a witness answered."""
    deck = PeopleDeck(tmp_path)
    stamp = deck.clock.stamp()
    done = door.log_in(deck.people, "olivia", "not it", "", TERMINAL, stamp)
    deck.supervisor.desk.report(done.events)
    asked = deck.by("ada", "user_add", "newman", "operator;New Man")
    done = door.add_user(deck.people, asked.id, f"ada@{TERMINAL}", "admin", "newman", "New Man",
                         "operator", deck.clock.stamp())  # fmt: skip
    deck.supervisor.desk.report(done.events)
    deck.values["PT101"] = 4.6
    deck.run(5)
    answer = {"origin": "cellwright/log/0011223344556677", "size": 7, "root": "00" * 32,
              "witness": "witness.example", "time": "2026-01-05T08:00:00Z"}  # fmt: skip
    deck.supervisor.desk.report([Event("checkpoint.witnessed", deck.clock.stamp(), data=answer)])
    deck.run(2)
    deck.supervisor.station_log.checkpoint(deck.clock.stamp())
    deck.supervisor.station_log.close()
    return deck


def source(deck):
    return Source("station", deck.supervisor.station_log.directory)


def test_accounts_refusals_trips_and_witness_answers_stand_in_one_log_and_are_found(deck):
    for event in ("session.opened", "session.refused", "account.added", "cause.active",
                  "effect.applied", "alarm.state", "checkpoint.witnessed"):  # fmt: skip
        rows = list(select(source(deck), Filter(event=event)))
        assert rows, event
        assert {row["event"] for row in rows} == {event}


def test_it_verifies_by_the_same_program_and_by_the_one_that_has_nothing_of_ours(deck):
    directory = source(deck).directory
    assert verify(directory, expect_sealed=False, deep=True).problems == []
    command = [sys.executable, "-I", "-S", str(SCRIPT), str(directory)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout[:3]) == (0, "OK:"), said.stdout


def test_one_of_its_records_is_proved_without_the_others(deck):
    directory = source(deck).directory
    (row,) = select(source(deck), Filter(event="account.added", why=""))
    proof = prove(source(deck), row["seq"]).render()
    found = check(proof, log=None, device=VerifierKey.parse(verify(directory).device))
    assert found.record["data"]["user"] == "newman"
    assert b"session.opened" not in proof
