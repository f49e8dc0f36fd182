"""The accounts of one station: who has one, in which role, and how often a password was wrong.

Accounts are disabled and never deleted, so that an id in a record always means the same person.
Every change is on the disk before it is seen; readers see immutable copies and never wait.
Times are wall time in ns: a lock outlives a restart of the machine.
"""

from __future__ import annotations

import re
import sqlite3
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from controller.core.clock import NS_PER_S, Stamp
from controller.core.errors import BadInput, Refused, nearest
from controller.people.roles import ROLES
from controller.people.store import Store

USER: Final = re.compile(r"[a-z][a-z0-9._-]{1,30}[a-z0-9]")
RESERVED: Final = frozenset({"recipe", "system", "unverified", "nobody", "unidentified"})
NAME_MAX: Final = 80
ACCOUNTS_MAX: Final = 1000
STRANGERS_MAX: Final = 1000
FAILURES_MAX: Final = 5
LOCK_S: Final = 15 * 60.0


@dataclass(frozen=True, slots=True)
class Account:
    """One account. `wait_until_ns` (UTC): no password is looked at before; `locked` says why."""

    user: str
    name: str
    role: str
    hash: str = field(repr=False)
    created_utc: str = ""
    disabled: bool = False
    failures: int = 0
    wait_until_ns: int = 0
    locked: bool = False
    must_change: bool = True


@dataclass(frozen=True, slots=True)
class Failure:
    """What a wrong password leads to: seconds until the next one is looked at, and the lock."""

    delay_s: float
    locked: bool


def user_id(text: str) -> str:
    """The id of a user as it is kept: casefolded, without blanks around it."""
    return text.strip().casefold()


def check_new(user: str, name: str, role: str) -> None:
    """Raises BadInput for an id, a name or a role that no account can have."""
    if not USER.fullmatch(user) or user in RESERVED:
        raise BadInput(
            f"{user[:40]!r} cannot be the id of a user",
            do="Use 3 to 32 small letters, digits, '.', '_' and '-', beginning with a letter and "
            f"ending with a letter or digit; not {', '.join(sorted(RESERVED))}.",
        )
    if not name.strip() or len(name) > NAME_MAX or not name.isprintable():
        raise BadInput(f"the name must be 1 to {NAME_MAX} printable characters on one line")
    if role not in ROLES:
        raise BadInput(f"unknown role {role[:40]!r}. {nearest(role[:40], ROLES)}")


def failure(count: int, lock_s: float = LOCK_S) -> Failure:
    """After how many failures what follows: a delay from the 2nd, doubling; the 5th locks."""
    if count >= FAILURES_MAX:
        return Failure(lock_s, True)
    return Failure(float(2 ** (count - 2)) if count >= 2 else 0.0, False)


class Accounts:
    """All accounts. Reading never waits; writing waits for the disk (not for the supervisor)."""

    def __init__(self, store: Store, lock_s: float = LOCK_S, delay_factor: float = 1.0) -> None:
        """`lock_s` and `delay_factor` stretch where time runs faster (a rig).

        Raises Refused when the accounts cannot be read, ValueError for a row that is no account.
        """
        self._store, self._lock_s, self._factor = store, lock_s, delay_factor
        self._strangers: OrderedDict[str, Account] = OrderedDict()
        self._all: dict[str, Account] = {}
        rows = store.read(
            "SELECT user, name, role, hash, created_utc, disabled, failures, wait_until_ns,"
            " locked, must_change FROM users"
        )
        for row in rows:
            account = _account(row)
            self._all[account.user] = account

    def all(self) -> list[Account]:
        """Every account, by id."""
        return sorted(self._all.values(), key=lambda account: account.user)

    def find(self, user: str) -> Account | None:
        """The account of an id as typed; None if there is none."""
        return self._all.get(user_id(user))

    @property
    def empty(self) -> bool:
        """Whether nobody ever had an account here."""
        return not self._all

    @property
    def usable(self) -> list[Account]:
        """Every account that is not disabled."""
        return [account for account in self.all() if not account.disabled]

    def check_free(self, user: str, name: str, role: str) -> None:
        """Raises BadInput or Refused when `add` could not be: a bad id, taken, too many."""
        user = user_id(user)
        check_new(user, name, role)
        if user in self._all:
            raise Refused(
                f"user {user} exists, or existed: an id is never given again",
                do="Choose another id.",
            )
        if len(self._all) >= ACCOUNTS_MAX:
            raise Refused(f"there are {ACCOUNTS_MAX} accounts, no more are possible")

    def check_disable(self, user: str) -> None:
        """Raises Refused when `disable` could not be: unknown, disabled, or the last admin."""
        account = self._known(user)
        if account.disabled:
            raise Refused(f"user {account.user} is disabled already")
        others = [a for a in self.usable if a.role == "admin"]
        if account.role == "admin" and len(others) == 1:
            raise Refused(
                f"user {account.user} is the last admin: nobody could add users any more",
                do="Add another admin first.",
            )

    def add(
        self, user: str, name: str, role: str, hash_: str, must_change: bool, stamp: Stamp
    ) -> Account:
        """Adds an account; raises what `check_free` raises."""
        self.check_free(user, name, role)
        account = Account(
            user_id(user), name.strip(), role, hash_, stamp.rfc3339(), must_change=must_change
        )
        with self._store.guard:
            try:
                with self._store.change() as db:
                    db.execute(
                        "INSERT INTO users(user, name, role, hash, created_utc, must_change)"
                        " VALUES(?, ?, ?, ?, ?, ?)",
                        (account.user, account.name, role, hash_, account.created_utc, must_change),
                    )
            except sqlite3.IntegrityError:
                raise Refused(f"user {account.user} exists already") from None
            self._all[account.user] = account
            self._strangers.pop(account.user, None)
        return account

    def disable(self, user: str, even_last: bool = False) -> Account:
        """Disables an account for ever; raises what `check_disable` raises.

        `even_last`: also where no admin is left; then a code makes the first admin again.
        """
        with self._store.guard:
            with self._store.change() as db:
                if not even_last:
                    self.check_disable(user)
                account = replace(self._known(user), disabled=True)
                db.execute("UPDATE users SET disabled = 1 WHERE user = ?", (account.user,))
            self._all[account.user] = account
        return account

    def failed(self, user: str, stamp: Stamp) -> Failure:
        """Counts a wrong password; ids without an account are delayed and locked alike.

        It counts in memory also while the disk does not take it.
        """
        user = user_id(user)
        with self._store.guard:
            account = self._all.get(user) or self._strangers.get(user) or Account(user, "", "", "")
            count = account.failures + 1
            found = failure(count, self._lock_s)
            delay_s = found.delay_s if found.locked else found.delay_s * self._factor
            changed = replace(
                account, failures=0 if found.locked else count, locked=found.locked,
                wait_until_ns=stamp.utc_ns + round(delay_s * NS_PER_S),
            )  # fmt: skip
            if user in self._all:
                self._count(changed)
            else:
                self._strangers[user] = changed
                if len(self._strangers) > STRANGERS_MAX:
                    self._strangers.popitem(last=False)
        return Failure(delay_s, found.locked)

    def wait_s(self, user: str, stamp: Stamp) -> tuple[float, bool]:
        """Seconds until a password of this id is looked at (0 = now), and whether it is locked.

        Nothing is longer than a lock: where the wall clock went back, the wait begins anew.
        """
        user = user_id(user)
        account = self._all.get(user) or self._strangers.get(user)
        if account is None or account.wait_until_ns <= stamp.utc_ns:
            return 0.0, False
        wait_s = (account.wait_until_ns - stamp.utc_ns) / NS_PER_S
        if wait_s > self._lock_s:
            wait_s = self._lock_s
            self._until(user, stamp.utc_ns + round(wait_s * NS_PER_S))
        return wait_s, account.locked

    def succeeded(self, user: str) -> None:
        """A right password: what was counted is forgotten."""
        with self._store.guard:
            account = self._known(user)
            if account.failures or account.wait_until_ns or account.locked:
                self._count(replace(account, failures=0, wait_until_ns=0, locked=False))

    def set_hash(self, user: str, hash_: str, must_change: bool) -> None:
        """Another password."""
        with self._store.guard:
            self._keep(replace(self._known(user), hash=hash_, must_change=must_change))

    def _known(self, user: str) -> Account:
        account = self.find(user)
        if account is None:
            name = user_id(user)[:40]
            raise Refused(f"no user {name!r}. {nearest(name, list(self._all))}")
        return account

    def _until(self, user: str, wait_until_ns: int) -> None:
        """Another end of a wait."""
        with self._store.guard:
            known = self._all.get(user)
            if known is not None:
                self._count(replace(known, wait_until_ns=wait_until_ns))
            elif user in self._strangers:
                changed = replace(self._strangers[user], wait_until_ns=wait_until_ns)
                self._strangers[user] = changed

    def _count(self, account: Account) -> None:
        """What was counted holds at once, and is kept if the disk takes it."""
        self._all[account.user] = account
        with suppress(Refused):
            self._keep(account)

    def _keep(self, account: Account) -> None:
        """Called with the guard held, so that the copy never shows what was changed since."""
        with self._store.change() as db:
            db.execute(
                "UPDATE users SET hash = ?, failures = ?, wait_until_ns = ?, locked = ?,"
                " must_change = ? WHERE user = ?",
                (account.hash, account.failures, account.wait_until_ns, account.locked,
                 account.must_change, account.user),
            )  # fmt: skip
        self._all[account.user] = account


def _account(row: tuple[Any, ...]) -> Account:
    """Raises ValueError for a row that is no account: another program wrote the file."""
    user, name, role, hash_, created, disabled, failures, wait, locked, must_change = row
    texts, numbers = (user, name, role, hash_, created), (disabled, failures, wait, locked)
    if not all(isinstance(text, str) for text in texts) or role not in ROLES or not all(
        isinstance(number, int) for number in (*numbers, must_change)
    ):  # fmt: skip
        raise ValueError(f"a row of the users is no account: {str(user)[:40]!r}")
    return Account(
        user, name, role, hash_, created, bool(disabled), failures, wait, bool(locked),
        bool(must_change),
    )  # fmt: skip
