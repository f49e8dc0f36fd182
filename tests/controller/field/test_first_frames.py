"""The first bytes of a start on real PTYs, with the device side at the other end, or nobody."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import tty
from pathlib import Path

import pytest
import serial

import equipment_profiles
from controller.field.first_frames import send
from controller.profile.compile import load_profile
from controller.profile.frames import FirstFrame, FirstLine
from hil_sim.devices.unit import UnitDevices
from hil_sim.plant.state import ACTUATORS

SHIPPED = Path(equipment_profiles.__file__).parent
HANGS_S = 3.0  # far above the 0.4 s it is bound to: what counts is that it never waits in vain
MS = 1_000_000


class Found:
    """A plant that stands still: what the devices drive it with is kept."""

    def __init__(self):
        self.driven = dict.fromkeys(ACTUATORS, 50.0)

    def measure(self, channel):
        return 1.0

    def command(self, **values):
        self.driven.update(values)

    def set_fault(self, name, value=1.0, held=None):
        raise NotImplementedError(name)

    def clear_fault(self, name):
        raise NotImplementedError(name)


class Room:
    """The devices of the shipped unit on PTYs, served in a thread at the speed of their lines."""

    def __init__(self):
        self.plant = Found()
        self.devices = UnitDevices(self.plant, dict(self.plant.driven), time.monotonic_ns())
        self.urls, self._ends, self._slaves = {}, {}, []
        for name, bus in self.devices.serial.items():
            master, slave = os.openpty()
            tty.setraw(slave)
            os.set_blocking(master, False)
            self.urls[name] = f"pty:{os.ttyname(slave)}"
            self._ends[master] = bus
            self._slaves.append(slave)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._live)
        self._thread.start()

    def _live(self):
        due = []
        while not self._stopping.is_set():
            for master, bus in self._ends.items():
                if data := heard(master):
                    replies = bus.receive(data, time.monotonic_ns())
                    due += [(at_ns, reply, master) for at_ns, reply in replies]
            now_ns = time.monotonic_ns()
            for item in [item for item in due if item[0] <= now_ns]:
                os.write(item[2], item[1])
                due.remove(item)
            time.sleep(0.0005)

    def stop(self):
        self._stopping.set()
        self._thread.join(10)
        for fd in (*self._ends, *self._slaves):
            os.close(fd)


@pytest.fixture
def room():
    found = Room()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def first():
    return load_profile(SHIPPED / "units" / "perfusion_2l.yaml", SHIPPED / "devices").first


def lines(first, start):
    return {name: getattr(frames, start) for name, frames in first.items()}


def timed(urls, told):
    """The reports, given back without waiting for what never comes."""
    began = time.monotonic()
    reports = send(urls, told, time.monotonic_ns)
    assert time.monotonic() - began < HANGS_S
    return reports


def line(*frames, until=b"\r", wait_ns=150 * MS, gap_ns=0):
    return FirstLine(9600, "8N1", tuple(
        FirstFrame("device", at, 0.0, frame, until, 0, wait_ns, gap_ns)
        for at, frame in enumerate(frames)))  # fmt: skip


@pytest.fixture
def nobody():
    """A PTY with nobody to answer: the end a device would have, and its URL."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    yield master, f"pty:{os.ttyname(slave)}"
    os.close(master)
    os.close(slave)


def heard(master):
    try:
        return os.read(master, 4096)
    except BlockingIOError:
        return b""


def fill(fd):
    """Writes until the line takes no byte for 0.1 s: its buffers are passed on piece by piece."""
    refused = 0
    while refused < 10:
        try:
            os.write(fd, b"x")
            refused = 0
        except BlockingIOError:
            refused += 1
            time.sleep(0.01)


def test_with_a_batch_open_the_pumps_stop_and_heat_stirring_and_oxygen_are_not_touched(room, first):
    reports = timed(room.urls, lines(first, "open"))
    for name, sent in (("pump_bus", 3), ("gas_bus", 1)):
        report = reports[name]
        assert (report.sent, report.of, report.answered, report.why) == (sent, sent, sent, "")
    driven = room.plant.driven
    assert [driven[f"{pump}_rpm"] for pump in ("feed", "perfusate", "base")] == [0, 0, 0]
    assert [driven[gas] for gas in ("n2", "air", "o2", "co2")] == [0, 50, 50, 50]


def test_without_a_batch_every_serial_output_goes_to_its_start_value(room, first):
    reports = timed(room.urls, lines(first, "cold"))
    assert {name: report.why for name, report in reports.items()} == dict.fromkeys(reports, "")
    names = ("feed_rpm", "perfusate_rpm", "base_rpm", "air", "o2", "co2", "n2")
    assert [room.plant.driven[name] for name in names] == [0] * 7


def test_the_ports_are_free_again_when_it_returns(room, first):
    timed(room.urls, lines(first, "open"))
    again = timed(room.urls, lines(first, "cold"))
    assert all(report.answered == report.of for report in again.values())


def test_the_first_byte_does_not_wait_for_another_line(nobody):
    master, url = nobody
    told = {"gone": line(b"1ST\r"), "here": line(b"2ST\r")}
    reports = timed({"gone": "pty:/dev/pts/no-such-line", "here": url}, told)
    assert heard(master) == b"2ST\r"
    assert reports["here"].sent == 1
    assert reports["here"].first_ns >= 0
    gone = reports["gone"]
    assert (gone.sent, gone.answered, gone.first_ns) == (0, 0, -1)
    assert "/dev/pts/no-such-line" in gone.why


def test_a_silent_line_still_gets_every_frame_in_order_within_its_time(nobody):
    master, url = nobody
    frames = [b"AS 0.0\r", b"BS 0.0\r", b"CS 0.0\r", b"DS 0.0\r"]
    report = timed({"gas": url}, {"gas": line(*frames, wait_ns=1_000 * MS)})["gas"]
    assert heard(master) == b"".join(frames)
    assert (report.sent, report.answered) == (4, 0)
    assert "4 of 4 frames not answered" in report.why


def test_a_frame_nobody_answers_by_design_is_no_fault(nobody):
    master, url = nobody
    report = timed({"x": url}, {"x": line(b"START\r", until=b"", wait_ns=5 * MS)})["x"]
    assert heard(master) == b"START\r"
    assert (report.sent, report.why) == (1, "")


def test_a_line_that_takes_no_byte_is_given_up_and_said_so(nobody):
    _, url = nobody
    fd = os.open(url.removeprefix("pty:"), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    fill(fd)
    report = timed({"x": url}, {"x": line(b"1ST\r")})["x"]
    os.close(fd)
    assert report.sent == 0
    assert "takes no more bytes" in report.why


def test_a_port_that_another_program_has_open_is_left_alone_and_said_so(nobody):
    master, url = nobody
    with serial.Serial(url.removeprefix("pty:"), 9600, exclusive=True):
        report = timed({"x": url}, {"x": line(b"1ST\r")})["x"]
        assert "another program has the port open" in report.why
        assert heard(master) == b""
    assert timed({"x": url}, {"x": line(b"1ST\r")})["x"].sent == 1


def test_a_flood_of_rubbish_takes_no_longer_and_stops_no_frame(nobody):
    master, url = nobody
    stop = threading.Event()

    def flood():
        while not stop.is_set():
            try:
                os.write(master, b"\x00rubbish" * 64)
            except BlockingIOError:
                time.sleep(0.001)

    thread = threading.Thread(target=flood)
    thread.start()
    report = timed({"x": url}, {"x": line(b"1ST\r", b"2ST\r")})["x"]
    stop.set()
    thread.join(5)
    assert heard(master) == b"1ST\r2ST\r"
    assert (report.sent, report.answered) == (2, 0)


def test_a_line_that_hangs_up_is_told_and_costs_nothing_else(nobody):
    master, slave = os.openpty()
    tty.setraw(slave)
    url = f"pty:{os.ttyname(slave)}"

    def hang_up():
        os.read(master, 64)
        os.close(slave)
        os.close(master)

    thread = threading.Thread(target=hang_up)
    thread.start()
    other, other_url = nobody
    reports = timed({"x": url, "y": other_url},
                    {"x": line(b"1ST\r", b"2ST\r"), "y": line(b"3ST\r")})  # fmt: skip
    thread.join(5)
    assert reports["x"].sent < 2
    assert reports["x"].why
    assert heard(other) == b"3ST\r"


@pytest.mark.parametrize("url", ["", "pty:/dev/null", "socket://localhost:no", "socket://", "/"])
def test_an_address_that_is_no_line_is_a_report_and_never_an_error(url):
    report = timed({"x": url}, {"x": line(b"1ST\r")})["x"]
    assert report.answered == 0
    assert report.why


def test_a_port_that_hangs_in_the_system_holds_nobody(tmp_path, monkeypatch, nobody):
    master, url = nobody
    release = threading.Event()
    real = os.open

    def hanging(path, *rest):
        if str(path) == "/dev/hung":
            release.wait(10)
        return real(path, *rest)

    monkeypatch.setattr(os, "open", hanging)
    reports = timed({"h": "/dev/hung", "y": url}, {"h": line(b"1ST\r"), "y": line(b"3ST\r")})
    release.set()
    assert "hangs" in reports["h"].why
    assert reports["h"].sent == 0
    assert heard(master) == b"3ST\r"


def test_a_line_behind_a_socket_is_told_too():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        def answer():
            peer, _ = server.accept()
            with peer:
                asked.append(peer.recv(64))
                peer.sendall(b"1ST\r")
                peer.recv(64)

        asked = []
        thread = threading.Thread(target=answer)
        thread.start()
        port = server.getsockname()[1]
        report = timed({"x": f"socket://127.0.0.1:{port}"}, {"x": line(b"1ST\r")})["x"]
        thread.join(5)
    assert asked == [b"1ST\r"]
    assert (report.sent, report.answered, report.why) == (1, 1, "")


def test_the_gap_a_device_needs_lies_between_two_frames(nobody):
    master, url = nobody
    times = []

    def echo():
        while len(times) < 2:
            data = heard(master)
            if data:
                times.append(time.monotonic_ns())
                os.write(master, data)
            time.sleep(0.0005)

    thread = threading.Thread(target=echo)
    thread.start()
    report = timed({"x": url}, {"x": line(b"1ST\r", b"2ST\r", gap_ns=10 * MS)})["x"]
    thread.join(5)
    assert report.answered == 2
    assert times[1] - times[0] >= 10 * MS


def test_nothing_is_loaded_for_it_that_takes_long_or_may_fail():
    code = (
        "import sys, controller.field.first_frames, controller.profile.planfile;"
        "heavy = {'numpy', 'numba', 'serial', 'pydantic', 'pint', 'yaml', 'lark', 'asyncua'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
