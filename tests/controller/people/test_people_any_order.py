"""Adding, disabling, failing, logging in, waiting and restarting in any order."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from accounts_bench import GOOD, S, add, cheap, enter, later
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controller.core.clock import VirtualClock
from controller.core.errors import Refused
from controller.people import door
from controller.people.people import People


class AnyOrder(RuleBasedStateMachine):
    """Accounts against a model of a few lines; everything survives being opened anew."""

    users = ("olivia", "sam", "ada")

    @initialize()
    def begin(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path, self.clock = Path(self.folder.name), VirtualClock(1)
        self.people = People(self.path, passwords=cheap())
        self.known, self.failed, self.until = {}, {}, {}

    def teardown(self):
        if hasattr(self, "people"):
            self.people.close()
            self.folder.cleanup()

    @rule(user=st.sampled_from(users))
    def add(self, user):
        if user in self.known:
            with pytest.raises(Refused):
                add(self.people, self.clock, user)
            return
        add(self.people, self.clock, user, "admin")
        self.known[user] = "enabled"
        self.failed.pop(user, None)
        self.until.pop(user, None)

    @rule(user=st.sampled_from(users))
    def disable(self, user):
        enabled = [u for u, state in self.known.items() if state == "enabled"]
        done = door.disable_user(self.people, 1, "x", "admin", user, "x", self.clock.stamp())
        assert done.accepted == (user in enabled and len(enabled) > 1)
        if done.accepted:
            self.known[user] = "disabled"

    @rule(user=st.sampled_from(users), right=st.booleans())
    def log_in(self, user, right):
        done = enter(self.people, self.clock, GOOD if right else "wrong", user)
        now = self.clock.now_ns
        if now < self.until.get(user, 0):
            assert done.kind == "locked"
        elif right and self.known.get(user) == "enabled":
            assert done.accepted
            self.failed[user] = 0
        else:
            assert done.kind == "unauthenticated"
            count = self.failed[user] = self.failed.get(user, 0) + 1
            wait = {1: 0, 2: 1, 3: 2, 4: 4, 5: 900}[count]
            assert done.wait_s == wait
            self.until[user] = now + wait * S
            if count == 5:
                self.failed[user] = 0

    @rule(seconds=st.sampled_from([0.5, 1, 4, 600, 900]))
    def wait(self, seconds):
        later(self.clock, seconds)

    @precondition(lambda self: not self.until.keys() - self.known.keys())
    @rule()
    def open_anew(self):
        """What strangers failed at is kept in memory alone."""
        self.people.close()
        self.people = People(self.path, passwords=cheap())
        self.failed = {u: n for u, n in self.failed.items() if u in self.known}

    @invariant()
    def no_session_of_a_disabled_user_counts(self):
        if not hasattr(self, "people"):
            return
        for session in self.people.sessions.all():
            assert self.known[session.user] == "enabled"
        assert {a.user for a in self.people.accounts.all()} == set(self.known)


AnyOrder.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestAnyOrder = AnyOrder.TestCase
