"""The process history as others get it: CSV, Parquet and SQLite say the same, damage is named."""

from __future__ import annotations

import io
import math
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from process_logs import DAY_S, TAGS, asked, csv_rows, make, stamp, writes
from typer.testing import CliRunner

from controller.cli.app import app
from controller.core.errors import RecordFailure
from controller.record.files import VolatileFiles
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.process import GAP, WRITE, Stream
from controller.record.tables import sealed_tables
from controller.record.verify import verify


def test_the_log_it_is_made_from_is_whole(batch: Path) -> None:
    assert list(verify(batch / "log", deep=True).problems) == []


def test_csv_has_units_offsets_bad_values_and_gaps(batch: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.csv"
    status, said = asked("history", "export", batch, "--out", out)
    assert status == 0
    assert "2 of them gaps" in said
    rows = csv_rows(out)
    tag = [row for row in rows if row["source"] == "tag" and row["tag"] == "TT101"]
    assert [(row["time_utc"][11:], row["value"], row["quality"], row["reason"]) for row in tag] == [
        ("08:01:00.000Z", "37.0", "good", "none"),
        ("08:01:01.500Z", "", "bad", "communication"),
        ("08:01:30.000Z", "36.9", "good", "none"),
        ("08:02:10.000Z", "37.25", "uncertain", "substituted"),
        ("08:03:00.000Z", "", "gap", "none"),
        ("08:05:00.000Z", "36.5", "good", "none"),
        ("08:00:00.000Z", "35.0", "good", "none"),
    ]
    assert {row["unit"] for row in tag} == {"Cel"}
    assert {row["utc_offset"] for row in rows} == {"+01:30"}
    assert {row["tag"] for row in rows} == {*TAGS, "heater"}
    assert [row["value"] for row in rows if row["source"] == "write"][:3] == [
        "0.0",
        "0.125",
        "0.25",
    ]


def test_csv_and_parquet_say_the_same(batch: Path, tmp_path: Path) -> None:
    for ending in ("csv", "parquet"):
        assert asked("history", "export", batch / "log", "--out", tmp_path / f"a.{ending}")[0] == 0
    text = csv_rows(tmp_path / "a.csv")
    typed = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert len(text) == len(typed) > 50
    for one, other in zip(text, typed, strict=True):
        assert datetime.fromisoformat(one["time_utc"]) == other["time"]
        assert float(one["value"] or "nan") == pytest.approx(
            math.nan if other["value"] is None else other["value"], rel=0, abs=0, nan_ok=True
        )
        assert one["utc_offset"] == "+01:30"
        assert other["offset_min"] == 90
        for name in ("tag", "unit", "quality", "reason", "source"):
            assert one[name] == other[name]


def test_the_tables_of_a_sealed_batch_are_one_a_day_and_hold_every_row(batch: Path) -> None:
    files = dict(sealed_tables(batch / "log"))
    assert list(files) == ["history-2026-01-05.parquet", "history-2026-01-06.parquet"]
    assert dict(sealed_tables(batch / "log")) == files  # the same bytes again
    tables = [pq.read_table(io.BytesIO(data)) for data in files.values()]
    schema = {field.name: str(field.type) for field in tables[0].schema}
    assert schema["time"] == "timestamp[ms, tz=UTC]"
    assert schema["value"] == "double"
    assert schema["tag"].startswith("dictionary<values=string")
    for day, table in enumerate(tables):
        start = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(days=day)
        assert all(start <= row["time"] < start + timedelta(days=1) for row in table.to_pylist())
    assert sum(table.num_rows for table in tables) == sum(
        len(block) for block in Stream(batch / "log").blocks()
    )


def test_a_day_too_long_for_one_file_gets_two(batch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.record.tables.PARQUET_BYTES_MAX", 4)
    names = [name for name, _ in sealed_tables(batch / "log")]
    assert names[:2] == ["history-2026-01-05.parquet", "history-2026-01-05-2.parquet"]


def test_tags_and_times_can_be_chosen(batch: Path, tmp_path: Path) -> None:
    out = tmp_path / "some.csv"
    status, _ = asked("history", "export", batch, "--out", out, "--tag", "TT101",
                      "--since", "2026-01-05T09:31:30+01:30", "--until", "2026-01-05")  # fmt: skip
    assert status == 0
    assert [row["value"] for row in csv_rows(out)] == ["36.9", "37.25", "", "36.5"]


@pytest.mark.parametrize(
    ("since", "until", "values"),
    [
        ("2026-01-05T09:31:30", "2026-01-05T09:32:10", ["36.9", "37.25"]),  # local, both included
        ("2026-01-05T08:01:30Z", "2026-01-05T09:32:10+01:30", ["36.9", "37.25"]),
        ("2026-01-06", "2026-01-06", ["35.0"]),  # a day means to its end
    ],
)
def test_times_mean_the_same_as_when_a_log_is_shown(
    batch: Path, tmp_path: Path, since: str, until: str, values: list[str]
) -> None:
    out = tmp_path / "some.csv"
    status, _ = asked("history", "export", batch, "--out", out, "--tag", "TT101",
                      "--since", since, "--until", until)  # fmt: skip
    assert status == 0
    assert [row["value"] for row in csv_rows(out) if row["quality"] != "gap"] == values


@pytest.mark.parametrize("way", ["--index", "--no-index"])
def test_a_value_is_shown_for_its_own_time_not_for_that_of_its_chunk(batch: Path, way: str) -> None:
    assert asked("log", "index", batch)[0] == 0
    status, said = asked(
        "log", "show", batch, "--tag", "TT101", "--expand", way,
        "--since", "2026-01-05T09:31:20", "--until", "2026-01-05T09:31:31",
    )  # fmt: skip
    assert status == 0
    assert [line.split("  ")[-1] for line in said.splitlines()] == ["TT101 = 36.9 Cel"]


def test_an_export_of_nothing_says_so(batch: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "x.csv")
    result = CliRunner().invoke(app, ["history", "export", str(batch), "--out", out,
                                      "--since", "2027-01-01"])  # fmt: skip
    assert (result.exit_code, "0 rows" in result.stdout) == (0, True)
    assert "look at --tag, --since, --until" in result.stderr


@pytest.mark.parametrize(
    ("more", "status", "what"),
    [
        (("--tag", "TT102"), 2, "Did you mean 'TT101'"),
        (("--since", "yesterday"), 2, "'yesterday' is not a time"),
        (("--out", "x.xlsx"), 2, "neither .csv nor .parquet"),
    ],
)
def test_what_cannot_be_exported_is_refused_with_words(
    batch: Path, tmp_path: Path, more: tuple[str, ...], status: int, what: str
) -> None:
    out = tmp_path / "out.csv"
    found, said = asked("history", "export", batch, "--out", out, *more)
    assert (found, what in said) == (status, True), said
    assert not out.exists()
    assert not list(tmp_path.glob("*.part"))


def test_a_file_that_is_there_is_not_overwritten(batch: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("mine")
    assert asked("history", "export", batch, "--out", out)[0] == 2
    assert out.read_text() == "mine"


def test_no_log_is_said(tmp_path: Path) -> None:
    status, said = asked("history", "export", tmp_path, "--out", tmp_path / "x.csv")
    assert status == 2
    assert "no such log" in said


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_damaged_chunk_is_refused_by_its_name(batch: Path, tmp_path: Path, number: int) -> None:
    chunk = batch / "log" / "history" / f"{number:08d}.chunk"
    data = bytearray(chunk.read_bytes())
    data[-3] ^= 1
    chunk.write_bytes(data)
    out = tmp_path / "out.parquet"
    status, said = asked("history", "export", batch, "--out", out)
    assert status == 3
    assert chunk.name in said
    assert "not those that record" in said
    assert not out.exists()
    with pytest.raises(RecordFailure, match=chunk.name):
        list(sealed_tables(batch / "log"))


def test_a_missing_chunk_and_a_damaged_record_are_refused(batch: Path, tmp_path: Path) -> None:
    (batch / "log" / "history" / "00000002.chunk").unlink()
    status, said = asked("history", "export", batch, "--out", tmp_path / "a.csv")
    assert (status, "00000002.chunk" in said) == (3, True)
    segment = batch / "log" / "segments" / "00000000.seg"
    data = bytearray(segment.read_bytes())
    data[40] ^= 1
    segment.write_bytes(data)
    status, said = asked("history", "export", batch, "--out", tmp_path / "b.csv")
    assert (status, "record 0" in said) == (3, True)


def test_a_log_that_is_being_written_is_read_to_its_torn_end(tmp_path: Path) -> None:
    log = make(tmp_path / "log")
    log.sync(stamp(DAY_S + 61))
    log.close()
    with (tmp_path / "log" / "segments" / "00000000.seg").open("r+b") as file:
        data = file.read()
        file.seek(0)
        (length,) = struct.unpack_from("<I", data)
        assert length > 0
        end = len(data.rstrip(b"\0"))
        file.truncate(end - 5)
    rows = sum(len(block) for block in Stream(tmp_path / "log", growing=True).blocks())
    assert rows > 40
    with pytest.raises(RecordFailure):
        list(Stream(tmp_path / "log").blocks())


def test_a_log_of_only_writes_has_times_too(tmp_path: Path) -> None:
    log = BatchLog.create(
        tmp_path / "log", Keys.from_seed(1), stamp(0), purpose="B", files=VolatileFiles()
    )
    writes(log, 10, 69, 60)
    log.seal(stamp(70))
    rows = np.concatenate(list(Stream(tmp_path / "log").blocks()))
    assert set(rows["source"]) == {WRITE}
    assert rows["time_ms"][-1] - rows["time_ms"][0] == 59_000
    assert not (rows["quality"] == GAP).any()


def test_a_log_without_history_makes_no_tables(tmp_path: Path) -> None:
    log = BatchLog.create(
        tmp_path / "log", Keys.from_seed(1), stamp(0), purpose="B", files=VolatileFiles()
    )
    log.seal(stamp(70))
    assert list(sealed_tables(tmp_path / "log")) == []
