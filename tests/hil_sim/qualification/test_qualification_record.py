"""Runs are added and never replaced; a reviewer is another person; what is missing is said."""

import json
import re

import pypdfium2
import pytest

from controller.core.clock import RealClock
from controller.core.errors import BadInput, RecordFailure, Refused
from controller.record.verify import verify
from hil_sim.qualification import record
from hil_sim.qualification.matrix import matrix
from hil_sim.qualification.plugin import Plugin
from hil_sim.qualification.report import write_report
from hil_sim.qualification.runner import Order, all_cases, execute, required

UNIT = "perfusion_2l"


def order(out, **more):
    return Order("iq", UNIT, out, more.pop("by", "Erin Executor"), more.pop("select", "smoke"),
                 **more)  # fmt: skip


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Two runs of four cases that need no unit."""
    out = tmp_path_factory.mktemp("iq")
    results = [execute(order(out), RealClock(), lambda text: None) for _ in range(2)]
    return out, results


def ids():
    return [case.id for case in all_cases("iq", required(UNIT))]


def test_a_second_run_is_added_and_the_first_stays(executed):
    out, results = executed
    assert [r.run for r in results] == ["IQ-R01", "IQ-R02"]
    assert all(r.good for r in results)
    history = record.read_history(out)
    assert [len(run.executed) for run in history.runs] == [4, 4]
    assert verify(out / "log", expect_sealed=False, deep=True).kind == "qualification"
    assert {p.name for p in (out / "runs").iterdir()} == {"IQ-R01.json", "IQ-R02.json"}


def test_evidence_is_kept_under_its_digest_and_named_in_the_protocol(executed):
    out, _ = executed
    done = record.read_history(out).latest("iq")["IQ-PROFILE"]
    measures = [m for step in done["steps"] for m in step["measurements"]]
    kept = [e for m in measures for e in m["evidence"]]
    assert {e["name"] for e in kept} == {"profile", "requirements"}
    assert all((out / "log" / "blobs" / f"sha256-{e['sha256']}").is_file() for e in kept)


def test_who_executed_cannot_review_however_the_name_is_spelt(executed):
    out, _ = executed
    size = len(list(record.read_history(out).reviews))
    spelt = ("Erin Executor", "erin executor", "unverified:ERIN-EXECUTOR@desk", " Erin Executor ")
    for name in spelt:
        with pytest.raises(Refused, match="cannot review"):
            record.review(out, RealClock(), "iq", name, record.REJECTED, "looked", ids())
    with pytest.raises(BadInput, match="reason"):
        record.review(out, RealClock(), "iq", "Rita", record.REJECTED, " ", ids())
    with pytest.raises(Refused, match="Not run is not pass"):
        record.review(out, RealClock(), "iq", "Rita", record.ACCEPTED, "looked", ids())
    assert len(record.read_history(out).reviews) == size


def test_a_review_by_another_person_is_recorded_with_its_reason(executed):
    out, _ = executed
    record.review(out, RealClock(), "iq", "Rita", record.REJECTED, "not complete", ids())
    last = record.read_history(out).reviews[-1]
    assert (last["by"], last["verdict"], last["reason"]) == ("Rita", "rejected", "not complete")


def test_an_incomplete_report_says_so_on_every_page_and_is_the_same_twice(executed):
    out, _ = executed
    data, pdf = write_report(out, "iq", UNIT)
    before = pdf.read_bytes()
    write_report(out, "iq", UNIT)
    assert pdf.read_bytes() == before
    assert json.loads(data.read_bytes())["counts"]["not run"] == len(ids()) - 4
    document = pypdfium2.PdfDocument(before)
    for number in range(len(document)):
        text = document[number].get_textpage().get_text_range()
        assert "SIMULATED" in text
        assert "INCOMPLETE" in text
        assert f"Page {number + 1} of {len(document)}" in text


def test_no_requirement_and_no_case_is_an_orphan(executed):
    lines, orphans = matrix(executed[0], UNIT)
    assert orphans == []
    assert sum("not run" in line for line in lines) > 50


def test_an_orphan_on_either_side_fails_the_matrix(executed, tmp_path):
    text = (record.Path(__file__).parents[3] / "docs/requirements/perfusion_2l.yaml").read_text()
    path = tmp_path / "required.yaml"
    line = '  - {id: SR-NEW, traces: [UR-13], title: "Nobody tests this"}\n'
    path.write_text(text.replace("  - {id: SR-CLOCK, traces: [UR-16], title: What disciplines the "
                                 "wall clock is known and on record}\n", line))  # fmt: skip
    _, orphans = matrix(executed[0], UNIT, path)
    assert any("SR-NEW" in words and "no case" in words for words in orphans)
    assert any("IQ-CLOCK" in words and "nobody required" in words for words in orphans)


def test_a_changed_byte_stops_everything_that_reads_the_record(executed, tmp_path):
    import shutil

    out = tmp_path / "copy"
    shutil.copytree(executed[0], out)
    segment = out / "log" / "segments" / "00000000.seg"
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(bytes(data))
    for act in (lambda: write_report(out, "iq", UNIT), lambda: record.read_history(out),
                lambda: execute(order(out), RealClock(), lambda text: None)):  # fmt: skip
        with pytest.raises(RecordFailure, match="not whole"):
            act()


def test_an_interrupted_run_goes_on_with_what_is_left(tmp_path, monkeypatch):
    out = tmp_path / "iq"
    verdict = Plugin._verdict

    def dies(self, item, outcome, why):
        verdict(self, item, outcome, why)
        if len(self.given.verdicts) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Plugin, "_verdict", dies)
        result = execute(order(out), RealClock(), lambda text: None)
    assert len(result.verdicts) == 2
    assert len(result.not_run) == 2
    assert not result.good
    with pytest.raises(Refused, match="was begun by"):
        execute(order(out, by="Somebody Else", resume=True), RealClock(), lambda text: None)
    rest = execute(order(out, resume=True), RealClock(), lambda text: None)
    assert (rest.run, len(rest.verdicts), rest.good) == ("IQ-R01", 4, True)
    with pytest.raises(Refused, match="no IQ run was interrupted"):
        execute(order(out, resume=True), RealClock(), lambda text: None)
    assert re.fullmatch(r"\S+T\S+", record.read_history(out).runs[0].ended)


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "---", "x" * 200])
def test_a_run_needs_the_name_of_a_person(tmp_path, name):
    with pytest.raises(BadInput, match="no name"):
        execute(order(tmp_path / "iq", by=name), RealClock(), lambda text: None)
    assert not (tmp_path / "iq").exists()
