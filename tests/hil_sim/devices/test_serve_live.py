"""The device side on real PTYs and a real OPC UA session, with the live workers on the other
end."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from pathlib import Path

import pytest
import yaml

import equipment_profiles
from controller.field.links.workers import start_workers
from controller.profile.device import LinkSettings, load_device
from controller.profile.link_compile import BoundDevice, compile_link
from hil_sim.devices.serve import serve

DEVICES = Path(equipment_profiles.__file__).parent / "devices"
GOOD, BAD = 0, 2


def bound(name, profile, address, signals, outputs=None, calibration=None):
    return BoundDevice(name, load_device(DEVICES / f"{profile}.yaml"), address, signals,
                       outputs or {}, calibration or {})  # fmt: skip


def plans():
    serial = LinkSettings(kind="serial")
    return [
        compile_link("gas_bus", serial, [
            bound("mfc_air", "alicat_mc", "A", {"flow": 0, "setpoint": 1}, {"flow": 0})]),
        compile_link("probe_bus", LinkSettings(kind="serial", format="8N2"), [
            bound("ph", "hamilton_arc_ph", "1", {"ph": 2}),
            bound("rtd", "rtd_modbus", "3", {"temperature": 3})]),
        compile_link("pump_bus", LinkSettings(kind="serial", baud=9600, format="8N2"), [
            bound("feed", "watson_marlow_520", "1", {"rate": 4}, {"rate": 1}, {"rate": 0.9})]),
        compile_link("balance", LinkSettings(kind="serial", baud=9600), [
            bound("balance", "mettler_mt_sics", "", {"weight": 5})]),
        compile_link("skid", LinkSettings(kind="opcua"), [
            bound("skid", "skid_opcua", "", {"TT101": 6, "PT101": 7, "XV201_ZSC": 8,
                                             "HEATER_CMD": 9},
                  {"heater": 2, "xv201": 3})]),
    ]  # fmt: skip


class Field:
    """A duty and its rings, as small as they can be."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.samples: dict[int, tuple[float, int, int]] = {}
        self.notes: list = []
        self.queue: dict[str, list] = {}
        self.explode = False

    def push(self, point, value, quality, reason, sample_ns):
        if self.explode and point == 5:
            self.explode = False
            raise RuntimeError("a driver nobody tested")
        self.samples[point] = (value, quality, reason)
        return True

    def now_ns(self):
        return time.monotonic_ns()

    def released(self, link):
        with self.lock:
            return self.queue.pop(link, [])

    def progress(self):
        return time.monotonic_ns() // 1_000_000_000

    def noted(self, link, notes):
        self.notes += [(link, note) for note in notes]

    def release(self, link, *rows):
        with self.lock:
            self.queue.setdefault(link, []).extend(rows)


@pytest.fixture
def station(tmp_path):
    links, control = tmp_path / "links.yaml", tmp_path / "control"
    loop = asyncio.new_event_loop()
    task = loop.create_task(serve("perfusion_2l", 1, links, control))
    thread = threading.Thread(target=lambda: _until_cancelled(loop, task))
    thread.start()
    wait_for(links.exists, 20)
    urls = yaml.safe_load(links.read_text())["links"]
    field = Field()
    workers = start_workers(urls, plans(), lambda name: field, field)
    yield field, {worker.name: worker for worker in workers}, control
    for worker in workers:
        assert worker.stop()
    loop.call_soon_threadsafe(task.cancel)
    thread.join(10)
    assert not thread.is_alive()


def _until_cancelled(loop, task):
    try:
        loop.run_until_complete(task)
    except asyncio.CancelledError:
        pass
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def wait_for(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)


def ask(control, wish):
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(10)
        line.connect(str(control))
        line.sendall(json.dumps(wish).encode() + b"\n")
        return json.loads(line.makefile().readline())


def quality(field, point):
    return field.samples.get(point, (0.0, -1, 0))[1]


def test_a_session_reads_writes_loses_and_regains_every_kind_of_line(station):
    field, workers, control = station
    wait_for(lambda: all(quality(field, point) == GOOD for point in range(10)))
    assert field.samples[0][0] == pytest.approx(250, abs=10)
    assert field.samples[3][0] == pytest.approx(20, abs=2)

    field.release("gas_bus", (0, 100.0, True))
    field.release("pump_bus", (1, 0.0, True))
    field.release("skid", (2, 12.5, True), (3, 0.0, True))
    for worker in workers.values():
        worker.wake()
    wait_for(lambda: field.samples[1][0] == 100.0)
    wait_for(lambda: field.samples[4][0] == 0.0)
    wait_for(lambda: field.samples[9][0] == 12.5 and field.samples[8][0] == 1.0)
    confirmed = {note.output for _, note in field.notes if note.kind == "confirmed"}
    assert confirmed == {0, 1, 2, 3}

    assert ask(control, {"fault": "balance_disconnected"}) == {"ok": True}
    assert ask(control, {"fault": "skid_killed"}) == {"ok": True}
    wait_for(lambda: quality(field, 5) == BAD and quality(field, 6) == BAD)
    assert quality(field, 0) == GOOD
    assert ask(control, {"clear": "balance_disconnected"}) == {"ok": True}
    assert ask(control, {"clear": "skid_killed"}) == {"ok": True}
    wait_for(lambda: quality(field, 5) == GOOD and quality(field, 6) == GOOD, 20)

    field.explode = True
    wait_for(lambda: workers["balance"].restarts == 1)
    wait_for(lambda: quality(field, 5) == GOOD)
    assert any("a driver nobody tested" in note.what for _, note in field.notes)

    assert ask(control, {"truth": True})["truth"]["temperature_degc"] == pytest.approx(20, abs=2)
    assert "error" in ask(control, {"fault": "no_such_fault"})
