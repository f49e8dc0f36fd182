"""What is handed over: byte for byte the log, provable without us, and nothing secret."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from record_logs import contents, fill, frames_of, quality_event, stamp_at

from controller.core.errors import BadInput, RecordFailure
from controller.record.export import REPORT, Export, export
from controller.record.files import VolatileFiles
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.sources import Source, source_of
from controller.record.state import StateDir
from controller.record.tree import Tree, leaf_hash

LONG = 300  # records: a full tile, a partial one and a second level


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with real key files, a finished batch B-1, an open one B-2, a station."""
    path = tmp_path_factory.mktemp("state")
    keys, state = Keys.in_directory(path / "keys"), StateDir(path)
    for name, sealed in (("B-1", True), ("B-2", False)):
        state.open_batch(name)
        log = BatchLog.create(state.batch_log(name), keys, stamp_at(0), purpose=name,
                              files=VolatileFiles())  # fmt: skip
        log.store_blob("recipe", b"name: car_t\n", stamp_at(1))
        log.store_blob("history-2026-01-05.parquet", b"PAR1", stamp_at(1))
        fill(log, LONG, every=40)
        if sealed:
            log.seal(stamp_at(400))
            state.close_batch()
        else:
            log.append(quality_event(1, LONG + 1.2))  # durable, and under no checkpoint yet
            log.sync(stamp_at(LONG + 1.2))
            log.close()
    log = BatchLog.create(state.station, keys, stamp_at(0), purpose="station", kind="station",
                          files=VolatileFiles())  # fmt: skip
    log.close()
    return path


@pytest.fixture(scope="module")
def done(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished batch, exported to a directory."""
    out = tmp_path_factory.mktemp("out") / "B-1"
    export(source_of(state / "batches" / "B-1"), out, report=lambda *_: b"%PDF")
    return out


def script(root: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Runs the exported verifier where it lies, without any package."""
    run = subprocess.run(
        [sys.executable, "-I", "-S", "verify.py", "--json", *options],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.stderr == ""
    return run.returncode, json.loads(run.stdout)


def test_the_log_is_in_it_byte_for_byte(state: Path, done: Path) -> None:
    assert contents(done / "log") == contents(state / "batches" / "B-1" / "log")


def test_the_verifier_in_it_says_that_it_is_whole(state: Path, done: Path) -> None:
    device = (done / "keys" / "device.vkey").read_text().strip()
    status, told = script(done, "--device", device)
    assert (status, told["problems"], told["sealed"]) == (0, [], True)
    assert told["records"] == len(frames_of(done / "log"))


def test_the_root_of_it_is_a_log_of_tlog_tiles(done: Path) -> None:
    frames = frames_of(done / "log")
    payloads, tree = [], Tree()
    for name in ("tile/entries/000", f"tile/entries/001.p/{len(frames) - 256}"):
        data, at = (done / name).read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from(">H", data, at)
            payloads.append(data[at + 2 : at + 2 + length])
            at += 2 + length
    assert payloads == [frame.payload for frame in frames]
    leaves = b"".join(leaf_hash(payload) for payload in payloads)
    assert (done / "tile/0/000").read_bytes() == leaves[: 256 * 32]
    assert (done / f"tile/0/001.p/{len(frames) - 256}").read_bytes() == leaves[256 * 32 :]
    for payload in payloads[:256]:
        tree.push(leaf_hash(payload))
    assert (done / "tile/1/000.p/1").read_bytes() == tree.root()
    assert len(contents(done / "tile")) == 5
    for name in ("checkpoint", "vkey"):
        assert (done / name).read_bytes() == (done / "log" / name).read_bytes()


def test_every_file_stands_in_the_manifest_with_its_digest(done: Path) -> None:
    listed = dict(reversed(line.split("  ", 1)) for line in
                  (done / "MANIFEST").read_text().splitlines())  # fmt: skip
    there = {name: data for name, data in contents(done).items() if name != "MANIFEST"}
    assert listed == {name: hashlib.sha256(data).hexdigest() for name, data in there.items()}
    assert {"README.txt", "FORMAT.md", "verify.py", "check_proof.py", REPORT} <= set(listed)
    assert (done / "history" / "history-2026-01-05.parquet").read_bytes() == b"PAR1"


def test_a_stranger_is_told_what_to_do(done: Path) -> None:
    text = (done / "README.txt").read_text()
    status, told = script(done)
    assert status == 0
    for part in ("NOT FOR HUMAN USE", told["root"], told["device"], "python3 -I verify.py",
                 "sha256sum -c MANIFEST", f"{told['records']} records"):  # fmt: skip
        assert part in text
    assert len(text.splitlines()) < 30


def test_no_secret_is_ever_in_it(state: Path, tmp_path: Path) -> None:
    secrets = [path.read_bytes() for path in (state / "keys").iterdir()]
    assert len(secrets) >= 2  # the device's and those of the open logs
    for name in ("batches/B-1", "batches/B-2", "station"):
        out = tmp_path / name.replace("/", "-")
        export(source_of(state / name), out)
        for path, data in contents(out).items():
            assert not path.endswith(".key")
            assert not any(secret in data for secret in secrets), path


def test_a_key_put_into_a_log_is_left_out_and_said(copy: Path, tmp_path: Path) -> None:
    (copy / "device.key").write_bytes(b"s" * 32)
    (copy / "blobs" / "link").symlink_to("/etc/passwd")
    with pytest.raises(RecordFailure, match=r"does not verify.*(device\.key|link)"):
        export(source_of(copy), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    given = export(source_of(copy), tmp_path / "out", damaged=True)
    assert sorted(given.left_out) == ["blobs/link", "device.key"]
    assert not any("device.key" in name or "link" in name for name in contents(tmp_path / "out"))
    assert "'device.key'" in (tmp_path / "out" / "README.txt").read_text()


def test_a_zip_file_is_the_same_for_the_same_log_and_verifies(state: Path, tmp_path: Path) -> None:
    source = source_of(state / "batches" / "B-1")
    for name in ("one", "two"):
        export(source, tmp_path / f"{name}.zip")
        os.utime(source.directory / "checkpoint", (1, 1))
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        names = archive.namelist()
        assert names == sorted(names)
        assert archive.testzip() is None
        archive.extractall(tmp_path / "unpacked")
    assert script(tmp_path / "unpacked")[0] == 0
    shutil.copy(tmp_path / "unpacked" / "verify.py", tmp_path)
    assert script(tmp_path, "one.zip")[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "one.zip", "two.zip", "unpacked", "verify.py",
    ]  # fmt: skip


def test_an_open_log_is_cut_at_its_checkpoint_and_marked(state: Path, tmp_path: Path) -> None:
    source = source_of(state / "batches" / "B-2")
    given = export(source, tmp_path / "out")
    assert not given.sealed
    assert given.records == len(frames_of(source.directory)) - 1
    assert "IT IS OPEN" in (tmp_path / "out" / "README.txt").read_text()
    assert script(tmp_path / "out", "--open")[0] == 0
    assert script(tmp_path / "out")[0] == 3


def test_a_station_log_is_handed_over_like_a_batch_without_a_report(
    state: Path, tmp_path: Path
) -> None:
    def never(_: Export, __: Path) -> bytes:
        raise AssertionError("no report is made of a station's log")

    export(source_of(state / "station"), tmp_path / "out", report=never)
    assert script(tmp_path / "out")[0] == 0


def test_evidence_beside_the_log_goes_with_it(copy: Path, tmp_path: Path) -> None:
    source = source_of(copy)
    (copy.parent / "evidence").mkdir()
    (copy.parent / "evidence" / "checkpoint.tsr").write_bytes(b"stamp")
    (copy.parent / "evidence" / "private").write_bytes(b"not known")
    export(source, tmp_path / "out")
    assert contents(tmp_path / "out" / "evidence") == {"checkpoint.tsr": b"stamp"}


def test_a_log_that_does_not_verify_is_refused_and_nothing_is_left(
    open_log: Callable[[], Path], tmp_path: Path
) -> None:
    source = source_of(open_log())
    with pytest.raises(RecordFailure, match="not sealed"):
        export(source, tmp_path / "out.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_damaged_log_is_handed_over_as_it_is_and_says_so(copy: Path, tmp_path: Path) -> None:
    path = copy / "segments" / "00000000.seg"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    given = export(source_of(copy), tmp_path / "out", damaged=True)
    assert given.problems
    assert contents(tmp_path / "out" / "log") == contents(copy)
    text = (tmp_path / "out" / "README.txt").read_text()
    assert "IT DID NOT VERIFY" in text
    assert "It must print NOT OK, what is wrong" in text
    assert "IT IS OPEN" not in text
    status, told = script(tmp_path / "out")
    assert (status, told["ok"]) == (3, False)


def test_a_place_that_is_taken_is_refused(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(BadInput, match="there already"):
        export(source_of(copy), tmp_path / "out")
    (tmp_path / "new.partial").mkdir()
    with pytest.raises(BadInput, match="was interrupted"):
        export(source_of(copy), tmp_path / "new")


def test_a_log_of_the_first_format_is_exported_and_verifies(tmp_path: Path) -> None:
    old = Path(__file__).parent / "fixtures" / "format-1"
    log = next(path.parent for path in sorted(old.rglob("vkey")))
    given = export(Source("old", log), tmp_path / "out")
    assert given.sealed
    assert script(tmp_path / "out")[0] == 0
    assert contents(tmp_path / "out" / "log") == contents(log)
    assert list((tmp_path / "out" / "tile" / "entries").rglob("*"))


def test_nothing_of_the_machine_is_in_it(done: Path, state: Path) -> None:
    for name, data in contents(done).items():
        assert str(state).encode() not in data, name
        if name.endswith((".txt", ".md", ".py")):
            assert re.search(rb"/work|/tmp/", data) is None, name
