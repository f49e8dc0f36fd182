"""What people can do while the file of accounts is damaged, full or locked, and clocks step."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from accounts_bench import GOOD, S, add, cheap, enter, later, names

from controller.core.clock import VirtualClock
from controller.core.errors import Refused
from controller.people import door
from controller.people.demo import (
    USERS,
    add_demo_users,
    disable_demo_users,
    open_demo_users,
)
from controller.people.people import People
from controller.people.session import KEEP_S

DAY_NS = 86_400 * S
CHANGED = "another long password"


@pytest.fixture
def clock():
    return VirtualClock(1)


@pytest.fixture
def people(tmp_path):
    made = People(tmp_path, passwords=cheap())
    yield made
    made.close()


@contextmanager
def locked(people: People) -> Iterator[None]:
    """Another program has the file for itself, as a backup has."""
    people._store._db.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(people.folder / "accounts.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


# -- a damaged file ---------------------------------------------------------------------------


def _page(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[4096:8192] = b"\xff" * 4096
    file.write_bytes(data)


def _row(file: Path, change: str) -> None:
    with sqlite3.connect(file) as other:
        other.execute(change)
    other.close()


@pytest.mark.parametrize("change", [
    "", "UPDATE users SET user = x'00ff'", "UPDATE users SET role = 'king'",
    "UPDATE users SET wait_until_ns = 'soon'", "UPDATE sessions SET opened_utc_ns = 'once'",
])  # fmt: skip
def test_a_station_starts_with_one_damaged_page_or_row_and_lets_nobody_in(
    tmp_path, clock, change
):
    before = People(tmp_path, passwords=cheap())
    add(before, clock)
    enter(before, clock)
    before.close()
    file = tmp_path / "people" / "accounts.sqlite"
    if change:
        _row(file, change)
    else:
        _page(file)
    damaged = file.read_bytes()
    with pytest.raises(Refused, match="accounts cannot be read"):
        People(tmp_path, passwords=cheap())
    people = People(tmp_path, passwords=cheap(), anyway=True)
    assert not people.unused
    assert enter(people, clock).kind == "refused"
    assert people.sessions.all() == []
    assert file.read_bytes() == damaged
    people.close()


# -- a file that is locked or full ------------------------------------------------------------


def test_a_session_commands_while_another_program_has_the_file(people, clock):
    add(people, clock)
    session = enter(people, clock).session
    later(clock, KEEP_S + 1)
    with locked(people):
        people.sessions.touch(session.id, clock.stamp())
        assert people.sessions.get(session.id).last.mono_ns == clock.now_ns
        signed = door.sign(people, "olivia", GOOD, "started", "", "d", "desk", clock.stamp())
        assert signed.accepted


def test_wrong_passwords_are_counted_while_the_disk_takes_nothing(people, clock):
    add(people, clock)
    with locked(people):
        for _ in range(5):
            failed = enter(people, clock, "wrong")
            assert failed.kind == "unauthenticated"
            later(clock, 10)
        assert "account.locked" in names(failed)
        assert enter(people, clock).kind == "locked"


@pytest.mark.parametrize("how", ["log out", "disable", "sweep"])
def test_a_session_that_ended_on_a_full_disk_is_recorded_and_ended(people, clock, how):
    add(people, clock)
    token = enter(people, clock).token
    session = people.sessions.by_token(token)
    if how == "log out":
        with locked(people):
            done = door.log_out(people, session.id, clock.stamp())
    elif how == "disable":
        add(people, clock, "ada", "admin")
        real = people._store.change

        @contextmanager
        def full_for_sessions():
            with real() as db:
                yield db
            people._store.change = _full

        people._store.change = full_for_sessions
        done = door.disable_user(people, 1, "ada@desk", "admin", "olivia", "x", clock.stamp())
        people._store.change = real
    else:
        later(clock, 13 * 3600)
        with locked(people):
            done = door.sweep(people, clock.stamp())
    assert "session.ended" in names(done)
    assert people.sessions.by_token(token) is None
    kept = "SELECT id FROM sessions"
    assert people._store.read(kept) == [(session.id,)]
    door.sweep(people, clock.stamp())
    assert people._store.read(kept) == []


@contextmanager
def _full():
    raise Refused("no space left")
    yield


def test_the_cause_of_a_failed_change_is_said_and_not_that_of_undoing_it(people):
    class Full:
        in_transaction = False

        def execute(self, text: str) -> None:
            if text == "ROLLBACK":
                raise sqlite3.OperationalError("cannot rollback - no transaction is active")
            if text != "BEGIN IMMEDIATE":
                raise sqlite3.OperationalError("database or disk is full")

    real, people._store._db = people._store._db, Full()
    try:
        with pytest.raises(Refused, match="disk is full"), people._store.change() as db:
            db.execute("UPDATE users SET failures = 1")
    finally:
        people._store._db = real


# -- the first admin --------------------------------------------------------------------------


def test_the_code_gives_another_password_until_the_first_admin_has_logged_in(
    people, clock, tmp_path
):
    code = people.first_code().read_text()
    lost = door.add_first(people, code, "ada", "Ada", "desk", clock.stamp())
    people.close()
    again = People(tmp_path, passwords=cheap())
    assert again.first_code().read_text() == code
    other = door.add_first(again, code, "abe", "Abe", "desk", clock.stamp())
    assert (other.kind, again.accounts.find("abe")) == ("refused", None)
    found = door.add_first(again, code, "ada", "Ada", "desk", clock.stamp())
    assert names(found) == ["account.password_changed"]
    assert enter(again, clock, lost.password, "ada", CHANGED).kind == "unauthenticated"
    assert enter(again, clock, found.password, "ada", CHANGED).accepted
    assert not again.first_file.exists()
    assert not door.add_first(again, code, "ada", "Ada", "desk", clock.stamp()).accepted
    assert again.first_code() is None
    again.close()


def test_a_code_that_cannot_be_written_is_refused_in_words(people):
    people.first_file.mkdir()
    add(people, VirtualClock(1))
    with pytest.raises(Refused, match="code for the first admin"):
        people.first_code()


# -- the wall clock goes back -----------------------------------------------------------------


@pytest.mark.parametrize("user", ["olivia", "nobody-here"])
def test_a_lock_is_over_after_its_time_also_when_the_wall_clock_went_back_a_day(
    people, clock, user
):
    add(people, clock)
    for _ in range(5):
        enter(people, clock, "wrong", user)
        later(clock, 10)

    def back(seconds):
        stamp = clock.stamp()
        return replace(stamp, utc_ns=stamp.utc_ns - DAY_NS + seconds * S)

    assert people.accounts.wait_s(user, back(0)) == (900, True)
    assert people.accounts.wait_s(user, back(899)) == (1, True)
    assert people.accounts.wait_s(user, back(901))[0] == 0


# -- demo accounts ----------------------------------------------------------------------------


def test_demo_accounts_without_demo_are_disabled_with_their_sessions_and_recorded(people, clock):
    add_demo_users(people, clock.stamp())
    token = enter(people, clock, USERS[0].password, USERS[0].user).token
    events = [event.name for event in disable_demo_users(people, clock.stamp())]
    assert events.count("account.disabled") == len(USERS)
    assert events.count("session.ended") == 1
    assert people.sessions.by_token(token) is None
    assert open_demo_users(people) == []
    code = people.first_code().read_text()
    assert not people.unused
    assert door.add_first(people, code, "nora", "Nora", "desk", clock.stamp()).accepted


def test_a_real_person_with_the_id_of_a_demo_user_is_none(people, clock):
    add(people, clock, "sam", "supervisor")
    assert open_demo_users(people) == []
