"""An export is checked by the script it carries and by the Go program: what is spoiled shows."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from big_log import make_big_log
from record_logs import contents, files_under
from spoiled_logs import flip
from three_verifiers import Verdict, go_program, script

from controller.record.export import export
from controller.record.keys import Keys, Signer
from controller.record.note import Checkpoint, Note, VerifierKey
from controller.record.sources import source_of
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
        VerifierKey.parse((handed_over / "vkey").read_text().strip()), "batch 600"
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
