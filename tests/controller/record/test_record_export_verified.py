"""An export is checked by the script it carries and by the Go program: what is spoiled shows."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from big_log import make_big_log, payload_of
from record_logs import contents, files_under
from spoiled_logs import compact, flip
from three_verifiers import SCRIPT, Verdict, go_program, script

from controller.record.export import export
from controller.record.export_copy import copy_log
from controller.record.frame import pack
from controller.record.keys import Keys, Signer
from controller.record.note import Checkpoint, Note, VerifierKey
from controller.record.sources import source_of
from controller.record.verify_files import FILE_BYTES_MAX
from controller.witness.cosign import cosign, witness_key

FLIPS = 25


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of a log of 600 records, as a directory; not to be changed."""
    base = tmp_path_factory.mktemp("export")
    make_big_log(base / "log", 600, segment=40_000)
    export(source_of(base / "log"), base / "out")
    return base / "out"


@pytest.fixture
def handed_over(exported: Path, tmp_path: Path) -> Path:
    """A copy that may be spoiled."""
    shutil.copytree(exported, tmp_path / "out")
    for path in files_under(tmp_path / "out"):
        path.chmod(0o644)
    return tmp_path / "out"


def both(path: Path, **options: bool) -> list[Verdict]:
    """What the script and the Go program say."""
    return [script(path, **options), *go_program([path], **options)]


def list_anew(root: Path) -> None:
    """MANIFEST as a forger writes it: in order again."""
    files = {name: data for name, data in contents(root).items() if name != "MANIFEST"}
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items()]
    (root / "MANIFEST").write_text("".join(lines))


def test_a_good_export_passes_as_directory_and_as_zip(exported: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "out.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents(exported).items():
            archive.writestr(name, data)
    with zipfile.ZipFile(tmp_path / "in-a-folder.zip", "w") as archive:
        for name, data in contents(exported).items():
            archive.writestr(f"batch-1/{name}", data)
    for path in (exported, tmp_path / "out.zip", tmp_path / "in-a-folder.zip"):
        for verdict in both(path):
            assert verdict.ok, verdict.problems
            assert (verdict.records, verdict.sealed) == (600, True)


def test_the_script_in_an_export_checks_it_without_being_told_where_it_is(exported: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-I", "-S", "verify.py"],
        cwd=exported, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    assert "OK: 600 records, sealed (batch)" in run.stdout


def test_every_flipped_bit_in_an_export_is_found_by_both(handed_over: Path) -> None:
    chosen = random.Random(3)
    copies = []
    for number in range(FLIPS):
        copies.append(handed_over.with_name(f"flip-{number}"))
        shutil.copytree(handed_over, copies[-1])
        flip(copies[-1], chosen)
    assert [script(path).ok for path in copies] == [False] * FLIPS
    assert [verdict.ok for verdict in go_program(copies)] == [False] * FLIPS


def another(name: str, data: bytes = b"x") -> Callable[[Path], None]:
    """A file with other contents, or one more."""

    def spoil(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        another("tile/0/000"),
        another("tile/0/002.p/88"),
        another("tile/1/000.p/2"),
        another("tile/entries/001"),
        another("tile/0/003.p/1"),
        another("history/history-2026-01-05.parquet"),
        another("keys/device.vkey"),
        another("keys/key.cert"),
        another("checkpoint"),
        another("vkey"),
        another("log/notes.txt"),
        another("evidence/witnessed"),
    ],
)
def test_what_a_forger_lists_in_manifest_is_compared_with_the_log(
    handed_over: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(handed_over)
    list_anew(handed_over)
    assert [verdict.ok for verdict in both(handed_over)] == [False, False]


@pytest.mark.parametrize(
    "name",
    ["records.csv", "segments/00000000.seg", "history/other.parquet", "evidence/seen.txt",
     "Log/segments/00000000.seg", "log2/vkey", "keys/other.vkey", "history/deep/history-1.parquet"],
)  # fmt: skip
def test_what_is_no_part_of_an_export_is_found_though_manifest_lists_it(
    handed_over: Path, name: str
) -> None:
    another(name)(handed_over)
    list_anew(handed_over)
    assert all(name in verdict.problems for verdict in both(handed_over))
    assert [verdict.ok for verdict in both(handed_over)] == [False, False]


def test_a_file_without_end_is_not_read_to_its_end(handed_over: Path, tmp_path: Path) -> None:
    size = FILE_BYTES_MAX + 1
    with (handed_over / "report.pdf").open("wb") as file:
        file.truncate(size)
    with (handed_over / "MANIFEST").open("a") as listed:
        listed.write(f"{hashlib.sha256(bytes(size)).hexdigest()}  report.pdf\n")
    for verdict in both(handed_over):
        assert "report.pdf: it is longer than 67108864 bytes" in verdict.problems
        assert verdict.records == 600


def test_a_log_with_a_forged_beginning_around_a_good_one_is_found(handed_over: Path) -> None:
    """What the checked log lies in looks like a log itself."""
    for name in ("segments/00000000.seg", "checkpoints", "key.cert"):
        another(name, (handed_over / "log" / name).read_bytes())(handed_over)
    forged = handed_over / "segments" / "00000000.seg"
    forged.write_bytes(forged.read_bytes().replace(b"TT101", b"TT102"))
    list_anew(handed_over)
    assert [verdict.ok for verdict in both(handed_over)] == [False, False]


@pytest.mark.parametrize("name", ["history/history-2026-01-05.parquet", "history2", "more.txt"])
def test_a_link_that_manifest_passes_over_is_found(
    handed_over: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "forged").mkdir()
    (handed_over / name).symlink_to(tmp_path / "forged")
    assert [verdict.ok for verdict in both(handed_over)] == [False, False]


def stored_twice() -> tuple[dict[str, bytes], Callable[[int], bytes]]:
    """Two tables, and the records that store them as numbers 40 and 41."""
    tables = {f"history-2026-01-0{day}.parquet": b"day %d" % day for day in (5, 6)}
    payloads = {}
    for number, (name, data) in enumerate(tables.items(), 40):
        digest = hashlib.sha256(data).hexdigest()
        said = {"bytes": len(data), "file": f"blobs/sha256-{digest}", "name": name,
                "sha256": digest}  # fmt: skip
        record = json.loads(payload_of(number)) | {"event": "blob.stored", "data": said}
        payloads[number] = compact(record)
    return tables, lambda number: payloads.get(number) or payload_of(number)


def test_two_tables_of_the_history_that_changed_names_are_found(tmp_path: Path) -> None:
    tables, payload = stored_twice()
    make_big_log(tmp_path / "log", 60, payload=payload)
    for data in tables.values():
        blob = f"sha256-{hashlib.sha256(data).hexdigest()}"
        (tmp_path / "log" / "blobs" / blob).write_bytes(data)
    out = tmp_path / "out"
    export(source_of(tmp_path / "log"), out)
    assert contents(out / "history") == tables
    assert [verdict.ok for verdict in both(out)] == [True, True]
    one, other = (out / "history" / name for name in tables)
    one.rename(out / "aside")
    other.rename(one)
    (out / "aside").rename(other)
    list_anew(out)
    assert [verdict.ok for verdict in both(out)] == [False, False]


def test_records_that_no_checkpoint_covers_are_no_part_of_an_export_and_said_of_a_log(
    tmp_path: Path,
) -> None:
    make_big_log(tmp_path / "log", 300, sealed=False, kind="station")
    export(source_of(tmp_path / "log"), tmp_path / "out")
    for log in (tmp_path / "log", tmp_path / "out" / "log"):
        (log / "segments" / "00000000.seg").chmod(0o644)
        with (log / "segments" / "00000000.seg").open("ab") as file:
            file.write(pack(300, payload_of(300)))
    list_anew(tmp_path / "out")
    assert [verdict.ok for verdict in both(tmp_path / "out")] == [False, False]
    assert [verdict.ok for verdict in both(tmp_path / "log")] == [True, True]
    run = subprocess.run([sys.executable, "-I", "-S", str(SCRIPT), str(tmp_path / "log")],
                         capture_output=True, text=True, check=False)  # fmt: skip
    assert "NO signature covers the records from 300 on" in run.stdout


@pytest.mark.parametrize(
    "name",
    ["./log/segments/00000000.seg", "./history/history-2026-01-05.parquet", "../evil", "/etc/evil",
     "log\\segments\\00000000.seg", "log//vkey", "log/./vkey", "keys/../log/vkey"],
)  # fmt: skip
def test_a_name_that_becomes_another_where_it_is_unpacked_is_found_in_a_zip(
    handed_over: Path, tmp_path: Path, name: str
) -> None:
    digest = hashlib.sha256(b"forged").hexdigest()
    with (handed_over / "MANIFEST").open("a") as file:
        file.write(f"{digest}  {name}\n")
    with zipfile.ZipFile(tmp_path / "out.zip", "w") as archive:
        for part, data in contents(handed_over).items():
            archive.writestr(part, data)
        archive.writestr(name, b"forged")
    assert [verdict.ok for verdict in both(tmp_path / "out.zip")] == [False, False]


def with_two_lists(data: bytes) -> bytes:
    """An archive whose end names no file, and whose zip64 end, which some read, names all."""
    begin, end = data[:-22], struct.unpack("<IHHHHIIH", data[-22:])
    count, length, offset = end[4:7]
    more = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, length, offset)
    locator = struct.pack("<IIQI", 0x07064B50, 0, len(begin), 1)
    none = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0, 0, 0, 0, 0)
    return begin + more + locator + none


def test_what_programs_that_unpack_do_not_agree_about_is_found_in_a_zip(
    exported: Path, tmp_path: Path
) -> None:
    names = ("good", "full", "shifted", "twice", "said", "longer")
    for name in names:
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            for part, data in contents(exported).items():
                archive.writestr(part, data)
            archive.writestr("log/blobs/", b"hidden" if name == "full" else b"")
            archive.comment = b"checked" if name == "said" else b""
    shifted, twice = tmp_path / "shifted.zip", tmp_path / "twice.zip"
    shifted.write_bytes(b"#!/bin/sh\n" + shifted.read_bytes())
    twice.write_bytes(with_two_lists(twice.read_bytes()))
    data = (tmp_path / "longer.zip").read_bytes()
    at = data.rindex(b"log/segments/00000000.seg") - 46  # its entry in the list of files
    size = int.from_bytes(data[at + 24 : at + 28], "little") + 1
    data = data[: at + 24] + size.to_bytes(4, "little") + data[at + 28 :]
    (tmp_path / "longer.zip").write_bytes(data)
    found = [script(tmp_path / f"{name}.zip") for name in names]
    assert [verdict.ok for verdict in found] == [True, False, False, False, False, False]
    assert [verdict.records for verdict in found[:5]] == [600] * 5  # all else was as it was


def test_a_file_that_manifest_does_not_list_and_one_that_is_missing_are_found(
    handed_over: Path,
) -> None:
    (handed_over / "more.txt").write_text("x")
    assert all("more.txt" in verdict.problems for verdict in both(handed_over))
    (handed_over / "more.txt").unlink()
    (handed_over / "FORMAT.md").unlink()
    assert all("FORMAT.md" in verdict.problems for verdict in both(handed_over))


def test_an_export_of_an_open_log_passes_only_where_an_open_log_is_expected(
    tmp_path: Path,
) -> None:
    make_big_log(tmp_path / "log", 300, sealed=False, kind="station")
    export(source_of(tmp_path / "log"), tmp_path / "out")
    for verdict in both(tmp_path / "out", may_be_open=True):
        assert verdict.ok, verdict.problems
        assert not verdict.sealed


def test_a_witness_that_saw_more_or_something_else_fails_the_export(
    handed_over: Path,
) -> None:
    log = Keys.from_seed(1).recall(
        VerifierKey.parse((handed_over / "vkey").read_text().strip()), "batch a big log"
    )
    witness = Signer("lan/witness", b"w" * 32)
    key = witness_key(witness)
    mine = Checkpoint.parse(Note.parse((handed_over / "checkpoint").read_bytes()).text)

    def said(found: Checkpoint, vkey: str = "") -> list[Verdict]:
        text = found.text()
        lines = log.sign(text).signatures + (cosign(witness, key, text, 1_770_000_000),)
        (handed_over / "evidence" / "witnessed").write_bytes(Note(text, lines).render())
        list_anew(handed_over)
        return [script(handed_over, witness=vkey), *go_program([handed_over])]

    assert [verdict.ok for verdict in said(mine, str(key))] == [True, True]
    stranger = witness_key(Signer("lan/witness", b"s" * 32))
    assert [verdict.ok for verdict in said(mine, str(stranger))] == [False, True]
    for changed in (replace(mine, size=601), replace(mine, root=b"r" * 32)):
        verdicts = said(changed)
        assert [verdict.ok for verdict in verdicts] == [False, False]
        assert all("evidence/witnessed" in verdict.problems for verdict in verdicts)


def test_a_witness_is_asked_for_where_there_is_none(exported: Path) -> None:
    key = witness_key(Signer("lan/witness", b"w" * 32))
    assert "evidence/witnessed" in script(exported, witness=str(key)).problems


def test_an_export_holds_no_evidence_of_what_came_while_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_big_log(tmp_path / "station", 300, sealed=False, kind="station")
    make_big_log(tmp_path / "later", 400, sealed=False, kind="station")
    evidence = tmp_path / "station.evidence"
    evidence.mkdir()
    shutil.copy(tmp_path / "station" / "checkpoint", evidence / "witnessed")

    def copied(source: Path, log: Path) -> None:
        copy_log(source, log)
        shutil.copy(tmp_path / "later" / "checkpoint", evidence / "witnessed")

    monkeypatch.setattr("controller.record.export.copy_log", copied)
    export(source_of(tmp_path / "station"), tmp_path / "out")
    for verdict in both(tmp_path / "out"):
        assert verdict.ok, verdict.problems
    assert (tmp_path / "out" / "evidence" / "witnessed").is_file()


def test_it_is_said_how_much_of_the_log_a_witness_had_seen_and_that_none_was_looked_for(
    handed_over: Path,
) -> None:
    log, _ = Keys.from_seed(1).issue("batch", "a big log")
    witness = Signer("lan/witness", b"w" * 32)
    key = witness_key(witness)
    blocks = (handed_over / "log" / "checkpoints").read_text().split("\n\n")
    text = blocks[4] + "\n"  # the third
    seen = Checkpoint.parse(text)
    lines = log.sign(text).signatures + (cosign(witness, key, text, 1_770_000_000),)
    (handed_over / "evidence" / "witnessed").write_bytes(Note(text, lines).render())
    list_anew(handed_over)

    def said(*more: str) -> str:
        command = [sys.executable, "-I", "-S", str(SCRIPT), str(handed_over), *more]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout
        return run.stdout

    told = f"{key.name} had seen the first {seen.size} records 2026-02-02T02:40:00Z"
    assert told in said("--witness", str(key))
    assert "No witness was looked for" in said()
