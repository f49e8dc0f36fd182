"""Asks devices who they are over their line: model, serial number, firmware, calibration date.

A module because these questions belong to nobody else: a station checks identity by what its
profile says and needs no more. Lines are opened here for a device side that no station drives.
"""

from __future__ import annotations

import os
import re
import selectors
import tempfile
import time
import tty
from contextlib import ExitStack
from pathlib import Path

from controller.core.yamltext import load
from hil_sim.rig.serving import UNIT, served

ANSWER_S = 1.0
QUIET_S = 0.15
BYTES_MAX = 4_096
MAKER = r"(Model Number|Serial Number|Software Revision|Date Calibrated)\s+(\S+)"
QUESTIONS = (  # device, link, question, what to take out of the answer
    ("mfc_air", "gas_bus", b"A??M*\r", MAKER),
    ("mfc_o2", "gas_bus", b"B??M*\r", MAKER),
    ("mfc_co2", "gas_bus", b"C??M*\r", MAKER),
    ("mfc_n2", "gas_bus", b"D??M*\r", MAKER),
    ("balance", "balance", b"I1\r\n", r'(I1) A (.+)'),
    ("balance", "balance", b"I2\r\n", r'(I2) A (.+)'),
    ("balance", "balance", b"I4\r\n", r'(I4) A (.+)'),
    ("pump_feed", "pump_bus", b"1RS\r", r"(520Du) (.+?) P/N"),
    ("pump_perfusate", "pump_bus", b"2RS\r", r"(520Du) (.+?) P/N"),
    ("pump_base", "pump_bus", b"3RS\r", r"(520Du) (.+?) P/N"),
)  # fmt: skip


def identities(unit: str = UNIT, seed: int = 1) -> dict[str, dict[str, str]]:
    """What each simulated device answers, by device; those that offer nothing are not there."""
    found: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        links = Path(folder) / "links.yaml"
        stack.enter_context(served(links, seed, unit))
        urls = load(links).data["links"]
        lines: dict[str, int] = {}
        for device, link, question, pattern in QUESTIONS:
            if link not in lines:
                line = os.open(str(urls[link]).removeprefix("pty:"), os.O_RDWR | os.O_NOCTTY)
                stack.callback(os.close, line)
                tty.setraw(line)
                lines[link] = line
            text = _asked(lines[link], question)
            for name, value in re.findall(pattern, text):
                found.setdefault(device, {})[name] = value.strip()
    return found


def _asked(line: int, question: bytes) -> str:
    """The answer to one question: all that comes until the line is quiet."""
    time.sleep(QUIET_S)
    os.write(line, question)
    data, end = b"", time.monotonic() + ANSWER_S
    with selectors.DefaultSelector() as selector:
        selector.register(line, selectors.EVENT_READ)
        while time.monotonic() < end and len(data) < BYTES_MAX:
            if not selector.select(ANSWER_S if not data else QUIET_S):
                break
            data += os.read(line, BYTES_MAX)
    return data.decode("ascii", "replace").replace("\r", "\n")
