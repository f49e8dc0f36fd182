"""One log as a directory or a zip file that can be checked without us, and read in ten years.

A module because what is handed over must be a copy that was proved, of one moment, with nothing in
it that is secret: only files of the log's own layout are taken. Same log, same bytes.
"""

from __future__ import annotations

import re
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from controller.core.errors import BadInput, CellwrightError, RecordFailure
from controller.record.checkpoints import LAST, Problem, read_last
from controller.record.export_copy import copy_as_is, copy_log, frames_until, put
from controller.record.frame import decode, read_limited
from controller.record.layout import CERTIFICATE, VKEY, read_identity
from controller.record.note import NOTE_BYTES_MAX, Checkpoint, Note, NoteError
from controller.record.package import manifest, readme, zip_of
from controller.record.sources import Source
from controller.record.state import must_be_sealed
from controller.record.tiles import FOLDER, WIDTH, Tiles, tile_path
from controller.record.tree import HASH_BYTES, leaf_hash
from controller.record.verify import verify

HERE: Final = Path(__file__).parent
VERIFIER: Final = HERE / "verifier" / "cellwright_verify.py"
PROOF_CHECKER: Final = HERE / "verifier" / "check_proof.py"
ENTRY_BYTES_MAX: Final = 65_535  # what a bundle of tlog-tiles can hold
EVIDENCE: Final = ("witnessed", "checkpoint.tsr")
EVIDENCE_BYTES_MAX: Final = 1 << 20
REPORT: Final = "report.pdf"
TABLE_NAME: Final = re.compile(r"history-[A-Za-z0-9._-]{1,80}\.parquet")
_LENGTH: Final = struct.Struct(">H")


@dataclass(slots=True)
class Export:
    """What was handed over. `problems` is empty unless a damaged log was wanted all the same."""

    path: Path
    source: Source
    sealed: bool
    records: int = 0
    root: bytes = b""
    origin: str = ""
    device: str = ""
    kind: str = ""
    problems: list[Problem] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    without: str = ""


def export(
    source: Source, out: Path, *, damaged: bool = False,
    report: Callable[[Export, Path], bytes] | None = None,
) -> Export:  # fmt: skip
    """Writes an export of a log to the directory `out`, or to the zip file if it is called so.

    A log that is still being written is cut at its last checkpoint. `report` makes the report's PDF
    from the exported log. Raises BadInput if `out` is there already, RecordFailure for a log that
    does not verify, unless `damaged`; then nothing is left behind.
    """
    if out.exists() or out.is_symlink():
        raise BadInput("this is there already", where=out, do="Name a new directory or zip file.")
    aside = out.with_name(f"{out.name}.partial")
    try:
        aside.mkdir(parents=True)
    except FileExistsError:
        raise BadInput("an export was interrupted here, or is under way", where=aside,
                       do="Remove it once no export runs.") from None  # fmt: skip
    except OSError as error:
        raise BadInput(f"it cannot be made: {error.strerror}", where=aside) from error
    try:
        done = _fill(source, aside, damaged=damaged, report=report)
        done.path = out
        if out.suffix == ".zip":
            packed = out.with_name(f"{out.name}.partial.zip")
            zip_of(aside, packed)
            packed.replace(out)
        else:
            aside.replace(out)
    except OSError as error:
        raise RecordFailure(f"the export cannot be written: {error}", where=out,
                            means="Nothing was handed over.",
                            do="Look for space and rights there.") from error  # fmt: skip
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        out.with_name(f"{out.name}.partial.zip").unlink(missing_ok=True)
    return done


def _fill(
    source: Source, root: Path, *, damaged: bool, report: Callable[[Export, Path], bytes] | None
) -> Export:
    log, evidence = root / "log", _evidence(source)
    open_ = not must_be_sealed(source.directory) and not _sealed(source.directory)
    found = None if open_ else verify(source.directory)
    if found is None or found.ok:
        copy_log(source.directory, log)
        found = verify(log, expect_sealed=not open_)
    if not found.ok and not damaged:
        first = found.problems[0]
        raise RecordFailure(
            f"the log does not verify: {first.where}: {first.what}",
            where=source.directory,
            means="What is exported would prove nothing.",
            do="Run `cellwright log verify` on it; hand it over as it is with --damaged.",
        )
    done = Export(root, source, found.sealed, found.records, bytes.fromhex(found.root),
                  found.origin, found.device, found.kind, list(found.problems))  # fmt: skip
    if not found.ok:
        shutil.rmtree(log, ignore_errors=True)
        done.left_out = copy_as_is(source.directory, log)
    _publish(log, root)
    _add_beside(done, root, evidence)
    if report is not None and done.kind == "batch":
        _add_report(done, root, report)
    (root / "README.txt").write_text(readme(done), "utf-8")
    (root / "MANIFEST").write_text(manifest(root), "utf-8")  # last: it names every other file
    return done


def _sealed(directory: Path) -> bool:
    try:
        return read_last(directory, read_identity(directory).log)[1].sealed
    except (NoteError, RecordFailure):
        return False


# -- what an export adds --------------------------------------------------------------------------


def _publish(log: Path, root: Path) -> None:
    """The tiles of c2sp.org/tlog-tiles, hashes and records, up to the log's checkpoint."""
    for name in (LAST, VKEY):
        if (log / name).is_file():
            shutil.copyfile(log / name, root / name)
    try:
        size = Checkpoint.parse(Note.parse(read_limited(log / LAST, NOTE_BYTES_MAX)).text).size
    except (NoteError, RecordFailure):
        return  # without a checkpoint nothing is published
    tiles, bundle = Tiles(), bytearray()
    for frame in frames_until(log, size):
        if len(frame.payload) > ENTRY_BYTES_MAX:
            raise RecordFailure(
                f"record {frame.seq} has {len(frame.payload)} bytes, an entry bundle of tlog-tiles "
                f"holds {ENTRY_BYTES_MAX}", where=log, do="Hand over the log directory itself.",
            )  # fmt: skip
        bundle += _LENGTH.pack(len(frame.payload)) + frame.payload
        tiles.push(leaf_hash(frame.payload))
        if tiles.size % WIDTH == 0:
            put(root / _entries(tiles.size, WIDTH), bytes(bundle))
            bundle.clear()
            for level, index, data in tiles.take():
                put(root / tile_path(level, index), data)
    if bundle:
        put(root / _entries(tiles.size, tiles.size % WIDTH), bytes(bundle))
    for level, index, data in tiles.partial():
        put(root / tile_path(level, index, len(data) // HASH_BYTES), data)


def _entries(size: int, width: int) -> str:
    """The path of the bundle that ends with record `size` - 1."""
    name = tile_path(0, (size - 1) // WIDTH, width)
    return name.replace(f"{FOLDER}/0/", f"{FOLDER}/entries/", 1)


def _evidence(source: Source) -> dict[str, bytes]:
    """What is kept beside a log. Taken before the log: it must not speak of records after it."""
    paths = [source.beside("evidence") / name for name in EVIDENCE]
    return {path.name: read_limited(path, EVIDENCE_BYTES_MAX)
            for path in paths if path.is_file() and not path.is_symlink()}  # fmt: skip


def _add_beside(done: Export, root: Path, evidence: dict[str, bytes]) -> None:
    """Keys, evidence, tables of the process history, the verifier and its format."""
    log = root / "log"
    for folder in ("keys", "evidence", "history"):
        (root / folder).mkdir()
    if done.device:
        (root / "keys" / "device.vkey").write_text(f"{done.device}\n", "utf-8")
    if (log / CERTIFICATE).is_file():
        shutil.copyfile(log / CERTIFICATE, root / "keys" / CERTIFICATE)
    for name, data in evidence.items():
        put(root / "evidence" / name, data)
    if done.kind == "batch":
        for frame in frames_until(log, done.records):
            if b'"blob.stored"' in frame.payload:
                _add_table(decode(frame.payload)["data"], log, root / "history")
    for path, name in ((VERIFIER, "verify.py"), (PROOF_CHECKER, "check_proof.py"),
                       (HERE / "FORMAT.md", "FORMAT.md")):  # fmt: skip
        shutil.copyfile(path, root / name)


def _add_table(blob: dict[str, Any], log: Path, folder: Path) -> None:
    """A stored table under its name, if the blob is one."""
    name, path = str(blob.get("name")), log / str(blob.get("file"))
    if TABLE_NAME.fullmatch(name) and path.is_file() and not (folder / name).exists():
        shutil.copyfile(path, folder / name)


def _add_report(done: Export, root: Path, report: Callable[[Export, Path], bytes]) -> None:
    try:
        (root / REPORT).write_bytes(report(done, root))
    except CellwrightError as error:
        done.without = error.what  # the log is handed over all the same, and it is said
