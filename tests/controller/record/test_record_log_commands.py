"""`cellwright log ...` as it is typed: what it prints, writes and exits with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from trail_logs import make_trail
from typer.testing import CliRunner, Result

from controller.cli.app import app
from controller.core.errors import BadInput, CellwrightError
from controller.record.keys import Keys


def run(*words: object) -> Result:
    """Runs a command; an error of ours is raised as it is."""
    result = CliRunner().invoke(app, ["log", *map(str, words)])
    if isinstance(result.exception, CellwrightError):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with the story as its finished batch."""
    path = tmp_path_factory.mktemp("kept")
    make_trail(path / "batches" / "B-7" / "log")
    make_trail(path / "station", purpose="station", sealed=False)
    return path


@pytest.fixture
def batch(kept: Path, tmp_path: Path) -> Path:
    """A copy of the batch's directory."""
    return Path(shutil.copytree(kept / "batches" / "B-7", tmp_path / "B-7"))


def test_records_are_shown_as_lines_and_as_json(batch: Path) -> None:
    lines = run("show", batch, "--event", "cause.active").stdout.splitlines()
    assert len(lines) == 1
    assert lines[0].endswith("system: Row 18.both tripped: No flow")
    (row,) = run("show", batch, "--event", "cause.active", "--json").stdout.splitlines()
    assert json.loads(row)["seq"] == 10


def test_changes_are_shown_with_those_that_did_not_take_effect(batch: Path) -> None:
    lines = run("show", batch, "--changes").stdout.splitlines()
    assert len(lines) == 9
    assert sum("NOT CHANGED" in line for line in lines) == 2
    assert sum("NOT KNOWN" in line for line in lines) == 1
    told = run("show", batch, "--changes", "--json").stdout.splitlines()
    rows = [json.loads(line) for line in told]
    assert [row["result"] for row in rows].count("applied") == 6


def test_a_state_directory_is_shown_with_the_names_of_its_logs(kept: Path) -> None:
    lines = run("show", kept, "--event", "account.added").stdout.splitlines()
    assert sorted(line.split()[0] for line in lines) == ["B-7", "station"]


def test_what_does_not_match_is_said_on_stderr(batch: Path) -> None:
    result = run("show", batch, "--event", "causes.active")
    assert result.stdout == ""
    assert "Did you mean 'cause.active'?" in result.stderr
    assert result.exit_code == 0


def test_a_folder_that_is_no_log_is_not_called_a_damaged_one(kept: Path, tmp_path: Path) -> None:
    for path, what in ((tmp_path, "no such log directory"), (kept, "more than one log")):
        with pytest.raises(BadInput, match=what):
            run("verify", path)


def test_a_log_that_lost_its_segments_is_still_a_damaged_log(batch: Path) -> None:
    shutil.rmtree(batch / "log" / "segments")
    result = run("verify", batch)
    assert result.exit_code == 3
    assert "NOT whole" in result.stdout


def test_many_problems_do_not_hide_the_first(kept: Path, tmp_path: Path) -> None:
    log = Path(shutil.copytree(kept / "batches" / "B-7" / "log", tmp_path / "log"))
    for number in range(30):
        (log / "blobs" / f"stranger-{number:02}").write_text("?")
    lines = run("verify", log).stdout.splitlines()
    assert "stranger-00" in lines[0]
    assert lines[20] == "... and 10 more problems; --json gives them all"
    assert lines[21].startswith("NOT whole")
    assert len(json.loads(run("verify", log, "--json").stdout)["problems"]) == 30


def test_a_key_or_a_file_that_is_not_there_accuses_no_log(batch: Path, tmp_path: Path) -> None:
    proof = tmp_path / "3.tlog-proof"
    run("prove", batch, 3, "--out", proof)
    with pytest.raises(BadInput, match="is no verifier key"):
        run("check-proof", proof, "--device", "bogus")
    with pytest.raises(BadInput, match="No such file"):
        run("check-proof", tmp_path / "none", "--device", (batch / "log" / "vkey").read_text())
    with pytest.raises(BadInput, match="No such file"):
        run("consistency", batch, tmp_path / "none")


def test_a_log_of_another_device_than_the_trusted_one_does_not_verify(batch: Path) -> None:
    own, other = (str(Keys.from_seed(seed).device.verifier) for seed in (1, 99))
    certified = run("verify", batch).stdout.splitlines()[-1].removeprefix("key certified by ")
    assert run("verify", batch, "--device", certified).exit_code == 0
    assert run("verify", batch, "--device", other if certified == own else own).exit_code == 3


def test_options_that_do_not_go_together_are_refused(batch: Path) -> None:
    with pytest.raises(BadInput, match="do not go together"):
        run("show", batch, "--changes", "--expand")


def test_an_index_is_made_beside_the_log_and_the_log_still_verifies(batch: Path) -> None:
    assert "19 records" in run("index", batch).stdout
    assert (batch / "index.sqlite").is_file()
    assert run("verify", batch).stdout.startswith("whole: batch log")


def test_a_proof_is_written_and_checked(batch: Path, tmp_path: Path) -> None:
    run("prove", batch, 14, "--out", tmp_path / "a.tlog-proof")
    device = json.loads(run("verify", batch, "--json").stdout)["device"]
    text = run("check-proof", tmp_path / "a.tlog-proof", "--device", device).stdout
    assert "proved: record 14 of the log" in text
    assert "root@console: User eva (Eva) added as operator" in text
    told = json.loads(
        run("check-proof", tmp_path / "a.tlog-proof", "--vkey", batch / "log" / "vkey",
            "--json").stdout
    )  # fmt: skip
    assert (told["index"], told["record"]["event"]) == (14, "account.added")


def test_an_older_checkpoint_is_compared(batch: Path, tmp_path: Path) -> None:
    first = (batch / "log" / "checkpoints").read_bytes().split(b"\n\n")
    (tmp_path / "old").write_bytes(first[0] + b"\n\n" + first[1] + b"\n")
    assert "consistent: the 1 records of then" in run("consistency", batch, tmp_path / "old").stdout


def test_a_log_without_a_batch_is_exported_without_a_report(batch: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no batch was opened"):
        run("report", batch)  # the story never opens one
    said = run("export", batch, "--out", tmp_path / "out").stdout
    assert "19 records, sealed" in said
    assert "without a report: no batch was opened in this log" in said
    assert "No report: no batch was opened" in (tmp_path / "out" / "README.txt").read_text()


def test_a_station_log_is_exported(kept: Path, tmp_path: Path) -> None:
    assert "NOT sealed" in run("export", kept / "station", "--out", tmp_path / "out").stdout
    assert (tmp_path / "out" / "verify.py").is_file()
