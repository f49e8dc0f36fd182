"""How `verify` reads: in pieces, without end of memory, and never raising for what it finds."""

from __future__ import annotations

import hashlib
import json
import os
import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from big_log import make_big_log, payload_of
from hypothesis import given, settings
from hypothesis import strategies as st
from record_logs import chunk_bytes, make_log, stamp_at
from spoiled_logs import compact
from three_verifiers import go_program, script

from controller.record import tags, verify_frames
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.verify import PROBLEMS_MAX, verify

PLACES = 30
NAMED = 40


@pytest.mark.parametrize("piece", [17, 64, 1000, 4096])
def test_the_size_of_the_pieces_read_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    make_big_log(tmp_path / "log", 120, segment=15_000)
    log, chosen = tmp_path / "log", random.Random(4)
    whole = verify(log)
    assert whole.ok
    monkeypatch.setattr(verify_frames, "PIECE_BYTES", piece)
    assert verify(log) == whole
    for _ in range(PLACES):
        path = chosen.choice(sorted((log / "segments").iterdir()))
        data = path.read_bytes()
        spoiled = bytearray(data)
        spoiled[chosen.randrange(len(data))] ^= 1
        path.write_bytes(spoiled[: chosen.choice([len(data), chosen.randrange(len(data))])])
        in_pieces = verify(log)
        with monkeypatch.context() as at_once:
            at_once.setattr(verify_frames, "PIECE_BYTES", 1 << 20)
            assert verify(log).problems == in_pieces.problems != []
        path.write_bytes(data)


@pytest.mark.parametrize("version", [0, 3, 999, "2", 2.0, True, [2]])
def test_a_log_of_another_format_is_one_clear_problem(tmp_path: Path, version: object) -> None:
    record = {"v": version, "event": "log.begun"}
    make_big_log(tmp_path / "log", 20, first=json.dumps(record).encode())
    report = verify(tmp_path / "log")
    assert [problem.where for problem in report.problems] == [
        "record 0 (segments/00000000.seg, byte 0)"
    ]
    assert "the log has format" in report.problems[0].what
    assert not script(tmp_path / "log").ok
    assert not go_program([tmp_path / "log"])[0].ok


def test_more_problems_than_anybody_reads_end_the_check(tmp_path: Path) -> None:
    make_big_log(tmp_path / "log", 20)
    for number in range(3 * PROBLEMS_MAX):
        (tmp_path / "log" / f"extra-{number}").write_text("x")
    report = verify(tmp_path / "log")
    assert len(report.problems) == PROBLEMS_MAX + 1
    assert "stopped" in report.problems[-1].what


def test_a_blob_named_by_two_records_and_a_chunk_are_read_as_their_records_say(
    tmp_path: Path,
) -> None:
    log = BatchLog.create(tmp_path / "log", Keys.from_seed(1), stamp_at(0), purpose="B")
    log.store_blob("one", b"same", stamp_at(1))
    log.store_blob("two", b"same", stamp_at(1))
    log.store_chunk(chunk_bytes(), stamp_at(2))
    log.seal(stamp_at(3))
    assert verify(tmp_path / "log", deep=True).ok
    assert script(tmp_path / "log").ok


def test_a_chunk_whose_record_counts_other_rows_fails_only_a_deep_check(tmp_path: Path) -> None:
    make_log(tmp_path / "small")
    (chunk,) = (tmp_path / "small" / "history").iterdir()
    data = chunk.read_bytes()
    fields = {
        "file": "history/00000000.chunk", "first_scan": 0, "last_scan": 3, "rows": 9,
        "sha256": hashlib.sha256(data).hexdigest(),
    }  # fmt: skip
    record = json.loads(payload_of(1)) | {"event": "history.chunk", "data": fields}
    make_big_log(
        tmp_path / "log", 3, payload=lambda n: compact(record) if n == 1 else payload_of(n)
    )
    (tmp_path / "log" / "history" / "00000000.chunk").write_bytes(data)
    assert verify(tmp_path / "log").ok
    problems = verify(tmp_path / "log", deep=True).problems
    assert [problem.where for problem in problems] == ["history/00000000.chunk"]
    assert "other rows" in problems[0].what


def test_a_chunk_of_tags_is_unpacked_by_a_deep_check(tmp_path: Path) -> None:
    begin, end = "2026-01-05T08:00:00.000+01:00", "2026-01-05T08:00:59.000+01:00"
    cover = tags.Cover(begin, end, 0, "boot", 0, 59, False, ("TT101",), ("Cel",), ("0.1",))
    rows = np.zeros(2, tags.ROW)
    rows["time"], rows["value"] = [0, 2_000], [37.0, 37.2]
    for counted in (2, 3):
        log = BatchLog.create(
            tmp_path / str(counted), Keys.from_seed(1), stamp_at(0), purpose=f"batch {counted}"
        )
        data = tags.encode(cover, rows)
        log.store_tags(data, begin=begin, end=end, rows=counted, stamp=stamp_at(60))
        log.seal(stamp_at(61))
        assert verify(tmp_path / str(counted)).ok
        report = verify(tmp_path / str(counted), deep=True)
        assert report.ok == (counted == 2), report.problems


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["0" * 64, "blobs/sha256-" + "0" * 64, "history/00000000.chunk"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
EVENTS = ["history.chunk", "history.tags", "blob.stored", "log.recovered", "log.opened"]


def strange(draw: Any) -> bytes:
    """A payload that a signer may sign and that no writer of ours would make."""
    record = json.loads(payload_of(NAMED))
    record["event"] = draw(st.sampled_from(EVENTS) | JSON)
    record["data"] = draw(st.fixed_dictionaries({"sha256": JSON}, optional={"file": JSON}) | JSON)
    if draw(st.booleans()):
        record[draw(st.sampled_from(["v", "time", "actor", "extra"]))] = draw(JSON)
    return draw(
        st.sampled_from([json.dumps(record).encode(), b"{}", b'{"sha256":', b'\xff{"sha256":1}'])
    )


@settings(max_examples=60)
@given(payload=st.composite(strange)())
def test_signed_nonsense_never_raises_and_never_passes_a_deep_check(payload: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        make_big_log(log, NAMED + 2, payload=lambda n: payload if n == NAMED else payload_of(n))
        assert verify(log).records == NAMED + 2
        assert not verify(log, deep=True).ok


@settings(max_examples=12)
@given(payloads=st.lists(st.composite(strange)(), min_size=1, max_size=4))
def test_all_verifiers_think_the_same_of_signed_nonsense(payloads: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, payload in enumerate(payloads):
            paths.append(Path(folder) / str(number))
            make_big_log(
                paths[-1], 3, payload=lambda n, it=payload: it if n == 1 else payload_of(n)
            )
        paths.append(Path(folder) / "first")
        make_big_log(paths[-1], 3, first=payloads[0])
        verdicts = [verify(path).ok for path in paths]
        assert not verdicts[-1]
        assert [script(path).ok for path in paths] == verdicts
        assert [verdict.ok for verdict in go_program(paths)] == verdicts


def test_a_file_name_cannot_pass_for_a_line_of_the_report(tmp_path: Path) -> None:
    make_log(tmp_path / "log")
    forged = "x\nwhole: batch log, 30 records, sealed\x1b[2K"
    (tmp_path / "log" / forged).write_text("")
    Path(os.fsdecode(os.fsencode(tmp_path / "log") + b"/\xff")).write_text("")  # and no UTF-8
    report = verify(tmp_path / "log")
    assert len(report.problems) == 2
    for problem in report.problems:
        assert f"{problem.where}: {problem.what}".isprintable()
        (problem.where + problem.what).encode()
