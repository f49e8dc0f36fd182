"""The board behind a served unit: a program of its own on a terminal, pins tied to the plant."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from firmware_bridge.codes import Type
from firmware_bridge.frames import Decoder, Frame, encode
from firmware_bridge.messages import SCHEMA, Hello, HelloAck
from firmware_bridge.pins import BoardGone
from hil_sim.devices.serve import Served, free_port

ANSWER_S = 10.0
Talk = Callable[[Served, str], Awaitable[None]]


def with_board(tmp_path: Path, talk: Talk) -> None:
    """Serves the unit in this process while `talk` runs."""

    async def run() -> None:
        links = tmp_path / "links.yaml"
        served = Served(1, links, tmp_path / "links.sock", free_port(), unit="perfusion_2l_io")
        moving: asyncio.Task[None] | None = None
        try:
            await served.start()
            moving = asyncio.create_task(served.run())
            url = yaml.safe_load(links.read_text())["links"]["io_line"]
            await talk(served, url.removeprefix("pty:"))
        finally:
            if moving is not None:
                moving.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await moving
            await served.stop()

    asyncio.run(run())


async def hello(path: str, seconds: float = ANSWER_S) -> HelloAck | None:
    """Says HELLO until somebody answers; None if nobody does in time."""
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    decoder, end = Decoder(), time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            os.write(fd, encode(Type.HELLO, 0, 1, Hello(SCHEMA).pack()))
            for _ in range(20):
                await asyncio.sleep(0.02)
                if not select.select([fd], [], [], 0.0)[0]:
                    continue
                for frame in decoder.feed(os.read(fd, 4096)):
                    if isinstance(frame, Frame) and frame.type == Type.HELLO_ACK:
                        return HelloAck.unpack(frame.payload)
    finally:
        os.close(fd)
    return None


async def until(condition: Callable[[], Any], seconds: float = ANSWER_S) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        await asyncio.sleep(0.02)


def test_the_board_answers_on_its_terminal_and_a_cut_cable_makes_it_silent(tmp_path: Path) -> None:
    async def talk(served: Served, path: str) -> None:
        found = await hello(path)
        assert found is not None
        assert found.reset_reason == 0
        assert served.lines["io_line"].trace.count > 0
        await served.control(b'{"fault": "line_silent", "how": {"link": "io_line"}}')
        assert await hello(path, 1.0) is None
        await served.control(b'{"clear": "line_silent", "how": {"link": "io_line"}}')
        assert await hello(path) is not None

    with_board(tmp_path, talk)


def test_without_power_its_outputs_drop_and_each_start_is_another_boot(tmp_path: Path) -> None:
    async def talk(served: Served, path: str) -> None:
        first = await hello(path)
        drive = served.plant.u["drive"][0]
        await served.control(b'{"fault": "io_power_cut"}')
        assert drive[-1] == 0.0
        assert await hello(path, 1.0) is None
        await served.control(b'{"clear": "io_power_cut"}')
        second = await hello(path)
        await served.control(b'{"fault": "io_reset"}')
        third = await hello(path)
        await served.control(b'{"fault": "io_unknown_image"}')
        stranger = await hello(path)
        assert first is not None
        assert second is not None
        assert third is not None
        assert stranger is not None
        assert len({first.boot_id, second.boot_id, third.boot_id}) == 3
        assert [first.reset_reason, second.reset_reason, third.reset_reason] == [0, 0, 1]
        assert first.image == third.image != stranger.image

    with_board(tmp_path, talk)


def test_an_unknown_player_is_refused_before_any_door_opens(tmp_path: Path) -> None:
    async def made() -> None:
        Served(1, tmp_path / "l.yaml", tmp_path / "l.sock", 1, unit="perfusion_2l_io", board="moon")

    with pytest.raises(BoardGone, match="moon"):
        asyncio.run(made())
