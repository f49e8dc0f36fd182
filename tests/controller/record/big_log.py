"""A log of any size, written fast: only for measurements, and for tests of what needs many records.

Run as a program it makes the log and measures one verification of it in a process of its own:
`python tests/controller/record/big_log.py DIRECTORY RECORDS [--deep]`.
"""

from __future__ import annotations

import hashlib
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from controller.record.frame import SEGMENT_BYTES, checksum, pack
from controller.record.keys import Keys
from controller.record.note import Checkpoint, VerifierKey
from controller.record.tiles import Tiles, tile_path
from controller.record.tree import HASH_BYTES, Tree, leaf_hash

BATCH = 100  # records for each checkpoint
FRAMES_OF_A_WRITE = 10
PURPOSE = "a big log"


def payload_of(number: int, version: int = 2) -> bytes:
    """An ordinary record of about 340 bytes, in RFC 8785 form."""
    at = 1_000_000 * number
    return (
        f'{{"actor":"system","boottime_ns":"{at}","data":{{"new":"bad","old":"good",'
        f'"reason":"the value is older than five seconds: probe or link lost, see the wiring list'
        f' page 14","scan":{number},"tag":"TT101"}},"event":"quality.changed","mono_ns":"{at}",'
        f'"reason":"","role":"","source":"1.2.{number}","time":"2026-01-05T08:00:00.000+00:00",'
        f'"v":{version}}}'
    ).encode()


def make_big_log(
    directory: Path,
    records: int,
    *,
    seed: int = 1,
    sealed: bool = True,
    segment: int = SEGMENT_BYTES,
    payload: Callable[[int], bytes] = payload_of,
    edit: Callable[[Checkpoint], Checkpoint] = lambda checkpoint: checkpoint,
    kind: str = "batch",
    first: bytes = b"",
) -> None:
    """Writes a log in format 2 as FORMAT.md says, without the writer.

    Each write is of ten frames. `first`, `payload` and `edit` change what is signed: record 0, the
    other records, and checkpoints before their signature, as a signer who lies would.
    """
    keys = Keys.from_seed(seed)
    signer, certificate = keys.issue(kind, PURPOSE)
    for folder in ("segments", "history", "blobs"):
        (directory / folder).mkdir(parents=True)
    (directory / "vkey").write_text(f"{signer.verifier}\n")
    (directory / "key.cert").write_bytes(certificate.render())
    tree, tiles, buffer = Tree(), Tiles(), bytearray()
    previous: bytes | None = None
    number = crc = 0
    with (directory / "checkpoints").open("wb") as history:
        for seq in range(records):
            data = payload(seq) if seq else first
            data = data or opening(kind, keys.device.verifier, signer.verifier)
            crc = crc if seq % FRAMES_OF_A_WRITE and buffer else 0
            buffer += pack(seq, data, crc)
            crc = checksum(seq, data, crc)
            tree.push(leaf_hash(data))
            tiles.push(leaf_hash(data))
            end = seq == records - 1
            if seq % BATCH == 0 or end:
                size, last = tree.size, sealed and end
                found = Checkpoint(signer.verifier.name, size, tree.root(), previous, last)
                note = signer.sign(edit(found).text()).render()
                previous = hashlib.sha256(note).digest()
                history.write(note + b"\n")
            if len(buffer) >= segment or end:
                (directory / f"segments/{number:08d}.seg").write_bytes(buffer)
                buffer.clear()
                number += 1
    (directory / "checkpoint").write_bytes(note)
    for level, index, hashes in (*tiles.take(), *(tiles.partial() if sealed else ())):
        path = directory / tile_path(level, index, len(hashes) // HASH_BYTES)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hashes)


def opening(kind: str, device: VerifierKey, log: VerifierKey) -> bytes:
    """Record 0 of a log."""
    return (
        f'{{"actor":"system","boot_id":"c4a1967b","boottime_ns":"0","data":{{"key":"{device}",'
        f'"kind":"{kind}","purpose":"{PURPOSE}","vkey":"{log}"}},"event":"log.opened",'
        '"mono_ns":"0","reason":"","role":"","sync":"virtual",'
        '"time":"2026-01-05T08:00:00.000+00:00","v":2}'
    ).encode()


def main() -> None:
    """Makes the log unless it is there, and says what its verification took."""
    directory, records = Path(sys.argv[1]), int(sys.argv[2])
    if not directory.exists():
        make_big_log(directory, records)
        print(f"made {records} records of {len(payload_of(records))} bytes")
        return
    from controller.record.verify import verify

    began, cpu = time.perf_counter(), time.process_time()
    report = verify(directory, deep="--deep" in sys.argv)
    print(
        f"ok {report.ok}, {report.records} records, {report.checkpoints} checkpoints: "
        f"{time.perf_counter() - began:.2f} s ({time.process_time() - cpu:.2f} s CPU), "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB at most"
    )
    print(*report.problems[:5], sep="\n")


if __name__ == "__main__":
    main()
