"""A small batch with a process history, and what the command line says of it."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from record_logs import files_under, stamp_at
from typer.testing import CliRunner

from controller.cli.app import app
from controller.core.clock import Stamp
from controller.core.events import Event
from controller.record import history, tags
from controller.record.files import VolatileFiles
from controller.record.keys import Keys
from controller.record.log import BatchLog

TAGS = ("TT101", 'odd "name", with comma')
DAY_S = 86_400


def stamp(second: float) -> Stamp:
    """Local time is an hour and a half east of UTC."""
    at = stamp_at(second)
    return Stamp(at.mono_ns, at.boottime_ns, at.utc_ns, 90, at.boot_id, at.sync)


def tag_bytes(
    begin_s: float, end_s: float, rows: list[tuple[float, int, float, int, int]],
    joined: bool = True,
) -> tuple[bytes, tags.Cover]:  # fmt: skip
    """A chunk of two tags; a scan is 100 ms."""
    cover = tags.Cover(
        stamp(begin_s).rfc3339(), stamp(end_s).rfc3339(), stamp(begin_s).mono_ns, "boot",
        round(begin_s * 10), round(end_s * 10), joined, TAGS, ("Cel", "%"), ("0.05", "0.5"),
    )  # fmt: skip
    table = np.array([(round((at - begin_s) * 1000), *rest) for at, *rest in rows], dtype=tags.ROW)
    return tags.encode(cover, table), cover


def put(log: BatchLog, *given: Any, **more: Any) -> None:
    data, cover = tag_bytes(*given, **more)
    _, rows = tags.decode(data)
    log.store_tags(data, begin=cover.begin, end=cover.end, rows=len(rows), stamp=stamp(given[1]))


def writes(log: BatchLog, first_s: float, last_s: float, count: int) -> None:
    """Released values of one output, evenly in between."""
    rows = np.zeros(count, history.ROW)
    rows["scan"] = np.linspace(first_s * 10, last_s * 10, count)
    rows["value"] = np.arange(count) / 8
    data = history.encode(rows, scan_ns=100_000_000, outputs=["heater"])
    log.store_chunk(data, stamp(last_s), "1.h.0")


def make(directory: Path) -> BatchLog:
    """Two days: a bad stretch, a gap, midnight, writes."""
    log = BatchLog.create(
        directory, Keys.from_seed(1), stamp(0), purpose="B-1", files=VolatileFiles()
    )
    nan = math.nan
    writes(log, 60, 119, 40)
    put(log, 60, 120, [(60, 0, 37.0, 0, 0), (60, 1, 40.0, 0, 0), (61.5, 0, nan, 2, 7),
                       (90, 0, 36.9, 0, 0)], joined=False)  # fmt: skip
    put(log, 120, 180, [(130, 0, 37.25, 1, 10), (140, 1, 1e-7, 0, 0)])
    writes(log, 300, 359, 3)
    put(log, 300, 360, [(300, 0, 36.5, 0, 0), (300, 1, nan, 2, 1)], joined=False)
    put(log, DAY_S - 60, DAY_S + 60, [(DAY_S, 0, 35.0, 0, 0), (DAY_S, 1, 42.0, 0, 0)])
    log.append(Event("batch.closed", stamp(DAY_S + 61), data={"state": "Complete"}))
    return log


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """The directory of a sealed batch."""
    make(tmp_path / "B-1" / "log").seal(stamp(DAY_S + 62))
    for path in files_under(tmp_path / "B-1" / "log"):
        path.chmod(0o644)
    return tmp_path / "B-1"


def asked(*words: object) -> tuple[int, str]:
    """A command of the command line: exit status and what it says."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    error = result.exception
    return (getattr(error, "exit_code", 1), str(error)) if error else (0, result.stdout)


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
