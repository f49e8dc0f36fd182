"""A command under way when a program dies at the worst instruction: what the record says became of
it, and what field and the wire say.

One station lives through all of them, in this order: first a Held batch, then a running one.
"""

from __future__ import annotations

import signal
import time

import pytest
from door import Door
from field_view import field_of, profile
from harness import S, kill, named, processes, proved, stopped, taken_up, wait_until, writes

from controller.desk import VALID_NS
from controller.field.verbs import Verb

AFTER_VALID_S = VALID_NS / S + 1.0


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    return Door(tmp_path_factory.mktemp("flight") / "door")


@pytest.fixture(scope="module")
def live(handed, tmp_path_factory, door):
    folder = tmp_path_factory.mktemp("station")
    with taken_up(handed, folder, extra=door.environment) as found:
        wait_until(lambda: found.batch_state == "Held", found.words)
        wait_until(lambda: found.named("field.restored"), found.words)
        yield found


def stir(value):
    """A command whose effect is seen on the wire: one write to the stirrer."""
    return {"verb": "set_output", "target": "stirrer", "value": str(value)}


def stirred(live, mark):
    """The stirrer's setpoints on the wire since then."""
    return [value for _, value in writes(live.unit.trace("skid"), "STIRRER_CMD", since_ns=mark)]


def intent_of(live, mark, new):
    """The id of the one command that wanted this."""
    live.wait_record(mark, "command.intent", new=new)
    (found,) = live.since(mark, "command.intent", new=new)
    return found["data"]["id"]


def outcomes(live, number):
    return [(row["data"]["result"], row["data"]["why"]) for row in live.named("command.outcome")
            if row["data"]["id"] == number]  # fmt: skip


def results(live, mark):
    """Outcomes since then by command."""
    return {row["data"]["id"]: row["data"]["result"] for row in live.since(mark, "command.outcome")}


def came_back(live, before, mark):
    """Another supervisor took the batch up, and said so."""
    wait_until(lambda: processes(live.token, "controller.cli.supervise")[-1:] not in ([], [before]),
               "no new supervisor")  # fmt: skip
    return live.wait_record(mark, "batch.attached", 60.0)


def test_killed_between_intent_and_hand_over_it_is_not_delivered_and_nothing_moves(live, door):
    mark, before = time.monotonic_ns(), live.supervisor
    door.die("before", "set_output")
    door.ask(stir(181))
    came_back(live, before, mark)
    number = intent_of(live, mark, "181")
    wait_until(lambda: outcomes(live, number), live.words)
    assert outcomes(live, number) == [("not_delivered", "field was never given it")]
    assert stirred(live, mark) == []


def test_killed_between_hand_over_and_outcome_it_is_found_applied_exactly_once(live, door):
    mark, before = time.monotonic_ns(), live.supervisor
    door.die("after", "set_output")
    door.ask(stir(182))
    came_back(live, before, mark)
    number = intent_of(live, mark, "182")
    wait_until(lambda: outcomes(live, number), live.words)
    time.sleep(2.0)
    assert outcomes(live, number) == [("applied", "")]
    (outcome,) = [row for row in live.since(mark, "command.outcome")
                  if row["data"]["id"] == number]  # fmt: skip
    assert outcome["source"].split(".")[:2] == [str(live.beats().generation), "e"]
    assert stirred(live, mark) == [182.0]


def test_stopped_beyond_its_validity_field_refuses_it_as_late(live, door):
    mark, supervisor = time.monotonic_ns(), live.supervisor
    door.die("stop", "set_output")
    door.ask(stir(183))
    wait_until(lambda: door.taken("die"), "it was not handed over")
    time.sleep(AFTER_VALID_S)
    kill(supervisor, signal.SIGCONT)
    number = intent_of(live, mark, "183")
    wait_until(lambda: outcomes(live, number), live.words)
    assert outcomes(live, number) == [("refused", "it came too late")]
    assert stirred(live, mark) == []
    assert live.supervisor == supervisor


def test_an_id_that_was_applied_is_refused_when_it_comes_again(live):
    mark = time.monotonic_ns()
    (first,) = [row["data"]["id"] for row in live.named("command.intent", new="182")]
    found = field_of(live.state)
    with stopped(live.supervisor):  # the ring has one writer
        last = int(found.board.image.head["last_command_id"][0])
        target = profile().outputs.index("stirrer")
        until = time.monotonic_ns() + VALID_NS
        for number in (first, last):
            assert found.board.command(number, int(Verb.SET_OUTPUT), target, 184.0, until)
        time.sleep(0.5)
    found.region.close()
    wait_until(lambda: ("refused", "it was applied before") in outcomes(live, first), live.words)
    time.sleep(1.0)
    assert outcomes(live, first) == [("applied", ""), ("refused", "it was applied before")]
    assert stirred(live, mark) == []


@pytest.mark.parametrize("nth", [1, 2])
def test_the_recipes_commands_that_were_never_handed_over_are_decided_afresh(live, door, nth):
    if live.batch_state == "Running":
        door.ask({"verb": "hold"})
        wait_until(lambda: live.batch_state == "Held", live.words)
    door.reset_all(live)
    mark, before = time.monotonic_ns(), live.supervisor
    door.die("before", actor="recipe", nth=nth)
    door.ask({"verb": "restart"})
    attached = came_back(live, before, mark)
    wait_until(lambda: live.batch_state == "Running", live.words, 60.0)
    wait_until(lambda: live.unit.drives()["perfusate_rpm"] > 0, live.words)
    given = {row["data"]["id"]: (row["data"]["verb"], row["data"]["target"], row["data"]["new"])
             for row in live.since(mark, "command.intent") if row["actor"] == "recipe"}  # fmt: skip
    wait_until(lambda: given.keys() <= results(live, mark).keys(), live.words)
    came = results(live, mark)
    lost = [number for number in given if came[number] == "not_delivered"]
    assert lost
    assert {came[number] for number in given} == {"applied", "not_delivered"}
    for number in lost:
        afresh = [each for each in given if each > number and given[each] == given[number]]
        assert any(came[each] == "applied" for each in afresh), given[number]
    assert attached["data"]["state"] == "Restarting"


def test_in_the_ring_of_a_field_that_dies_before_it_applies_it_is_unknown_and_the_batch_held(
    live, door
):
    mark, field = time.monotonic_ns(), live.field
    stood = live.unit.drives()["stirrer_rpm"]
    found = field_of(live.state)
    kill(field, signal.SIGSTOP)
    door.ask(stir(185))
    head = found.board.image.head
    wait_until(lambda: waiting(found), "it was not handed over")
    kill(field)
    number = unknown_and_held(live, field, mark, "185")
    found.board.refresh()
    assert head["last_command_id"][0] < number
    found.region.close()
    assert stirred(live, mark) in ([], [stood])
    assert live.unit.drives()["stirrer_rpm"] == stood


def test_applied_by_a_field_that_dies_before_it_answers_it_is_unknown_and_not_tried_again(
    live, door
):
    wait_until(lambda: live.named("field.restored")[1:], live.words)
    mark, field = time.monotonic_ns(), live.field
    stood = live.unit.drives()["stirrer_rpm"]
    found = field_of(live.state)
    quiet(found)
    door.wish("answer", True)
    wait_until(lambda: door.said("armed"), "field was not armed")
    door.ask(stir(186))
    number = unknown_and_held(live, field, mark, "186")
    head = found.board._head[0]  # as field left it, in the middle of a scan
    assert head["last_command_id"] == number
    assert head["command_tail"] == head["command_head"] - 1
    found.region.close()
    assert "SIGSEGV" in live.output.read_text()
    time.sleep(2.0)
    assert 186.0 not in stirred(live, mark)
    assert live.unit.drives()["stirrer_rpm"] == stood
    assert live.supervisor
    live.kill_everything()
    proved(live.state)


def waiting(found):
    """Whether a command waits in the ring of a field."""
    head = found.board._head[0]
    return head["command_head"] > head["command_tail"]


def quiet(found):
    """Waits until field has had nothing to say for two seconds."""
    head, since = found.board.events_ready, time.monotonic()
    while time.monotonic() - since < 2.0:
        if found.board.events_ready != head:
            head, since = found.board.events_ready, time.monotonic()
        time.sleep(0.05)


def unknown_and_held(live, field, mark, new):
    """The outcome of a command in a dead field; its id."""
    live.wait_record(mark, "field.restarted", 60.0)
    assert live.field != field
    number = intent_of(live, mark, new)
    wait_until(lambda: outcomes(live, number), live.words)
    assert outcomes(live, number) == [("unknown", "field was restarted")]
    wait_until(lambda: live.batch_state == "Held", live.words)
    restored = live.wait_record(mark, "field.restored", 60.0)
    assert restored["data"]["refused"] == ""
    assert outcomes(live, number) == [("unknown", "field was restarted")]
    assert len(named(live.rows(), "command.intent", new=new)) == 1
    return number
