"""Faults of doors and lines over the control socket, and what a served unit can tell afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import threading
import time
from pathlib import Path

import pytest
import yaml
from asyncua import ua
from asyncua.client.client import Client

from controller.core.errors import BadInput
from hil_sim.devices.line import noise
from hil_sim.devices.serve import serve
from hil_sim.devices.witness import FRAMES_MAX, Extremes, Trace
from hil_sim.plant.plant import Plant
from hil_sim.rig.remote import Control

PUMP_GAP_S = 0.05  # a pump loses what comes within 10 ms of its last answer


@pytest.fixture
def unit(tmp_path):
    """A plant whose drives are all different, served; (links, control)."""
    plant = Plant(1)
    plant.command(air=31.5, o2=7.3, co2=0.4, n2=0.0, xv201=1.0, xv203=0.0)
    plant.command(feed_rpm=12.3, perfusate_rpm=0.0, base_rpm=1.5, heater_pct=7.3, stirrer_rpm=181.0)
    plant.snapshot().save(tmp_path / "plant.npz")
    links, control = tmp_path / "links.yaml", tmp_path / "links.sock"
    loop = asyncio.new_event_loop()
    task = loop.create_task(
        serve("perfusion_2l", 5, links, control, plant=tmp_path / "plant.npz")
    )
    thread = threading.Thread(target=until_cancelled, args=(loop, task))
    thread.start()
    wait_for(links.exists, 60)
    yield yaml.safe_load(links.read_text())["links"], Control(control)
    loop.call_soon_threadsafe(task.cancel)
    thread.join(10)
    assert not thread.is_alive()
    assert not list(tmp_path.glob("*.tty"))


def until_cancelled(loop, task):
    with contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)


class Port:
    """The host's end of one line."""

    def __init__(self, url):
        self.fd = os.open(url.removeprefix("pty:"), os.O_RDWR | os.O_NOCTTY)

    def ask(self, request, enough=1, seconds=2.0):
        """What comes back until `enough` bytes are there; fewer when the time is over."""
        os.write(self.fd, request)
        return self.listen(enough, seconds)

    def listen(self, enough, seconds):
        found, end = b"", time.monotonic() + seconds
        while len(found) < enough and time.monotonic() < end:
            if select.select([self.fd], [], [], 0.05)[0]:
                found += os.read(self.fd, 512)
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)


def skid(url, work):
    """Runs `work(client, namespace)` in a session."""

    async def session():
        client = Client(url, timeout=1.0)
        await asyncio.wait_for(client.connect(), 5.0)
        try:
            return await work(client, await client.get_namespace_index("urn:skid:perfusion-2l"))
        finally:
            with contextlib.suppress(Exception):  # a frozen server hears no farewell
                await asyncio.wait_for(client.disconnect(), 1.0)

    return asyncio.run(session())


def test_served_devices_stand_as_the_plants_drives_say(unit):
    links, control = unit
    with Port(links["gas_bus"]) as gas:
        assert b" +0031.5    Air\r" in gas.ask(b"A\r", 40)
        assert b" +0007.3     O2\r" in gas.ask(b"B\r", 40)
        assert b" +0000.4    CO2\r" in gas.ask(b"C\r", 40)
        assert b" +0000.0     N2\r" in gas.ask(b"D\r", 40)
    with Port(links["pump_bus"]) as pumps:
        assert b" 12.3 CW P/N 1 " in pumps.ask(b"1RS\r", 45)
        time.sleep(PUMP_GAP_S)
        assert pumps.ask(b"2RS\r", 45).endswith(b" 0 !\r")
        time.sleep(PUMP_GAP_S)
        assert b" 1.5 CW P/N 3 " in pumps.ask(b"3RS\r", 45)

    async def commands(client, index):
        names = ("HEATER_CMD", "STIRRER_CMD", "KM101_CMD", "XV203_CMD")
        return [await client.get_node(ua.NodeId(name, index)).read_value() for name in names]

    assert skid(links["skid"], commands) == [7.3, 181.0, True, False]
    drives = control.drives()
    assert (drives["air"], drives["feed_rpm"], drives["perfusate_rpm"]) == (31.5, 12.3, 0.0)


def test_the_trace_tells_every_frame_with_its_time(unit):
    links, control = unit
    with Port(links["gas_bus"]) as gas:
        before = time.monotonic_ns()
        gas.ask(b"A\r", 40)
        gas.ask(b"AS 5.0\r", 40)
        after = time.monotonic_ns()
    frames = control.trace("gas_bus")
    assert [(frame.number, frame.data) for frame in frames] == [(0, b"A\r"), (1, b"AS 5.0\r")]
    assert before <= frames[0].mono_ns <= frames[1].mono_ns <= after
    assert [frame.number for frame in control.trace("gas_bus", since=1)] == [1]
    assert control.trace("balance") == []

    async def shut(client, index):
        await client.get_node(ua.NodeId("XV201_CMD", index)).write_value(False)
        with pytest.raises(ua.UaStatusCodeError):
            await client.get_node(ua.NodeId("HEATER_CMD", index)).write_value(500.0)

    skid(links["skid"], shut)
    writes = [(f.node, f.value, f.status) for f in control.trace("skid")]
    assert writes == [("XV201_CMD", 0.0, 0), ("HEATER_CMD", 500.0, 0x803C0000)]
    with pytest.raises(BadInput):
        control.trace("no_such_line")


def test_a_lost_line_is_hung_up_and_comes_back_under_its_name(unit):
    links, control = unit
    port = Port(links["gas_bus"])
    assert port.ask(b"A\r", 40)
    control.fault("link_lost", link="gas_bus")
    poller = select.poll()
    poller.register(port.fd, select.POLLIN)
    assert poller.poll(2000)[0][1] & (select.POLLHUP | select.POLLERR)
    os.close(port.fd)
    path = Path(links["gas_bus"].removeprefix("pty:"))
    assert not path.exists()
    control.fault("link_lost", link="gas_bus")
    control.clear("link_lost", link="gas_bus")
    with Port(links["gas_bus"]) as back:
        assert b" +0031.5    Air\r" in back.ask(b"A\r", 40)
    with pytest.raises(BadInput, match="no link"):
        control.fault("link_lost", link="nowhere")


def test_a_lost_server_closes_and_comes_back(unit):
    links, control = unit

    async def heater(client, index):
        return await client.get_node(ua.NodeId("HEATER_CMD", index)).read_value()

    control.fault("link_lost", link="skid")
    with pytest.raises(OSError):
        skid(links["skid"], heater)
    control.clear("link_lost", link="skid")
    assert skid(links["skid"], heater) <= 7.3


def test_a_frozen_server_answers_nothing_while_the_lines_go_on(unit):
    links, control = unit

    async def frozen(client, index):
        node = client.get_node(ua.NodeId("TT101", index))
        await node.read_value()
        control.fault("server_frozen")
        with pytest.raises((TimeoutError, asyncio.TimeoutError)):
            await asyncio.wait_for(node.read_value(), 0.8)
        with Port(links["gas_bus"]) as gas:
            assert gas.ask(b"A\r", 40)
        control.clear("server_frozen")
        return await node.read_value()

    assert 15 < skid(links["skid"], frozen) < 45


def test_one_slow_read_is_one_slow_read_on_a_line_and_on_the_server(unit):
    links, control = unit
    control.fault("slow_read", link="gas_bus", late_ms=350, reads=1)
    with Port(links["gas_bus"]) as gas:
        began = time.monotonic()
        assert gas.ask(b"A\r", 40)
        assert time.monotonic() - began >= 0.35
        assert b" +0007.3     O2\r" in gas.ask(b"B\r", 40)
        control.fault("slow_read", link="gas_bus", late_ms=400, reads=1)
        os.write(gas.fd, b"A\r")
        time.sleep(0.05)
        os.write(gas.fd, b"B\r")
        both = gas.listen(96, 2.0)
    assert both.index(b"A ") < both.index(b"B ")  # no answer overtakes a late one

    async def slow(client, index):
        node = client.get_node(ua.NodeId("TT101", index))
        control.fault("slow_read", link="skid", late_ms=350, reads=1)
        began = time.monotonic()
        await node.read_value()
        took_s = time.monotonic() - began
        await node.read_value()
        return took_s

    assert skid(links["skid"], slow) >= 0.35


def test_a_server_answers_with_the_bad_code_it_was_told(unit):
    links, control = unit
    control.fault("bad_quality", point="TT101", code=0x80310000)

    async def code(client, index):
        node = client.get_node(ua.NodeId("TT101", index))
        value = await node.read_data_value(raise_on_bad_status=False)
        return value.StatusCode.value, value.Value.Value if value.Value else None

    assert skid(links["skid"], code) == (0x80310000, None)
    control.clear("bad_quality", point="TT101")
    assert skid(links["skid"], code)[0] == 0
    with pytest.raises(BadInput, match="code"):
        control.fault("bad_quality", point="TT101", code=0)


def test_rubbish_comes_before_an_answer_and_crossed_answers_are_those_before(unit):
    links, control = unit
    with Port(links["gas_bus"]) as gas:
        control.fault("rubbish", link="gas_bus", bytes=9)
        answer = gas.ask(b"A\r", 60, 0.5)
        assert answer[:9] in [noise(number, 9) for number in range(1, 9)]
        assert answer[9:].startswith(b"A +")
        control.fault("crossed_answers", link="gas_bus")
        assert gas.ask(b"A\r", 1, 0.3) == b""
        assert gas.ask(b"B\r", 40).startswith(b"A +")
        control.clear("crossed_answers", link="gas_bus")
        control.fault("line_silent", link="gas_bus")
        assert gas.ask(b"A\r", 1, 0.3) == b""
        control.clear("line_silent", link="gas_bus")
        assert gas.ask(b"B\r", 40).startswith(b"B +")


def test_extremes_of_the_truth_are_kept_from_the_mark_on(unit):
    _, control = unit
    assert control.marked() == {}
    control.mark()
    first = control.marked()["volume_l"]
    control.ask(hands={"do": "add_bolus", "volume_l": 0.2})
    wait_for(lambda: control.marked()["volume_l"].high >= first.first + 0.2)
    control.ask(hands={"do": "draw_sample", "volume_l": 0.15})
    wait_for(lambda: control.marked()["volume_l"].last < first.first + 0.15)
    span = control.marked()["volume_l"]
    assert span.first == first.first
    assert span.high >= span.first + 0.2
    assert span.gained == pytest.approx(0.05, abs=0.02)
    control.mark()
    assert control.marked()["volume_l"].high < span.high


def test_a_trace_keeps_the_last_frames_and_answers_in_parts():
    trace = Trace()
    for number in range(FRAMES_MAX + 10):
        trace.note(number, "00" * 100)
    assert trace.count == FRAMES_MAX + 10
    found, since = [], 0
    while part := trace.since(since):
        assert sum(len(str(frame)) for frame in part) < 60_000
        found += part
        since = part[-1][0] + 1
    assert [frame[0] for frame in found] == list(range(10, FRAMES_MAX + 10))


def test_extremes_know_low_high_and_last_of_numbers_only():
    extremes = Extremes()
    assert extremes.plain() == {}
    extremes.begin({"t": 5, "open": True})
    for value in (7.0, 3.0, 4.0):
        extremes.tick({"t": value, "open": False})
    assert extremes.plain() == {"t": {"first": 5.0, "low": 3.0, "high": 7.0, "last": 4.0}}
