"""The whole station on a watched disk: after any crash its batch goes on, or it never began.

One short batch in virtual time with commands, a trip, a Hold, history, and its end gives the calls.
After a crash a new station and a new field start on what the disk holds.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import supervisor_bench
from disk_model import STYLES
from record_logs import frames_of
from scripted_batch import LaterFiles, Sweep, Witnessed
from supervisor_bench import YOU, Deck, find_unit, load_unit
from test_record_crash import some
from virtual_disk import VirtualDisk

from controller.core.clock import NS_PER_S, VirtualClock
from controller.core.errors import CellwrightError
from controller.record.entry import read_records
from controller.record.frame import segment_files
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.state import StateDir
from controller.record.verify import verify
from controller.station import Station

POINTS = 20
LATER_S = 1_000
LOGS = ("station", "batches/B-1/log")


class Lived:
    """One batch, and what each log had acknowledged and field been given at each call."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.disk = VirtualDisk(root)
        self.told = {name: Witnessed() for name in LOGS}
        self.profile, self.offer = load_unit(find_unit("perfusion_2l"))
        monkeypatch.setattr(supervisor_bench, "Disk", lambda: LaterFiles(Random(1)))
        with self.disk.installed(), monkeypatch.context() as patched:
            for name in ("sync", "seal", "checkpoint", "create"):
                patched.setattr(BatchLog, name, self._watched(name))
            self._live(Deck(root))
        for name, told in self.told.items():
            told.payloads = [frame.payload for frame in frames_of(root / name)]

    def _watched(self, name: str):
        real = getattr(BatchLog, name)

        def watched(first, *given, **more):
            made = real(first, *given, **more)
            log = made if name == "create" else first
            self._acknowledged(log)
            return made

        if name != "create":
            return watched
        real = BatchLog.create.__func__
        return classmethod(watched)

    def _acknowledged(self, log: BatchLog) -> None:
        where = log.directory.relative_to(self.disk.root).as_posix()
        self.told[where].acknowledged.append((self.disk.calls, log.durable_size))

    def _live(self, deck: Deck) -> None:
        """Opened, commanded, tripped, held, reset, ended, closed."""
        board, people = deck.station.board, {"reason": "test", "second": YOU}
        give = board.command

        def command(number, *order):
            self.told[LOGS[0]].handed.append((self.disk.calls, number))
            return give(number, *order)

        board.command = command
        deck.open()
        deck.ask("set_output", "stirrer", "150")
        deck.values["PT101"] = 4.6
        deck.run(3)
        deck.values["PT101"] = 1.0
        deck.run(3)
        deck.ask("reset", "6", **people)
        deck.run(62)  # a chunk of history
        deck.disk.work()
        deck.ask("abort", reason="test")
        deck.run(5)
        deck.ask("end_environment", reason="empty", second=YOU)
        deck.run(3)
        deck.station.close_batch(deck.clock.stamp())
        deck.run(2)
        deck.disk.settle()

    def again(self, root: Path, calls: int) -> str:
        """A new station on what is left; what it found."""
        files, clock = LaterFiles(Random(calls)), VirtualClock(1)
        clock.advance_to(LATER_S * NS_PER_S)
        try:
            station = Station(self.profile, self.offer, StateDir(root, files), Keys.from_seed(1),
                              files, clock.stamp())  # fmt: skip
            found = "no batch"
            if station.found_open:
                station.take_up(clock.stamp())
                found = "taken up"
            for _ in range(3):
                clock.advance_to(clock.now_ns + NS_PER_S)
                station.supervisor.tick(clock.stamp())
            state = station.supervisor.procedure_state
            quiet = state in ("Idle", "Holding", "Held", "Aborting", "Aborted")
            assert quiet or station.supervisor.restore.active, f"{state} without a Hold"
            station.supervisor.station_log.checkpoint(clock.stamp())
            if station.batch_log is not None:
                station.batch_log.checkpoint(clock.stamp())
        except CellwrightError as error:
            raise AssertionError(f"it does not start: {error}") from error
        return found + self._check(root, calls)

    def _check(self, root: Path, calls: int) -> str:
        intents, ended = set[int](), ""
        for name, told in self.told.items():
            folder, acknowledged = root / name, told.records(calls)
            if not segment_files(folder):
                assert acknowledged == 0, f"the log {name} is gone"
                continue
            report = verify(folder, expect_sealed=False, deep=True)
            assert report.ok, report.problems
            payloads = [frame.payload for frame in frames_of(folder)]
            assert payloads[:acknowledged] == told.payloads[:acknowledged], f"{name}: lost records"
            events = list(read_records(folder))
            intents |= {e["data"]["id"] for e in events if e["event"] == "command.intent"}
            names = {event["event"] for event in events}
            if {"batch.never_began", "batch.was_closed"} & names:
                ended = ", put away"
        given = self.told[LOGS[0]].commands(calls)
        assert given <= intents, "a command was given without a durable intent"
        return ended


def test_a_station_starts_after_a_crash_at_any_of_twenty_calls(
    ram: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived = Lived(ram / "lived", monkeypatch)
    sweep = Sweep(ram)
    sweep.run(lived.disk, lived.again, some(lived.disk.calls, POINTS), range(2, len(STYLES)))
    assert sweep.failures == []
    assert sweep.found["taken up"] > POINTS
    assert len(lived.told[LOGS[0]].handed) > 20


@pytest.mark.campaign
def test_campaign_a_station_starts_after_a_crash_at_every_call(
    ram: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived = Lived(ram / "lived", monkeypatch)
    sweep = Sweep(ram)
    sweep.run(lived.disk, lived.again, list(range(lived.disk.calls + 1)), range(len(STYLES)))
    commands = len(lived.told[LOGS[0]].handed)
    print(f"\nstation: {lived.disk.calls} calls, {commands} commands, {sweep.pairs} crashes, "
          f"{dict(sweep.found)}, {len(sweep.failures)} failures")
    assert sweep.failures == []
    assert sweep.pairs >= 1_000
