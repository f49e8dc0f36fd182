"""The boards under test: the native process, and the Cortex-M3 image in QEMU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from board_host import Host

from firmware_bridge.emulator import EmulatedBoard, QemuBoard, native, qemu
from firmware_bridge.pins import Strip


@pytest.fixture(params=["native", "qemu"])
def board(request: pytest.FixtureRequest) -> Iterator[EmulatedBoard]:
    """Both builds, one after the other, each from power-up."""
    with native() if request.param == "native" else qemu() as made:
        yield made


@pytest.fixture
def image_board() -> Iterator[QemuBoard]:
    """The Cortex-M3 image alone."""
    with qemu() as made:
        yield made


@pytest.fixture
def strip(board: EmulatedBoard) -> Iterator[Strip]:
    """The strip of `board`."""
    with board.strip() as made:
        yield made


@pytest.fixture
def host(board: EmulatedBoard) -> Iterator[Host]:
    """A host on the line of `board`, not yet greeted."""
    with Host(board.line) as made:
        yield made
