"""Accounts, sessions and passwords: locks and idling by the stamps they are given."""

from __future__ import annotations

import sqlite3
import stat
from dataclasses import replace

import pytest
from accounts_bench import GOOD, S, add, cheap, enter, later, names

from controller.core.clock import VirtualClock
from controller.core.errors import BadInput, Refused
from controller.people import door
from controller.people.demo import USERS, add_demo_users
from controller.people.password import check_password, first_password
from controller.people.people import People
from controller.people.roles import ROLES


@pytest.fixture
def clock():
    return VirtualClock(1)


@pytest.fixture
def people(tmp_path):
    made = People(tmp_path, passwords=cheap())
    yield made
    made.close()


# -- log-in -----------------------------------------------------------------------------------


def test_a_right_password_opens_a_session_that_its_token_finds(people, clock):
    add(people, clock)
    done = enter(people, clock, user=" OLIVIA ")
    assert (done.kind, names(done)) == ("accepted", ["session.opened"])
    assert people.sessions.by_token(done.token) == done.session
    assert people.sessions.by_token(done.token[:-1]) is None
    assert done.events[0].actor == "olivia@desk"


def test_a_token_and_a_password_are_nowhere_on_the_disk(people, clock, tmp_path):
    """UR-13."""
    add(people, clock)
    token = enter(people, clock).token
    stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert token.encode() not in stored
    assert GOOD.encode() not in stored
    assert b"$argon2id$" in stored


def test_the_file_of_accounts_is_for_its_owner_only(people, tmp_path):
    file = tmp_path / "people" / "accounts.sqlite"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("user", ["olivia", "nobody-here"])
def test_wrong_passwords_are_delayed_from_the_second_and_the_fifth_locks(people, clock, user):
    """UR-14. An id without an account answers alike: nobody learns which exist."""
    add(people, clock)
    waits = []
    for _ in range(5):
        failed = enter(people, clock, "wrong", user)
        assert failed.kind == "unauthenticated"
        assert failed.why.startswith("wrong user or password")
        waits.append(failed.wait_s)
        later(clock, failed.wait_s if failed.wait_s < 60 else 0)
    assert waits == [0, 1, 2, 4, 900]
    locked = enter(people, clock, GOOD, user)
    assert (locked.kind, locked.wait_s, names(locked)) == ("locked", 900, ["session.refused"])


def test_the_lock_of_an_account_is_a_record_of_its_own_and_ends_after_its_time(people, clock):
    add(people, clock)
    for _ in range(4):
        assert names(enter(people, clock, "wrong")) == ["session.refused"]
        later(clock, 10)
    fifth = enter(people, clock, "wrong")
    assert names(fifth) == ["session.refused", "account.locked"]
    assert fifth.events[1].data == {"user": "olivia", "station": "desk", "lock_s": "900"}
    later(clock, 899.9)
    assert enter(people, clock).kind == "locked"
    later(clock, 0.2)
    assert enter(people, clock).kind == "accepted"


def test_a_password_that_comes_too_soon_is_not_looked_at_and_not_counted(people, clock):
    add(people, clock)
    enter(people, clock, "wrong")
    enter(people, clock, "wrong")
    for _ in range(10):
        soon = enter(people, clock)
        assert (soon.kind, soon.wait_s) == ("locked", 1)
    later(clock, 1)
    assert enter(people, clock).accepted


def test_a_right_password_forgets_what_was_counted(people, clock):
    add(people, clock)
    for _ in range(3):
        enter(people, clock, "wrong")
        later(clock, 5)
    assert enter(people, clock).accepted
    assert enter(people, clock, "wrong").wait_s == 0


def test_locks_and_sessions_outlive_a_restart(people, clock, tmp_path):
    add(people, clock)
    add(people, clock, "sam", "supervisor")
    token = enter(people, clock, user="sam").token
    for _ in range(5):
        enter(people, clock, "wrong")
        later(clock, 10)
    people.close()
    again = People(tmp_path, passwords=cheap())
    assert enter(again, clock).kind == "locked"
    session = again.sessions.by_token(token)
    assert session is not None
    found = again.who(session.id, clock.stamp())
    assert found is not None
    assert (found[1].user, found[2]) == ("sam", True)
    again.close()


def test_two_tries_at_once_for_one_user_do_not_outrun_the_delay(people, clock):
    add(people, clock)
    with people.trying("olivia"):
        assert enter(people, clock).kind == "locked"
    assert enter(people, clock).accepted


def test_a_user_who_is_disabled_cannot_log_in_and_is_told_no_more_than_a_stranger(people, clock):
    add(people, clock)
    add(people, clock, "ada", "admin")
    enter(people, clock)
    done = door.disable_user(people, 7, "ada@desk", "admin", "olivia", "left", clock.stamp())
    assert names(done) == ["account.disabled", "session.ended", "command.outcome"]
    assert people.sessions.all() == []
    assert enter(people, clock).why == enter(people, clock, user="stranger").why


def test_what_was_typed_as_a_user_is_recorded_short_and_printable(people, clock):
    failed = enter(people, clock, "x", "<b>\x1b[2J\ud800" + "y" * 500)
    (event,) = failed.events
    assert event.data["user"] == ("<b>?[2J?" + "y" * 500)[:80]
    assert (event.actor, event.role) == ("unidentified person@desk", "nobody")


# -- passwords --------------------------------------------------------------------------------


def test_the_first_log_in_needs_a_new_password(people, clock):
    add(people, clock, must_change=True)
    refused = enter(people, clock)
    assert (refused.kind, names(refused)) == ("must_change", ["session.refused"])
    assert enter(people, clock, new=GOOD).kind == "bad_input"
    done = enter(people, clock, new="another long password")
    assert names(done) == ["account.password_changed", "session.opened"]
    assert not enter(people, clock).accepted
    assert enter(people, clock, "another long password").accepted


@pytest.mark.parametrize("password", [
    "", "fourteen chars", "x" * 201, "olivia olivia 1", "a" * 15, "abababababababab",
    "tab\there and more text", "Olivia Demo 12345",
])  # fmt: skip
def test_a_password_that_is_not_good_enough_is_refused(password):
    with pytest.raises(BadInput):
        check_password(password, "olivia", "Olivia Demo")


def test_passwords_of_fifteen_and_of_two_hundred_characters_are_good():
    check_password("correct horse b", "olivia", "Olivia")
    check_password("correct horse b" + "é ñ" * 61 + "zz", "olivia", "Olivia")


def test_a_made_password_is_good_and_never_the_same(people):
    made = {first_password(people.random) for _ in range(50)}
    assert len(made) == 50
    for password in made:
        check_password(password, "olivia", "Olivia")


def test_a_person_changes_the_own_password_and_the_other_sessions_end(people, clock):
    add(people, clock)
    first, second = enter(people, clock).session, enter(people, clock).session
    wrong = door.change_password(people, first.id, "wrong", "another long password", clock.stamp())
    assert (wrong.kind, names(wrong)) == ("unauthenticated", ["session.refused"])
    done = door.change_password(people, first.id, GOOD, "another long password", clock.stamp())
    assert names(done) == ["account.password_changed", "session.ended"]
    assert [s.id for s in people.sessions.all()] == [first.id]
    assert people.sessions.get(second.id) is None


# -- sessions ---------------------------------------------------------------------------------


def test_a_session_idles_into_viewing_and_ends_after_twelve_hours(people, clock):
    add(people, clock)
    session = enter(people, clock).session
    for _ in range(71):
        later(clock, 599)
        people.sessions.touch(session.id, clock.stamp())
        assert people.sessions.state(people.sessions.get(session.id), clock.stamp()) == "live"
    later(clock, 600)
    people.sessions.touch(session.id, clock.stamp())
    assert people.sessions.state(people.sessions.get(session.id), clock.stamp()) == "view_only"
    later(clock, 12 * 3600 - 71 * 599 - 600)
    assert people.who(session.id, clock.stamp()) is None
    ended = door.sweep(people, clock.stamp())
    assert names(ended) == ["session.ended"]
    assert door.sweep(people, clock.stamp()).events == ()


def test_after_a_restart_of_the_machine_a_session_is_judged_by_the_wall_clock(people, clock):
    add(people, clock)
    session = enter(people, clock).session
    now = clock.stamp()
    rebooted = replace(now, boot_id="another", mono_ns=5, utc_ns=now.utc_ns + 60 * S)
    assert people.sessions.state(session, rebooted) == "live"
    back = replace(rebooted, utc_ns=now.utc_ns - 60 * S)
    assert people.sessions.state(session, back) == "ended"


def test_a_log_out_ends_the_session_once(people, clock):
    add(people, clock)
    session = enter(people, clock).session
    assert names(door.log_out(people, session.id, clock.stamp())) == ["session.ended"]
    again = door.log_out(people, session.id, clock.stamp())
    assert (again.accepted, again.events) == (False, ())


def test_there_are_never_more_than_so_many_sessions(people, clock):
    add(people, clock)
    for _ in range(200):
        assert enter(people, clock).accepted
    full = enter(people, clock)
    assert (full.kind, names(full)) == ("refused", ["session.refused"])


# -- accounts ---------------------------------------------------------------------------------


def test_an_id_is_never_given_again_whatever_its_case_or_who_had_it(people, clock):
    """UR-13."""
    add(people, clock)
    door.disable_user(people, 1, "x", "admin", "olivia", "left", clock.stamp())
    for user in ("olivia", "Olivia", " OLIVIA "):
        with pytest.raises(Refused, match="never given again"):
            add(people, clock, user)


def test_the_last_admin_cannot_be_disabled(people, clock):
    add(people, clock, "ada", "admin")
    done = door.disable_user(people, 1, "ada@desk", "admin", "ada", "x", clock.stamp())
    assert done.kind == "refused"
    assert "last admin" in done.why
    assert names(done) == ["command.outcome"]
    add(people, clock, "abe", "admin")
    assert door.disable_user(people, 2, "abe@desk", "admin", "ada", "x", clock.stamp()).accepted


def test_the_first_admin_is_made_by_a_code_that_only_the_owner_reads_and_only_once(
    people, clock
):
    file = people.first_code()
    assert file is not None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    code = file.read_text().strip()
    wrong = door.add_first(people, "no", "ada", "Ada", "desk", clock.stamp())
    assert (wrong.kind, names(wrong)) == ("unauthenticated", ["session.refused"])
    done = door.add_first(people, code, "ada", "Ada", "desk", clock.stamp())
    assert names(done) == ["account.added"]
    assert people.accounts.find("ada").role == "admin"
    assert enter(people, clock, done.password, "ada").kind == "must_change"
    assert enter(people, clock, done.password, "ada", "a password of ada's own").accepted
    assert not file.exists()
    assert people.first_code() is None
    assert not door.add_first(people, code, "abe", "Abe", "desk", clock.stamp()).accepted


def test_a_code_is_kept_over_a_restart_until_it_is_used(people, tmp_path):
    code = people.first_code().read_text()
    again = People(tmp_path, passwords=cheap())
    assert again.first_code().read_text() == code
    again.close()


def test_the_demo_accounts_are_of_every_role_and_made_once(people, clock):
    events = add_demo_users(people, clock.stamp())
    assert {each.role for each in USERS} == set(ROLES)
    assert [event.name for event in events] == ["account.added"] * len(USERS)
    assert add_demo_users(people, clock.stamp()) == []
    for each in USERS:
        check_password(each.password, each.user, each.name)
        assert enter(people, clock, each.password, each.user).accepted


def test_there_are_no_demo_accounts_beside_a_real_one(people, clock):
    add(people, clock, "nora")
    with pytest.raises(Refused, match="real accounts"):
        add_demo_users(people, clock.stamp())
    assert len(people.accounts.all()) == 1


def test_a_damaged_file_of_accounts_is_refused_in_words(tmp_path):
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "accounts.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(Refused, match="accounts cannot be read") as found:
        People(tmp_path)
    assert "Hold needs no log-in" in found.value.means


def test_a_station_with_a_damaged_file_of_accounts_starts_and_lets_nobody_in(tmp_path, clock):
    (tmp_path / "people").mkdir()
    damaged = tmp_path / "people" / "accounts.sqlite"
    damaged.write_bytes(b"no database" * 100)
    people = People(tmp_path, passwords=cheap(), anyway=True)
    assert not people.unused  # so that no console is taken for one of a station without accounts
    assert people.first_code() is None
    failed = enter(people, clock)
    assert (failed.kind, names(failed)) == ("refused", ["session.refused"])
    assert "accounts cannot be read" in failed.why
    assert damaged.read_bytes() == b"no database" * 100
    people.close()


def test_what_the_disk_does_not_take_is_refused_and_not_remembered(people, clock):
    add(people, clock)
    with sqlite3.connect(people.folder / "accounts.sqlite") as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Refused, match="cannot be read or written"):
            add(people, clock, "oscar")
    assert people.accounts.find("oscar") is None
    assert add(people, clock, "oscar").user == "oscar"
