"""Finished and unfinished logs for the tests of the record."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from process_logs import batch as batch  # a fixture of several files
from record_logs import files_under, make_log

sys.path.insert(0, str(Path(__file__).parents[1]))  # the benches of the folder above


@pytest.fixture(scope="session")
def sealed_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished log, to be copied and never changed."""
    directory = tmp_path_factory.mktemp("sealed") / "log"
    make_log(directory)
    return directory


@pytest.fixture
def copy(sealed_log: Path, tmp_path: Path) -> Path:
    """A copy of the finished log that may be spoiled."""
    target = tmp_path / "log"
    shutil.copytree(sealed_log, target)
    for path in files_under(target):
        path.chmod(0o644)
    return target


@pytest.fixture
def open_log(tmp_path: Path) -> Callable[[], Path]:
    """Makes a log that is not sealed and lets go of it."""

    def make() -> Path:
        make_log(tmp_path / "log", sealed=False).close()
        return tmp_path / "log"

    return make


@pytest.fixture
def ram(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory in memory where there is such a file system: for thousands of small logs."""
    monkeypatch.setattr("controller.record.segments.RESERVE_BYTES", 8_192)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)
