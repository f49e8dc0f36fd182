"""Key files are their owner's alone, or nothing is signed with them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from record_logs import stamp_at
from typer.testing import CliRunner

from controller.cli.app import app
from controller.core.errors import BadInput, RecordFailure
from controller.record import keys as room
from controller.record.keys import Keys, device_in
from controller.record.log import BatchLog


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with a device key."""
    Keys.in_directory(tmp_path / "keys")
    return tmp_path / "keys"


def test_a_new_directory_of_keys_is_its_owners_alone(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "device.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_key_file_that_others_can_reach_is_refused(folder: Path, mode: int) -> None:
    (folder / "device.key").chmod(mode)
    with pytest.raises(RecordFailure, match="can be read by others"):
        Keys.in_directory(folder)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_directory_in_which_others_can_put_files_is_refused(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    with pytest.raises(RecordFailure, match="where others can put files") as refused:
        Keys.in_directory(folder)
    assert refused.value.do == f"chmod 700 {folder}"
    folder.chmod(0o755)
    assert Keys.in_directory(folder).device.verifier


def test_a_key_file_or_directory_of_another_user_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room.os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(RecordFailure, match="directory of another user"):
        Keys.in_directory(folder)
    with pytest.raises(RecordFailure, match="belongs to another user"):
        device_in(folder)


def test_a_link_in_the_place_of_a_key_or_its_directory_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").symlink_to(folder)
    with pytest.raises(RecordFailure, match="behind a link"):
        Keys.in_directory(tmp_path / "elsewhere")
    (folder / "device.key").rename(tmp_path / "moved.key")
    (folder / "device.key").symlink_to(tmp_path / "moved.key")
    with pytest.raises(RecordFailure, match="is a link"):
        Keys.in_directory(folder)
    (tmp_path / "moved.key").unlink()
    with pytest.raises(RecordFailure, match="is a link"):
        Keys.in_directory(folder)
    assert not (tmp_path / "moved.key").exists(), "no key was made where the link leads"


@pytest.mark.parametrize("data", [b"", b"k" * 31, b"k" * 33, bytes(32)])
def test_a_file_that_is_no_key_is_refused(folder: Path, data: bytes) -> None:
    (folder / "device.key").write_bytes(data)
    with pytest.raises(RecordFailure, match=r"is not a key|more than 32 bytes"):
        Keys.in_directory(folder)


def test_a_pipe_in_the_place_of_a_key_is_refused_and_not_waited_for(folder: Path) -> None:
    (folder / "device.key").unlink()
    os.mkfifo(folder / "device.key", 0o600)
    with pytest.raises(RecordFailure, match="is no file"):
        Keys.in_directory(folder)


def test_the_key_of_an_open_log_is_looked_at_as_strictly(folder: Path, tmp_path: Path) -> None:
    keys = Keys.in_directory(folder)
    BatchLog.create(tmp_path / "log", keys, stamp_at(0), purpose="B-1").close()
    (found,) = [path for path in folder.iterdir() if path.name != "device.key"]
    found.chmod(0o644)
    with pytest.raises(RecordFailure, match="can be read by others"):
        BatchLog.open(tmp_path / "log", keys, stamp_at(1))


def test_key_show_prints_what_an_inspector_needs_and_makes_nothing(
    tmp_path: Path, folder: Path
) -> None:
    shown = CliRunner().invoke(app, ["key", "show", "--state", str(tmp_path)])
    assert shown.exit_code == 0
    assert shown.output == f"{Keys.in_directory(folder).device.verifier}\n"
    other = tmp_path / "other"
    asked = CliRunner().invoke(app, ["key", "show", "--state", str(other)])
    assert isinstance(asked.exception, BadInput)
    assert not other.exists()
