"""Signatures at the desk: of whom, for which request, in which meaning, once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from people_bench import LOT, TERMINAL, PeopleDeck, password, refused
from supervisor_bench import S

from controller.people import door
from controller.people.signature import request_digest


@pytest.fixture
def deck(tmp_path):
    return PeopleDeck(tmp_path)


@pytest.fixture
def running(deck):
    deck.started()
    return deck


# -- signatures -------------------------------------------------------------------------------


def test_a_signature_names_who_when_and_in_which_meaning_beside_its_command(deck):
    """UR-13."""
    deck.open()
    answer = deck.by("olivia", "start", signed=("olivia",), expected="Idle", reason="day 0")
    assert answer.accepted
    (given,) = [r for r in deck.in_batch_log() if r["event"] == "signature.given"]
    data = given["data"]
    assert (data["id"], data["user"], data["name"]) == (answer.id, "olivia", "Olivia")
    assert (data["role"], data["meaning"], given["reason"]) == ("operator", "started", "day 0")
    assert data["utc"].endswith("+00:00")
    assert len(data["digest"]) == 64


@pytest.mark.parametrize("change", [
    {"verb": "bypass"}, {"target": "3"}, {"value": "50"}, {"reason": "another"},
    {"expected": "Held"},
])  # fmt: skip
def test_a_signature_does_not_fit_another_request(running, change):
    """UR-13."""
    signed = running.request("sam", "set_flag", "lineup", "1", ("sam", "quinn"), reason="checked",
                             expected="0")  # fmt: skip
    moved = replace(signed, **change)
    answer = running.give(moved)
    assert not answer.accepted
    assert "does not count" in answer.why
    assert running.one_record() == "command.refused"
    assert running.give(signed).accepted


def test_a_signature_given_in_one_batch_does_not_fit_the_next(running):
    signed = running.request("sam", "stop", signed=("sam",), reason="x", expected="Running")
    running.supervisor.orders.standing.batch_id = "B-2"
    refused(running, running.give(signed), "forbidden", "given for another request")


def test_a_signature_is_good_for_one_request_and_for_a_minute(running):
    first = running.request("sam", "set_output", "stirrer", "120", ("sam",), expected="0")
    assert running.give(first).accepted
    refused(running, running.give(first), "forbidden", "used already")
    late = running.request("sam", "set_output", "stirrer", "130", ("sam",), expected="0")
    running.clock.advance_to(running.clock.now_ns + 61 * S)
    late = replace(late, seen_ns=running.clock.now_ns)
    refused(running, running.give(late), "forbidden", "too old")


def test_a_signature_that_the_door_did_not_make_is_refused(running):
    good = running.request("sam", "stop", signed=("sam",), reason="x", expected="Running")
    forged = replace(good.signatures[0], user="sue", name="Sue")
    answer = running.give(replace(good, signatures=(forged,)))
    refused(running, answer, "forbidden", "not given at this station")


@pytest.mark.parametrize(("meaning", "reason", "says"), [
    ("started", "clot", "its meaning is 'started', not 'stopped'"),
    ("", "clot", "its meaning is '', not 'stopped'"),
    ("stopped", "another", "given for another reason"),
])  # fmt: skip
def test_a_signature_in_another_meaning_or_for_another_reason_does_not_count(
    running, meaning, reason, says
):
    """UR-13. What the signer was shown is what is printed beside the name."""
    asked = running.request("sam", "stop", reason="clot", expected="Running")
    digest = request_digest("stop", "procedure", "", "Running", "clot", "B-1")
    done = door.sign(running.people, "sam", password("sam"), meaning, reason, digest, TERMINAL,
                     running.clock.stamp())  # fmt: skip
    answer = running.give(replace(asked, signatures=(done.signature,)))
    refused(running, answer, "forbidden", says)


@pytest.mark.parametrize(("signers", "says"), [
    (("sam", "sam"), "who is another"), (("sue", "sam"), "first signature must be that of sam"),
    (("sam", "olivia"), "a operator may not be the second"),
    (("sam", "ada"), "a admin may not be the second"),
])  # fmt: skip
def test_two_signatures_are_of_two_people_who_may(running, signers, says):
    """UR-13."""
    answer = running.by("sam", "bypass", "2", "60;watched", signers, reason="probe change")
    refused(running, answer, "forbidden", says)


def test_a_bypass_by_two_people_names_the_second_in_its_intent(running):
    assert running.by("sam", "bypass", "2", "60;watched", ("sam", "quinn"), reason="probe").accepted
    assert running.last("command.intent").data["second"] == f"quinn@{TERMINAL}"
    assert [t.data["user"] for t in running.told if t.name == "signature.given"] == ["sam", "quinn"]


def test_the_signature_of_a_user_who_was_disabled_since_does_not_count(running):
    signed = running.request("sam", "bypass", "2", "60;watched", ("sam", "quinn"), reason="probe")
    door.disable_user(running.people, 0, "ada@bench", "admin", "quinn", "left",
                      running.clock.stamp())  # fmt: skip
    refused(running, running.give(signed), "forbidden", "the user is disabled")


def test_an_operator_aborts_with_the_signature_of_a_supervisor_only(running):
    own = running.by("olivia", "abort", signed=("olivia",), reason="clot", expected="Running")
    refused(running, own, "forbidden", "signed by a supervisor")
    both = running.by("olivia", "abort", signed=("sam",), reason="clot", expected="Running")
    assert both.accepted
    assert running.supervisor.procedure_state in ("Aborting", "Aborted")
    asked = running.only()
    assert (asked.actor, asked.data["second"]) == (f"olivia@{TERMINAL}", f"sam@{TERMINAL}")


def test_an_answer_takes_no_signature_unless_its_prompt_asks_for_two_people(running):
    unasked = running.by("olivia", "answer", LOT, "LOT-0001", ("olivia", "sam"))
    refused(running, unasked, "forbidden", "takes no signature")
    assert running.by("olivia", "answer", LOT, "LOT-0001").accepted
    assert running.last("prompt.answered").actor == f"olivia@{TERMINAL}"


def test_an_answer_of_two_people_is_signed_by_both(running, monkeypatch):
    situation = type(running.supervisor.requests)._situation
    monkeypatch.setattr(type(running.supervisor.requests), "_situation",
                        lambda self, request: replace(situation(self, request), people=2))
    alone = running.by("olivia", "answer", LOT, "LOT-0001")
    refused(running, alone, "forbidden", "signatures of two people")
    assert running.by("olivia", "answer", LOT, "LOT-0001", ("olivia", "quinn")).accepted
    assert running.last("prompt.answered").data["second"] == f"quinn@{TERMINAL}"


def test_an_answer_the_recipe_refuses_is_told_with_why_and_has_one_intent(running):
    answer = running.by("olivia", "answer", LOT, "?")
    assert (answer.accepted, answer.kind) == (False, "refused")
    assert "not a code" in answer.why
    assert running.one_record() == "command.intent"
    assert running.last("command.outcome").data["result"] == "refused"
