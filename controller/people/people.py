"""Everything about people at one station, joined: accounts, sessions, passwords, seals, table.

Made once by the supervisor's program and shared with the screen's server. The supervisor's thread
only reads what never waits (`find`, `get`, `state`, `flaw`, the table); everything that hashes or
writes the disk is called by other threads.
"""

from __future__ import annotations

import hmac
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from controller.core.clock import Stamp
from controller.core.errors import Refused
from controller.people.accounts import LOCK_S, Account, Accounts, user_id
from controller.people.password import Passwords, first_password
from controller.people.roles import Rights
from controller.people.session import ABSOLUTE_S, ENDED, IDLE_S, LIVE, Session, Sessions
from controller.people.signature import VALID_S, Seals
from controller.people.store import NOWHERE, Store

FOLDER, FILE, FIRST = "people", "accounts.sqlite", "first-admin"


class People:
    """The people of one station."""

    def __init__(
        self,
        state: Path,
        passwords: Passwords | None = None,
        pace: float = 1.0,
        random: Callable[[int], bytes] = secrets.token_bytes,
        anyway: bool = False,
    ) -> None:
        """`state` is the state directory. `pace`: how many times faster than life stamps run.

        Raises Refused when the accounts cannot be read or written; with `anyway` the station starts
        without them, `closed` says why, and nobody can log in until it is started again.
        """
        self.folder = state / FOLDER
        self.pace = max(pace, 1.0)
        self.rights = Rights.shipped()
        self.passwords = passwords or Passwords()
        self.random = random
        self.closed = ""
        try:
            self._open(self.folder / FILE)
        except Refused as error:
            if not anyway:
                raise
            self.closed = str(error)
            self._open(NOWHERE)
        self.seals = Seals(random(32), VALID_S * self.pace)
        self._trying: set[str] = set()
        self._guard = threading.Lock()

    def _open(self, file: Path) -> None:
        """Opens a file and reads all of it. Raises Refused when it is no file of accounts."""
        self._store = Store(file)
        try:
            self.accounts = Accounts(self._store, LOCK_S * self.pace, self.pace)
            self.sessions = Sessions(
                self._store, self.random, IDLE_S * self.pace, ABSOLUTE_S * self.pace
            )
        except (Refused, ValueError, TypeError) as error:
            self._store.close()
            if isinstance(error, Refused):
                raise
            raise Refused(
                f"the accounts cannot be read: {error}", where=file,
                means="Nobody can log in. Hold needs no log-in; loops and interlocks go on.",
                do="Bring back a copy of the file.",
            ) from error  # fmt: skip

    def close(self) -> None:
        """Lets the file of accounts go."""
        self._store.close()

    # -- read by the supervisor's thread ------------------------------------------------------

    @property
    def unused(self) -> bool:
        """Whether nobody ever had an account here, as far as can be told."""
        return not self.closed and self.accounts.empty

    def who(self, session_id: str, stamp: Stamp) -> tuple[Session, Account, bool] | None:
        """Session, account, and whether it may command (False: view only); None: not logged in."""
        session = self.sessions.get(session_id)
        if session is None:
            return None
        state, account = self.sessions.state(session, stamp), self.accounts.find(session.user)
        if state == ENDED or account is None or account.disabled:
            return None
        return session, account, state == LIVE

    # -- the first admin ------------------------------------------------------------------------

    @property
    def first_file(self) -> Path:
        """Where the one-time code for the first admin is."""
        return self.folder / FIRST

    def first_code(self) -> Path | None:
        """Makes the code if nobody can log in; the file it is in, None once somebody can.

        Raises Refused when it cannot be written.
        """
        if self.closed:
            return None
        try:
            if self.accounts.usable and self.first_admin is None:
                self.first_file.unlink(missing_ok=True)
                return None
            if not self.first_file.exists():
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                with os.fdopen(os.open(self.first_file, flags, 0o600), "w") as file:
                    file.write(first_password(self.random) + "\n")
        except OSError as error:
            raise Refused(
                f"the code for the first admin cannot be written: {error}", where=self.first_file,
                do="Check the disk, its space and its rights.",
            ) from error  # fmt: skip
        return self.first_file

    @property
    def first_admin(self) -> Account | None:
        """The first admin as long as that person, and nobody else, never logged in.

        The answer with the first password may have been lost: the code gives another one.
        """
        usable = self.accounts.usable
        alone = len(usable) == 1 and usable[0].role == "admin" and usable[0].must_change
        return usable[0] if alone and self.first_file.exists() else None

    def is_first_code(self, code: str) -> bool:
        """Whether this is the code, and nobody could log in yet."""
        if self.closed or (self.accounts.usable and self.first_admin is None):
            return False
        try:
            known = self.first_file.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return False
        return bool(known) and hmac.compare_digest(known.encode(), code.strip().encode())

    # -- one try at a time ----------------------------------------------------------------------

    @contextmanager
    def trying(self, user: str) -> Iterator[None]:
        """Passwords of one id are looked at one after another, so that delays cannot be outrun.

        Raises Refused while another one is being looked at.
        """
        user = user_id(user)
        with self._guard:
            if user in self._trying:
                raise Refused("a password of this user is being looked at", do="Try again.")
            self._trying.add(user)
        try:
            yield
        finally:
            with self._guard:
                self._trying.discard(user)
