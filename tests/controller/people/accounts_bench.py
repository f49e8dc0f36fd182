"""Accounts with the smallest argon2id there is, and what tests ask of them."""

from __future__ import annotations

from argon2 import PasswordHasher

from controller.people import door
from controller.people.password import Passwords

S = 1_000_000_000
GOOD = "a good long password"


def cheap():
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def add(people, clock, user="olivia", role="operator", *, must_change=False):
    hash_ = people.passwords.hash(GOOD)
    return people.accounts.add(user, user.title(), role, hash_, must_change, clock.stamp())


def enter(people, clock, password=GOOD, user="olivia", new=""):
    return door.log_in(people, user, password, new, "desk", clock.stamp())


def later(clock, seconds):
    clock.advance_to(clock.now_ns + round(seconds * S))


def names(outcome):
    return [event.name for event in outcome.events]
