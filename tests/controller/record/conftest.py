"""Finished and unfinished logs for the tests of the record."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from record_logs import files_under, make_log


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
