"""The file of accounts and sessions: one SQLite connection, guarded by one lock.

A module because of its rules: a rollback journal and full sync, so that what a caller was told
survives a crash; mode 0600; and it is never touched from the supervisor's thread, which reads the
copies that accounts and sessions keep in memory.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from controller.core.errors import Refused

SCHEMA = """
CREATE TABLE IF NOT EXISTS users(
  user TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, hash TEXT NOT NULL,
  created_utc TEXT NOT NULL, disabled INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0, wait_until_ns INTEGER NOT NULL DEFAULT 0,
  locked INTEGER NOT NULL DEFAULT 0, must_change INTEGER NOT NULL DEFAULT 1);
CREATE TABLE IF NOT EXISTS sessions(
  id TEXT PRIMARY KEY, token_sha256 TEXT NOT NULL UNIQUE, user TEXT NOT NULL,
  station TEXT NOT NULL, boot_id TEXT NOT NULL, opened_mono_ns INTEGER NOT NULL,
  opened_utc_ns INTEGER NOT NULL, last_mono_ns INTEGER NOT NULL, last_utc_ns INTEGER NOT NULL);
"""
BUSY_S = 2.0
NOWHERE = Path(":memory:")  # a store without a file: nobody is in it, and it forgets


class Store:
    """One open file of accounts."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file. Raises Refused when it cannot be read or written."""
        self.path = path
        self.guard = threading.RLock()  # held over a change and the copy that shows it
        try:
            if path == NOWHERE:
                self._db = self._opened(path)
                return
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            path.chmod(0o600)
            self._db = self._opened(path)
        except (OSError, sqlite3.Error) as error:
            raise self._failure(error) from error

    @staticmethod
    def _opened(path: Path) -> sqlite3.Connection:
        db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode=DELETE")
            db.execute("PRAGMA synchronous=FULL")
            db.executescript(SCHEMA)
            found = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
            if found != "ok":
                raise sqlite3.DatabaseError(f"the file is damaged: {found[:200]}")
        except sqlite3.Error:
            db.close()
            raise
        return db

    def read(self, query: str) -> list[tuple[object, ...]]:
        """All rows of a query. Raises Refused when the file cannot be read."""
        with self.guard:
            try:
                return self._db.execute(query).fetchall()
            except sqlite3.Error as error:
                raise self._failure(error) from error

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction: durable when it is left, undone when an error leaves it.

        Raises Refused when the disk does not take it, and sqlite3.IntegrityError as it is.
        """
        with self.guard:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException as error:
                if self._db.in_transaction:  # some failures have rolled it back already
                    with suppress(sqlite3.Error):
                        self._db.execute("ROLLBACK")
                failed = isinstance(error, sqlite3.Error)
                if not failed or isinstance(error, sqlite3.IntegrityError):
                    raise
                raise self._failure(error) from error

    def close(self) -> None:
        """Lets the file go."""
        with self.guard:
            self._db.close()

    def _failure(self, error: BaseException) -> Refused:
        return Refused(
            f"the accounts cannot be read or written: {error}",
            where=self.path,
            means="Nobody can log in. Hold needs no log-in; loops and interlocks go on.",
            do="Check the disk, its space and its rights; bring back a copy of the file.",
        )
