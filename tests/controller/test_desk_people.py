"""The desk with people: who may ask, what may be typed, what is told once it is durable."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from people_bench import TERMINAL, PeopleDeck, password, refused
from supervisor_bench import S

from controller.asking import REASON_MAX, Busy, Malformed, Request
from controller.opening import Opening
from controller.people import door
from controller.record.entry import read_records
from controller.units import find_recipe


@pytest.fixture
def deck(tmp_path):
    return PeopleDeck(tmp_path)


@pytest.fixture
def running(deck):
    deck.started()
    return deck


# -- who --------------------------------------------------------------------------------------


def test_without_a_log_in_nothing_but_hold_is_taken(running):
    refused(running, running.by("", "acknowledge", "unit:hold"), "unauthenticated", "nobody is")
    told = running.last("command.refused")
    assert (told.actor, told.role) == (f"unidentified person@{TERMINAL}", "nobody")
    assert running.by("", "hold").accepted


def test_what_a_screen_says_about_actor_and_role_is_not_looked_at(running):
    forged = replace(running.request("aud", "stop", reason="x", expected="Running"),
                     actor="sam@bench", role="supervisor", second="sue@bench")  # fmt: skip
    refused(running, running.give(forged), "forbidden", "auditor may not stop")
    assert running.last("command.refused").actor == f"aud@{TERMINAL}"


def test_the_session_of_a_disabled_user_is_refused_though_its_page_is_still_open(running):
    request = running.request("oscar", "set_sp", "TIC101", "36", expected="33")
    door.disable_user(running.people, 0, "ada@bench", "admin", "oscar", "left",
                      running.clock.stamp())  # fmt: skip
    refused(running, running.give(request), "unauthenticated", "nobody is logged in")


def test_an_idle_session_shows_and_no_longer_commands_but_holds(running):
    running.clock.advance_to(running.clock.now_ns + 601 * S)
    running._sample()
    refused(running, running.by("olivia", "acknowledge", "x"), "unauthenticated", "only shows")
    running.told.clear()
    assert running.by("olivia", "hold").accepted
    assert running.only().actor == f"olivia@{TERMINAL}"


def test_a_console_of_a_station_with_accounts_may_only_hold_and_is_nobody(running):
    asked = Request("stop", actor="unverified:root@station", reason="x")
    refused(running, running.give(asked), "unauthenticated", "this station has accounts")
    assert running.give(Request("hold", actor="unverified:root@station")).accepted
    assert running.only().role == "nobody"
    assert "unverified:root@station" in running.only().actor


def test_a_script_is_recorded_as_unverified_whatever_role_it_claims(running):
    asked = Request("acknowledge", "unit:hold", "", "unverified:op@station", "qa", origin="script")
    running.give(asked)
    assert running.last("command.refused").role == "unverified"


def test_who_is_refused_is_in_the_station_log_and_what_is_refused_in_that_of_the_batch(running):
    """UR-13."""
    running.by("aud", "stop", reason="not mine", expected="Running")
    running.by("sam", "stop", reason="mine", expected="Held", signed=("sam",))
    station = [r for r in running.in_station_log() if r["event"] == "command.refused"]
    batch = [r for r in running.in_batch_log() if r["event"] == "command.refused"]
    assert [r["reason"] for r in station] == ["not mine"]
    assert [r["reason"] for r in batch] == ["mine"]


# -- what is typed ----------------------------------------------------------------------------


def test_a_signature_with_a_wrong_password_is_recorded_and_locks_like_a_log_in(running):
    """UR-14."""
    records = []
    for _ in range(5):
        running.clock.advance_to(running.clock.now_ns + 10 * S)
        done = door.sign(running.people, "sam", "wrong", "<b>stopped</b>", "x", "0" * 64, TERMINAL,
                         running.clock.stamp())  # fmt: skip
        assert done.signature is None
        records += done.events
    assert [e.name for e in records] == ["signature.refused"] * 5 + ["account.locked"]
    assert records[0].data["meaning"] == "<b>stopped</b>"
    done = door.sign(running.people, "sam", password("sam"), "stopped", "x", "0" * 64, TERMINAL,
                     running.clock.stamp())  # fmt: skip
    assert (done.kind, done.signature) == ("locked", None)


def test_html_in_a_reason_is_recorded_as_the_text_it_is(running):
    text = "<script>alert('x')</script> <b>&amp;"
    assert running.by("sam", "bypass", "2", "60;watched", ("sam", "sue"), reason=text).accepted
    (intent,) = [r for r in running.in_batch_log() if r["event"] == "command.intent"
                 and r["data"]["verb"] == "bypass"]  # fmt: skip
    assert intent["reason"] == text


@pytest.mark.parametrize("field", ["reason", "value", "target", "expected", "station", "session"])
@pytest.mark.parametrize("text", ["a\x00b", "a\nb", "\x1b[2J", "\u202e", "\ud800", "x" * 1_000_000])
def test_control_characters_and_a_megabyte_do_not_pass_the_door(deck, field, text):
    with pytest.raises(Malformed):
        deck.supervisor.desk.ask(replace(deck.request("sam", "reset", "2"), **{field: text}))
    deck.told.clear()
    deck.run(1)
    assert deck.told == []
    assert deck.supervisor.desk.requests == 0


def test_the_longest_reason_is_recorded_whole(running):
    reason = "é" * REASON_MAX
    assert running.by("sam", "bypass", "2", "60;watched", ("sam", "sue"), reason=reason).accepted
    assert running.last("command.intent").reason == reason


# -- told when durable ------------------------------------------------------------------------


def test_an_answer_is_told_only_when_its_record_is_on_the_disk(running):
    """UR-14."""
    found = []

    def told(answer):
        records = read_records(running.station.state_dir.batch_log("B-1"))
        found.extend(r for r in records if r["event"] == "command.intent"
                     and r["data"]["id"] == answer.id)  # fmt: skip

    request = running.request("olivia", "set_sp", "TIC101", "36", expected="33")
    running.supervisor.desk.ask(request, told)
    assert found == []
    running.supervisor.tick(running.clock.stamp())
    assert [r["actor"] for r in found] == [f"olivia@{TERMINAL}"]


def test_a_full_disk_turns_what_was_accepted_into_a_refusal_and_a_hold_stays_one(running):
    running.disk.full = True
    answer = running.by("olivia", "set_sp", "TIC101", "36", expected="33")
    assert (answer.accepted, answer.kind) == (False, "refused")
    assert "log cannot be written" in answer.why
    assert running.out("heater") >= 0
    after = running.by("olivia", "acknowledge", "unit:hold")
    assert not after.accepted


def test_a_hold_is_taken_while_the_log_is_down(deck):
    deck.started()
    deck.supervisor.failed = "no space"
    assert deck.by("", "hold").accepted


def test_records_about_people_go_to_the_station_log_while_a_batch_is_open(running):
    heard = []
    done = door.log_in(running.people, "quinn", password("quinn"), "", "desk 2",
                       running.clock.stamp())  # fmt: skip
    running.supervisor.desk.report(done.events, heard.append)
    assert heard == []
    running.supervisor.tick(running.clock.stamp())
    assert heard == [True]
    assert [r["data"]["station"] for r in running.in_station_log()
            if r["event"] == "session.opened"][-1] == "desk 2"  # fmt: skip
    assert not [r for r in running.in_batch_log() if r["event"].startswith("session.")]


def test_a_locked_account_is_an_alarm_that_everybody_sees(running):
    for _ in range(5):
        running.clock.advance_to(running.clock.now_ns + 10 * S)
        done = door.log_in(running.people, "aud", "wrong", "", TERMINAL, running.clock.stamp())
        running.supervisor.desk.report(done.events)
    running.told.clear()
    running.supervisor.tick(running.clock.stamp())
    assert running.last("account.locked").data["user"] == "aud"
    assert running.supervisor.alarms.all["account:aud"].priority == "high"


def test_a_face_that_fails_when_it_is_told_does_not_stop_the_tick(running):
    def told(answer):
        raise RuntimeError("the loop is closed")

    running.supervisor.desk.ask(running.request("olivia", "hold"), told)
    assert running.by("sam", "set_sp", "TIC101", "36", expected="33").accepted
    assert running.last("face.lost").data["why"] == "'RuntimeError: the loop is closed'"


def test_requests_from_many_threads_are_each_answered_once(running):
    heard, full, guard = [], [], threading.Lock()

    def ask(number):
        for count in range(20):
            reason = f"{number}.{count}"
            request = running.request("olivia", "set_sp", "TIC101", "36", reason=reason,
                                      expected="0")  # fmt: skip
            try:
                running.supervisor.desk.ask(request, lambda answer: heard.append(answer))
            except Busy:
                with guard:
                    full.append(number)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) or running.supervisor.desk.requests:
        running.supervisor.tick(running.clock.stamp())
    assert len(heard) + len(full) == 120
    reasons = [t.reason for t in running.told if t.name in ("command.intent", "command.refused")
               and t.actor == f"olivia@{TERMINAL}" and "." in t.reason]  # fmt: skip
    assert len(reasons) == len(set(reasons)) == len(heard)


# -- accounts and batches through the desk ------------------------------------------------------


def test_a_user_is_added_by_intent_work_and_outcome_all_in_the_station_log(running):
    answer = running.by("ada", "user_add", "nora", "operator;Nora Night")
    assert answer.accepted
    assert running.people.accounts.find("nora") is None
    done = door.add_user(running.people, answer.id, f"ada@{TERMINAL}", "admin", "nora",
                         "Nora Night", "operator", running.clock.stamp())  # fmt: skip
    running.supervisor.desk.report(done.events)
    running.supervisor.tick(running.clock.stamp())
    rows = [r for r in running.in_station_log() if r["data"].get("id") == answer.id
            or r["event"] == "account.added"]  # fmt: skip
    assert [r["event"] for r in rows] == ["command.intent", "account.added", "command.outcome"]
    assert done.password not in str(running.in_station_log())
    again = running.by("ada", "user_add", "nora", "operator;Nora")
    refused(running, again, "refused", "never given again")


@pytest.mark.parametrize(("user", "value", "says"), [
    ("x", "operator;X", "cannot be the id"), ("recipe", "operator;X", "cannot be the id"),
    ("n@home", "operator;X", "cannot be the id"), ("nora", "king;Nora", "unknown role"),
])  # fmt: skip
def test_an_account_nobody_can_have_is_refused_before_it_is_intended(deck, user, value, says):
    refused(deck, deck.by("ada", "user_add", user, value), "bad_input", says)


def test_a_batch_is_opened_from_a_screen_signed_and_recorded_before_it_is(deck):
    opened = []
    deck.supervisor.requests.opener = Opening(
        deck.station, "engineering", lambda: {"car_t_perfusion": find_recipe("car_t_perfusion")},
        lambda stamp, recipe: "B-1", list, opened.append,
    )  # fmt: skip
    answer = deck.by("olivia", "open_batch", "car_t_perfusion", "LOT-1;PSN-7", ("olivia",))
    assert answer.accepted
    assert opened == ["B-1"]
    header = deck.in_batch_log()[1]
    assert (header["event"], header["actor"]) == ("batch.opened", f"olivia@{TERMINAL}")
    assert (header["data"]["identity"], header["data"]["set_lot"]) == ("PSN-7", "LOT-1")
    assert header["data"]["rights"] == deck.people.rights.digest
    rows = [r["event"] for r in deck.in_station_log() if r["data"].get("id") == answer.id]
    assert rows == ["command.intent", "signature.given", "command.outcome"]
    twice = deck.by("olivia", "open_batch", "car_t_perfusion", "LOT-1;PSN-7", ("olivia",))
    refused(deck, twice, "refused", "a batch is open already")


@pytest.mark.parametrize(("target", "value", "missing", "says"), [
    ("../../etc/passwd.yaml", "LOT-1;PSN-7", [], "unknown recipe"),
    ("car_t_perfusion", "LOT-1", [], "pseudonym"), ("car_t_perfusion", ";PSN-7", [], "set lot"),
    ("car_t_perfusion", "LOT-1;<b>", [], "pseudonym"),
    ("car_t_perfusion", "LOT-1;PSN-7", ["AT101 (never came)"], "not every device is there"),
])  # fmt: skip
def test_a_batch_that_cannot_be_opened_is_refused_and_nothing_is_made(
    deck, target, value, missing, says
):
    deck.supervisor.requests.opener = Opening(
        deck.station, "engineering", lambda: {"car_t_perfusion": find_recipe("car_t_perfusion")},
        lambda stamp, recipe: "B-1", lambda: missing,
    )  # fmt: skip
    answer = deck.by("olivia", "open_batch", target, value, ("olivia",))
    assert says in answer.why
    assert deck.one_record() == "command.refused"
    assert deck.station.state_dir.current() is None


def test_the_table_in_force_is_named_when_a_station_starts(deck):
    (started,) = [r for r in deck.in_station_log() if r["event"] == "station.started"]
    assert started["data"]["rights"] == deck.people.rights.digest
