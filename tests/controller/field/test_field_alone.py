"""The field program by itself, on lines where nobody answers: permissions, watchdogs, its end."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import time
from pathlib import Path

import pytest
from field_room import Lines, S, eventually, field

from controller.field import posix
from controller.field.links.note import NoteKind
from controller.field.program import STOOD_STILL

HOOK = Path(__file__).with_name("field_hooks")
LIQUIDS_STOP = {b"1ST\r", b"2ST\r", b"3ST\r"}
PR_CAPBSET_DROP = 24


@pytest.fixture
def lines():
    found = Lines()
    yield found
    found.close()


def without_rights():
    """What an ordinary user may: no capability outlives the next exec, no page may be locked."""
    libc = ctypes.CDLL(None)
    for number in range(64):
        libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
    resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))


# -- what the machine grants ------------------------------------------------------------------


def test_without_permission_for_real_time_it_runs_says_so_once_and_shows_it(lines, tmp_path):
    with field(tmp_path, lines.urls, preexec_fn=without_rights) as room:
        room.scans(5)
        said = eventually(room.notes, "field says nothing")
        time.sleep(0.5)
        assert len(room.notes()) == len(said)
        words = [note.what for note in said if "SCHED" in note.what]
        assert [note.kind for note in said] == [NoteKind.STARTED] * len(said)
        assert len(words) == 1
        generation = f"generation {room.region.generation}"
        for part in ("SCHED_OTHER", "memory not locked", "mlockall: ", generation,
                     "SCHED_FIFO: Operation not permitted", "scanning after"):  # fmt: skip
            assert part in words[0], part
        beat = room.beat
        assert (int(beat["policy"]), int(beat["priority"]), int(beat["locked"])) == (0, 0, 0)
        threads = Path(f"/proc/{room.process.pid}/task").iterdir()
        assert {os.sched_getscheduler(int(task.name)) for task in threads} == {os.SCHED_OTHER}


def test_what_was_granted_is_what_the_thread_has(lines, tmp_path):
    with field(tmp_path, lines.urls) as room:
        room.scans(5)
        beat = room.beat
        tasks = [int(task.name) for task in Path(f"/proc/{room.process.pid}/task").iterdir()]
        fifo = [task for task in tasks if os.sched_getscheduler(task) == os.SCHED_FIFO]
        priorities = sorted((os.sched_getparam(task).sched_priority, task) for task in fifo)
        assert bool(fifo) == bool(beat["policy"])
        if fifo:  # the loop stands alone above all others
            highest, loop = priorities.pop()
            assert highest == int(beat["priority"])
            assert all(priority < highest for priority, _ in priorities)
            if int(beat["cpu"]) >= 0:
                assert os.sched_getaffinity(loop) == {int(beat["cpu"])}
        locked = Path(f"/proc/{room.process.pid}/status").read_text()
        kept = int(locked.split("VmLck:")[1].split()[0])
        assert (kept > 0) == bool(beat["locked"])


def test_asked_for_no_real_time_class_it_takes_none(lines, tmp_path):
    with field(tmp_path, lines.urls, ["--no-fifo"]) as room:
        room.scans(3)
        assert int(room.beat["policy"]) == 0
        assert not [note for note in room.notes() if "SCHED_FIFO" in note.what]


def test_a_latency_device_that_is_not_there_or_not_ours_is_left_out_and_named(tmp_path):
    descriptor, why = posix.hold_latency(tmp_path / "cpu_dma_latency")
    assert descriptor == -1
    assert why == "cpu_dma_latency: No such file or directory"
    descriptor, why = posix.hold_latency(tmp_path)
    assert descriptor == -1
    assert why.startswith(tmp_path.name)
    file = tmp_path / "there"
    file.write_bytes(b"")
    descriptor, why = posix.hold_latency(file)
    assert why == ""
    assert file.read_bytes() == bytes(4)
    os.close(descriptor)


# -- watchdogs --------------------------------------------------------------------------------


class Manager:
    """The service manager's end of NOTIFY_SOCKET."""

    def __init__(self, folder):
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.setblocking(False)
        self.heard = []

    def listen(self):
        """(monotonic ns, text) of every datagram so far."""
        while True:
            try:
                text = self._socket.recv(4096).decode()
            except BlockingIOError:
                return self.heard
            self.heard.append((time.monotonic_ns(), text))

    def said(self, text):
        return [at_ns for at_ns, found in self.listen() if text in found.split("\n")]

    def close(self):
        self._socket.close()


@pytest.fixture
def manager(tmp_path):
    found = Manager(tmp_path)
    yield found
    found.close()


def test_the_watchdog_is_fed_twice_a_second_while_the_loop_scans_and_no_more_when_it_stops(
    lines, manager, tmp_path
):
    device = tmp_path / "watchdog"
    device.write_bytes(b"")
    how = {"env": {"NOTIFY_SOCKET": str(manager.path)}}
    with field(tmp_path, lines.urls, ["--watchdog", str(device)], **how) as room:
        room.scans(1)
        eventually(lambda: manager.said("READY=1"), "not ready")
        assert "READY=1" in manager.heard[0][1]
        fed = eventually(lambda: len(manager.said("WATCHDOG=1")) >= 5 and manager.heard, "not fed")
        times = [at_ns for at_ns, text in fed if text == "WATCHDOG=1"]
        assert times[4] - times[0] > 1.5 * S
        written = device.read_bytes()
        assert len(written) >= 5
        assert set(written) == {0}
        room.stop_the_loop()
        assert room.ended() == STOOD_STILL
        count = len(manager.said("WATCHDOG=1"))
        time.sleep(0.7)
        assert len(manager.said("WATCHDOG=1")) == count
        assert manager.said("STOPPING=1") == []
        assert set(device.read_bytes()) == {0}  # not disarmed: the machine is brought down
        assert "stands still" in room.words


def test_a_worker_that_hangs_for_ever_stops_the_feeding_and_not_the_loop(lines, manager, tmp_path):
    trigger = tmp_path / "hang"
    path = os.pathsep.join((str(HOOK), str(Path(__file__).parents[3])))
    how = {"env": {"NOTIFY_SOCKET": str(manager.path), "PYTHONPATH": path,
                   "CELLWRIGHT_TEST_HANG": str(trigger)}}  # fmt: skip
    with field(tmp_path, lines.urls, **how) as room:
        room.scans(1)
        eventually(lambda: len(manager.said("WATCHDOG=1")) >= 2, "not fed")
        trigger.write_text("balance")
        last = eventually(lambda: time.monotonic_ns() - manager.said("WATCHDOG=1")[-1] > 3 * S,
                          "it is still fed", 30)  # fmt: skip
        assert last
        room.scans(20)
        assert room.process.poll() is None


def test_a_watchdog_that_cannot_be_opened_is_said_and_field_runs(lines, tmp_path):
    with field(tmp_path, lines.urls, ["--watchdog", str(tmp_path / "none")]) as room:
        room.scans(3)
        eventually(lambda: [n for n in room.notes() if str(tmp_path / "none") in n.what],
                   "nothing was said")  # fmt: skip


# -- its end ----------------------------------------------------------------------------------


def test_a_polite_end_without_a_batch_sends_the_start_values_disarms_and_says_so(
    lines, manager, tmp_path
):
    device = tmp_path / "watchdog"
    device.write_bytes(b"")
    how = {"env": {"NOTIFY_SOCKET": str(manager.path)}}
    with field(tmp_path, lines.urls, ["--watchdog", str(device)], **how) as room:
        room.scans(3)
        eventually(lambda: device.read_bytes(), "not fed")
        room.process.send_signal(signal.SIGINT)  # a Ctrl-C is not for it
        room.scans(3)
        notes = room.notes
        lines.listen()
        room.process.send_signal(signal.SIGTERM)
        assert room.ended() == 0
        assert manager.said("STOPPING=1")
        assert device.read_bytes().endswith(b"V")
        assert notes()[-1].kind is NoteKind.STOPPING
        assert set(room.region.image.outputs["safe"]) == {1}
        starts = room.profile.plan.outputs["start"]
        assert list(room.region.image.outputs["released"]) == list(starts)


def test_a_polite_end_with_a_batch_open_shuts_liquids_and_writes_nothing_else(lines, tmp_path):
    with field(tmp_path, lines.urls, batch="open") as room:
        room.scans(5)
        room.process.send_signal(signal.SIGTERM)
        assert room.ended() == 0
        heard = lines.listen()
        assert all(stop in heard["pump_bus"] for stop in LIQUIDS_STOP)
        assert b"GO" not in heard["pump_bus"]
        for gas in (b"AS 0.0\r", b"BS 0.0\r", b"CS 0.0\r"):
            assert gas not in heard["gas_bus"], heard["gas_bus"]
        assert [note.kind for note in room.notes()][-1] is NoteKind.STOPPING
