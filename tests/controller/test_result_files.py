"""Results of an instrument at the desk: kept, answered, refused; on the shipped unit."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from people_bench import PeopleDeck, refused

from controller.core.yamltext import parse
from controller.recipe.model import OfferModel
from controller.recipe.offer import compile_offer
from controller.record.verify import verify
from controller.script import NoHands, ScriptedOperator, load_script
from controller.station import BatchOrder

HEAD = "sample,analyte,value,unit,instrument,serial,time,operator"
S = "u/o/sample"
UNIT = """
variables:
  vcd: {dimension: cell_density}
  expected: {dimension: cell_density}
  viability: {dimension: fraction}
  glucose: {dimension: concentration}
phases:
  - id: sample
    running:
      - text: Model
        set: {expected: 10e6 /mL}
      - prompt: {kind: sample, id: vcd, text: Count, into: vcd, unit: 1e6/mL,
                 low: 0.1e6 /mL, high: 100e6 /mL, predicted: expected}
      - prompt: {kind: sample, id: viability, text: Viability, into: viability, unit: "%",
                 low: 0 %, high: 100 %}
      - prompt: {kind: confirm, id: shaken, text: Shake}
      - prompt: {kind: sample, id: glucose, text: Glucose, into: glucose, unit: mM,
                 low: 0 mM, high: 60 mM}
"""
RECIPE = """
recipe: small
version: "1"
title: Small
unit: perfusion_2l
unit_version: "1"
controls: [{control: viable, of: viability, low: 70 %, outside: [retest, hold]}]
procedure:
  - unit_procedure: u
    operations:
      - operation: o
        phases: [{phase: sample}]
"""


@pytest.fixture
def deck(tmp_path: Path) -> PeopleDeck:
    """A batch that waits for a count."""
    found = PeopleDeck(tmp_path)
    document = parse(UNIT.encode(), "unit.yaml")
    station = found.station
    station.offer = compile_offer(document.validate(OfferModel), document, "perfusion_2l",
                                  station.offer.equipment)  # fmt: skip
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    order = BatchOrder("B-1", "engineering", "PSN-1", "LOT-1")
    station.open_batch(station.load_recipe(path), path, order, found.clock.stamp())
    found.run(2)
    assert found.by("olivia", "start", signed=("olivia",), expected="Idle").accepted
    found.run(1)
    assert waiting(found) == ["vcd"]
    return found


def waiting(deck: PeopleDeck) -> list[str]:
    return [prompt.rpartition(".")[2] for prompt in deck.supervisor.state.prompts]


def file(deck: PeopleDeck, *results: str) -> bytes:
    """A file measured now; each result is `vcd,9.5,1e6/mL`."""
    time = deck.clock.stamp().rfc3339()
    rows = [f"B-1/sample,{result},counter,SN 7,{time},olivia" for result in results]
    return "\n".join((HEAD, *rows)).encode()


def records(deck: PeopleDeck, name: str) -> list[dict]:  # type: ignore[type-arg]
    return [row for row in deck.in_batch_log() if row["event"] == name]


def test_a_file_answers_one_prompt_after_the_other_and_is_kept_with_the_batch(
    deck: PeopleDeck,
) -> None:
    data = file(deck, "viability,93,%", "vcd,9.5,1e6/mL", "glucose,8,mM")
    answer = deck.by("olivia", "result_file", "counts.csv", file=data)
    assert answer.accepted, answer
    assert waiting(deck) == ["shaken"]
    digest = hashlib.sha256(data).hexdigest()
    intent = records(deck, "command.intent")[-1]
    assert (intent["data"]["target"], intent["data"]["new"]) == ("counts.csv", digest)
    stored = records(deck, "blob.stored")[-1]["data"]
    assert (stored["name"], stored["sha256"]) == ("result counts.csv", digest)
    log = deck.station.state_dir.batch_log("B-1")
    assert (log / stored["file"]).read_bytes() == data
    samples = records(deck, "sample.recorded")
    assert [(row["data"]["name"], row["data"]["value"]) for row in samples] == [
        ("vcd", "9.5"), ("viability", "93"),
    ]  # fmt: skip
    assert all(digest in row["data"]["source"] for row in samples)
    assert "counts.csv line 3, counter SN 7" in samples[0]["data"]["source"]
    assert {row["actor"] for row in samples} == {"olivia@bench"}
    assert records(deck, "command.outcome")[-1]["data"]["why"] == "vcd, viability taken"
    assert deck.by("olivia", "answer", f"{S}.shaken", "yes").accepted
    assert deck.by("olivia", "result_file", "counts.csv", file=data).accepted
    assert deck.supervisor.procedure_state == "Complete"
    assert list(verify(log, expect_sealed=False).problems) == []


def test_a_file_whose_results_nobody_asks_for_now_is_refused(deck: PeopleDeck) -> None:
    answer = deck.by("olivia", "result_file", "g.csv", file=file(deck, "glucose,8,mM"))
    refused(deck, answer, "refused", "none of its results is asked for now")
    assert "vcd of B-1/sample" in answer.why
    assert "result g.csv" not in [row["data"]["name"] for row in records(deck, "blob.stored")]


def test_a_file_that_is_bad_in_one_line_changes_nothing(deck: PeopleDeck) -> None:
    before = deck.supervisor.state
    data = file(deck, "vcd,9.5,1e6/mL", "viability,93,mM")
    answer = deck.by("olivia", "result_file", "counts.csv", file=data)
    refused(deck, answer, "bad_input", "is needed here")
    assert deck.supervisor.state is before
    answer = deck.by("olivia", "result_file", "../../counts.csv", file=data)
    refused(deck, answer, "bad_input", "not the name of a file")


def test_an_implausible_result_is_handed_in_again_with_a_second_person(deck: PeopleDeck) -> None:
    data = file(deck, "vcd,30,1e6/mL", "viability,93,%")
    answer = deck.by("olivia", "result_file", "counts.csv", file=data)
    assert not answer.accepted
    assert "again with a second person, 30 1e6/mL is far from what was expected" in answer.why
    assert waiting(deck) == ["vcd"]
    alone = deck.by("olivia", "result_file", "counts.csv", file=data)
    assert "second person" in alone.why
    assert waiting(deck) == ["vcd"]
    digest = hashlib.sha256(data).hexdigest()
    blind = deck.by("olivia", "result_file", "counts.csv", file=data, signed=("olivia", "quinn"))
    refused(deck, blind, "bad_input", "its SHA-256 is another")
    answer = deck.by("olivia", "result_file", "counts.csv", digest, file=data,
                     signed=("olivia", "quinn"))  # fmt: skip
    assert answer.accepted, answer
    assert records(deck, "prompt.answered")[0]["data"]["second"] == "quinn@bench"
    assert waiting(deck) == ["shaken"]


def test_a_result_that_is_not_acceptable_is_said_and_the_same_file_does_not_help(
    deck: PeopleDeck,
) -> None:
    data = file(deck, "vcd,9.5,1e6/mL", "viability,60,%")
    answer = deck.by("olivia", "result_file", "counts.csv", file=data)
    assert not answer.accepted
    assert answer.why == "only vcd taken; viability: viable: 60 %, limits at least 70 %"
    assert records(deck, "command.outcome")[-1]["data"]["result"] == "applied"
    deck.run(5)
    again = deck.by("olivia", "result_file", "counts.csv", file=data)
    refused(deck, again, "bad_input", "has to be measured anew")
    newer = deck.by("olivia", "result_file", "c2.csv", file=file(deck, "viability,61,%"))
    assert "61 %" in newer.why
    deck.run(1)
    assert deck.supervisor.procedure_state == "Held"


SCRIPT = """
by: bo
answers:
  - {prompt: "*.viability", answer: "61", after: 5 s, repeat: 3}
  - {prompt: "*.shaken", answer: "yes", after: 5 s}
orders:
  - {at: 3 s, request: result_file, target: counts.csv, file: counts.csv}
  - {at: 4 s, request: result_file, target: none.csv, file: none.csv}
recovery: {reset_after: 5 s, restart_after: 10 s, reason: looked at it}
"""


def test_a_scripted_operator_hands_in_a_file_and_measures_again(
    deck: PeopleDeck, tmp_path: Path
) -> None:
    (tmp_path / "script.yaml").write_text(SCRIPT)
    (tmp_path / "counts.csv").write_bytes(file(deck, "vcd,9.5,1e6/mL"))
    operator = ScriptedOperator(load_script(tmp_path / "script.yaml"), deck.supervisor, NoHands(),
                                deck.clock.now_ns)  # fmt: skip
    for _ in range(60):
        deck.run(1)
        operator.act(deck.clock.stamp())
    answered = [row["data"]["value"] for row in records(deck, "prompt.answered")]
    assert answered == ["9.5 1e6/mL"]
    assert "it holds no results" in records(deck, "command.refused")[-1]["data"]["why"]
    assert [row["data"]["then"] for row in records(deck, "control.result")] == [
        "retest", "hold", "hold", "hold",
    ]  # fmt: skip


def test_who_may_not_answer_may_not_hand_in_a_file(deck: PeopleDeck) -> None:
    data = file(deck, "vcd,9.5,1e6/mL")
    for user in ("quinn", "emil", "ada", ""):
        answer = deck.by(user, "result_file", "counts.csv", file=data)
        assert answer.kind in ("forbidden", "unauthenticated"), user
    assert waiting(deck) == ["vcd"]


def test_a_signed_digest_must_be_that_of_the_file(deck: PeopleDeck) -> None:
    data = file(deck, "vcd,9.5,1e6/mL")
    answer = deck.by("olivia", "result_file", "counts.csv", "0" * 64, file=data)
    refused(deck, answer, "bad_input", "its SHA-256 is another")
    digest = hashlib.sha256(data).hexdigest()
    assert deck.by("olivia", "result_file", "counts.csv", digest, file=data).accepted


def test_no_disk_no_result(deck: PeopleDeck) -> None:
    data = file(deck, "vcd,9.5,1e6/mL")
    deck.disk.full = True
    answer = deck.by("olivia", "result_file", "counts.csv", file=data)
    assert not answer.accepted
    assert deck.supervisor.failed
    assert waiting(deck) == ["vcd"]
