"""Demo accounts: one person of each role, with passwords anybody can read here.

Only for simulated units, only when asked for, and never beside real accounts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from controller.core.clock import Stamp
from controller.core.errors import Refused
from controller.core.events import Event
from controller.people import door
from controller.people.accounts import Account
from controller.people.people import People

WARNING: Final = "DEMO ACCOUNTS: anybody can log in"


@dataclass(frozen=True, slots=True)
class DemoUser:
    """One of them."""

    user: str
    name: str
    role: str

    @property
    def password(self) -> str:
        """Its password."""
        return f"demo password {self.user} 1"


USERS: Final = (
    DemoUser("olivia", "Olivia Ortega", "operator"),
    DemoUser("oscar", "Oscar Okafor", "operator"),
    DemoUser("sam", "Sam Sato", "supervisor"),
    DemoUser("quinn", "Quinn Quist", "qa"),
    DemoUser("emil", "Emil Engel", "engineer"),
    DemoUser("ada", "Ada Admin", "admin"),
    DemoUser("aud", "Aud Berg", "auditor"),
)


def add_demo_users(people: People, stamp: Stamp) -> list[Event]:
    """Makes the accounts where nobody has one; the events to record, none if they are there.

    Raises Refused when somebody else has an account here.
    """
    known = {account.user for account in people.accounts.all()}
    names = {each.user for each in USERS}
    if known - names:
        raise Refused(
            "this station has real accounts: there are no demo accounts beside them",
            do="Leave --demo out, or take another state directory.",
        )
    events = []
    for each in USERS:
        if each.user not in known:
            hashed = people.passwords.hash(each.password)
            people.accounts.add(each.user, each.name, each.role, hashed, False, stamp)
            data = {"user": each.user, "name": each.name, "role": each.role}
            events.append(Event("account.added", stamp, "demo", data=data))
    return events


def open_demo_users(people: People) -> list[Account]:
    """The demo accounts anybody could log in with: enabled, with the password that is shown."""
    found = []
    for each in USERS:
        account = people.accounts.find(each.user)
        if account is None or account.disabled or account.name != each.name:
            continue
        if people.passwords.verify(account.hash, each.password):
            found.append(account)
    return found


def disable_demo_users(people: People, stamp: Stamp) -> list[Event]:
    """Disables the demo accounts, also the last admin; the events to record."""
    events = []
    for account in open_demo_users(people):
        people.accounts.disable(account.user, even_last=True)
        why, data = "a demo account without --demo", {"user": account.user}
        events.append(Event("account.disabled", stamp, "system", "", why, data))
        events += door.ended_with(people, account, stamp)
    return events
