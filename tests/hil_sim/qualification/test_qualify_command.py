"""The program as a validation engineer types it: a part executed, the record proved, the report."""

import contextlib
import io
import json
import sys
from pathlib import Path
from unittest import mock

import pypdfium2
import pytest

from controller.cli.app import main


def cellwright(*words):
    """Exit status and what was said."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["cellwright", *map(str, words)]),
        contextlib.redirect_stdout(out), contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):  # fmt: skip
        main()
    return ended.value.code, out.getvalue() + err.getvalue()


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    """One case of OQ, executed in virtual time by the command."""
    out = tmp_path_factory.mktemp("oq") / "q"
    words = ("qualify", "oq", "run", "--unit", "perfusion_2l", "--out", out, "--by", "Erin",
             "--select", "OQ-INT-2", "--wire")  # fmt: skip
    return out, cellwright(*words)


def test_a_part_that_passed_is_said_with_where_its_record_is(part):
    out, (status, said) = part
    assert status == 0, said
    assert "OQ-INT-2                 pass" in said
    assert f"OQ-R01: 1 of 1 passed, 0 not run; record in {out / 'log'}" in said


def test_its_log_is_whole_while_it_is_open_as_a_stations_is(part):
    status, said = cellwright("log", "verify", part[0] / "log", "--deep")
    assert status == 0, said
    assert said.startswith("whole: qualification log")
    assert ", open, root " in said


def test_the_report_of_an_incomplete_oq_is_made_and_marked_incomplete(part):
    status, said = cellwright("qualify", "oq", "report", "--unit", "perfusion_2l", "--out", part[0])
    assert status == 0, said
    data, pdf = map(Path, said.split())
    counts = json.loads(data.read_bytes())["counts"]
    assert counts["pass"] == 1
    assert counts["not run"] >= 90
    document = pypdfium2.PdfDocument(pdf)
    pages = [document[n].get_textpage().get_text_range() for n in range(len(document))]
    assert all("SIMULATED · INCOMPLETE" in page for page in pages)
    assert f"{counts['not run']} of {counts['not run'] + 1} cases have no result" in pages[0]


def test_the_matrix_of_an_incomplete_qualification_has_no_orphan(part):
    status, said = cellwright("qualify", "matrix", "--unit", "perfusion_2l", "--out", part[0])
    assert status == 0, said
    assert said.splitlines()[-1].startswith("pass 1, fail 0, not run ")
    assert said.endswith("orphans 0\n")


def test_nobody_accepts_what_is_not_complete_and_nothing_is_recorded(part):
    before = cellwright("log", "show", part[0] / "log")[1]
    status, said = cellwright("qualify", "oq", "review", "--unit", "perfusion_2l", "--by", "Rita",
                              "--reason", "looked", "--out", part[0])  # fmt: skip
    assert status == 1
    assert "cannot be accepted" in said
    assert cellwright("log", "show", part[0] / "log")[1] == before


def test_a_report_of_nothing_is_refused_in_words(tmp_path):
    status, said = cellwright("qualify", "oq", "report", "--unit", "perfusion_2l", "--out",
                              tmp_path / "none")  # fmt: skip
    assert status == 2
    assert "nothing was executed here" in said
