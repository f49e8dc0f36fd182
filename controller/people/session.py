"""Sessions: who is logged in where, until when.

Only the SHA-256 of a token is kept. A session without a request for 10 min shows and no longer
commands until its person logs in again; after 12 h it ends. Sessions outlive a restart of the
supervisor; what idles is judged on the monotonic clock, after a restart of the machine on the wall
clock. A clock that went back ends the session.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from controller.core.clock import NS_PER_S, Stamp
from controller.core.errors import Refused
from controller.people.store import Store

SESSIONS_MAX: Final = 200
IDLE_S: Final = 600.0
ABSOLUTE_S: Final = 12 * 3600.0
KEEP_S: Final = 60.0  # how old the last request on the disk may be
TOKEN_BYTES: Final = 32
LIVE, VIEW_ONLY, ENDED = "live", "view_only", "ended"


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant that can be compared after a restart of the machine too."""

    boot_id: str
    mono_ns: int
    utc_ns: int

    @classmethod
    def of(cls, stamp: Stamp) -> Moment:
        """The moment of a stamp."""
        return cls(stamp.boot_id, stamp.mono_ns, stamp.utc_ns)

    def since_s(self, stamp: Stamp) -> float:
        """Seconds from here to `stamp`; negative when the clock went back."""
        same = stamp.boot_id == self.boot_id
        ns = stamp.mono_ns - self.mono_ns if same else stamp.utc_ns - self.utc_ns
        return ns / NS_PER_S


@dataclass(frozen=True, slots=True)
class Session:
    """One log-in of one user at one terminal (`station`). `last`: the last request."""

    id: str
    token_sha256: str = field(repr=False)
    user: str
    station: str
    opened: Moment
    last: Moment


class Sessions:
    """All open sessions. `get`, `by_token` and `state` never wait; the rest writes the disk."""

    def __init__(
        self, store: Store, random: Callable[[int], bytes],
        idle_s: float = IDLE_S, absolute_s: float = ABSOLUTE_S,
    ) -> None:  # fmt: skip
        """`random(n)` gives n unpredictable bytes.

        Raises Refused when the sessions cannot be read, ValueError for a row that is no session.
        """
        self._store, self._random = store, random
        self.idle_s, self.absolute_s = idle_s, absolute_s
        rows = store.read(
            "SELECT id, token_sha256, user, station, boot_id, opened_mono_ns, opened_utc_ns,"
            " last_mono_ns, last_utc_ns FROM sessions"
        )
        self._all = {session.id: session for session in map(_session, rows)}
        self._kept = {session.id: session.last for session in self._all.values()}
        self._undone: set[str] = set()  # ended, and still on a disk that did not take it

    def all(self) -> list[Session]:
        """Every session that was not ended."""
        return list(self._all.values())

    def get(self, session_id: str) -> Session | None:
        """The session of an id."""
        return self._all.get(session_id)

    def by_token(self, token: str) -> Session | None:
        """The session a browser's token belongs to."""
        digest = _digest(token)
        return next((s for s in list(self._all.values()) if s.token_sha256 == digest), None)

    def state(self, session: Session, stamp: Stamp) -> str:
        """LIVE, VIEW_ONLY (idle too long) or ENDED (too old, or a clock went back)."""
        age_s, idle_s = session.opened.since_s(stamp), session.last.since_s(stamp)
        if session.id not in self._all or not 0 <= age_s < self.absolute_s or idle_s < -1:
            return ENDED
        return LIVE if idle_s < self.idle_s else VIEW_ONLY

    def open(self, user: str, station: str, stamp: Stamp) -> tuple[Session, str]:
        """A new session and its token. Raises Refused when there are too many."""
        if len(self._all) >= SESSIONS_MAX:
            raise Refused(f"{SESSIONS_MAX} sessions are open", do="Log out somewhere first.")
        token, now = self._random(TOKEN_BYTES).hex(), Moment.of(stamp)
        session = Session(self._random(8).hex(), _digest(token), user, station, now, now)
        with self._store.change() as db:
            db.execute(
                "INSERT INTO sessions VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (session.id, session.token_sha256, user, station, now.boot_id,
                 now.mono_ns, now.utc_ns, now.mono_ns, now.utc_ns),
            )  # fmt: skip
        self._all[session.id], self._kept[session.id] = session, now
        return session, token

    def touch(self, session_id: str, stamp: Stamp) -> None:
        """A person did something. An idle session stays view only: it takes a log-in.

        How old the request on the disk is matters after a restart only: a disk that does not take
        it keeps nobody from commanding, and is tried again after KEEP_S.
        """
        with self._store.guard:
            session = self._all.get(session_id)
            if session is None or self.state(session, stamp) != LIVE:
                return
            now = Moment.of(stamp)
            self._all[session_id] = replace(session, last=now)
            if self._kept[session_id].since_s(stamp) < KEEP_S:
                return
            self._kept[session_id] = now
            # A row has one boot: in another its last one stays.
            with suppress(Refused), self._store.change() as db:
                db.execute(
                    "UPDATE sessions SET last_mono_ns = ?, last_utc_ns = ? WHERE id = ?"
                    " AND boot_id = ?",
                    (now.mono_ns, now.utc_ns, session_id, now.boot_id),
                )

    def end(self, session_id: str) -> Session | None:
        """Ends one session; None if there was none.

        It ends also when the disk does not take it: `expire` tries again, and after a restart
        `forget` ends what the station log says was ended.
        """
        with self._store.guard:
            session = self._all.pop(session_id, None)
            self._kept.pop(session_id, None)
            if session is not None:
                self._undone.add(session_id)
                with suppress(Refused):
                    self._delete()
        return session

    def forget(self, session_ids: Iterable[str]) -> None:
        """What a record says was ended, and the file still has."""
        for session_id in session_ids:
            self.end(session_id)

    def _delete(self) -> None:
        """Takes what was ended off the disk. Raises Refused when the disk does not take it."""
        with self._store.guard:
            gone = sorted(self._undone)
            with self._store.change() as db:
                db.executemany("DELETE FROM sessions WHERE id = ?", [(each,) for each in gone])
            self._undone.difference_update(gone)

    def end_all_of(self, user: str) -> list[Session]:
        """Ends every session of a user."""
        found = [session for session in self.all() if session.user == user]
        return [ended for each in found if (ended := self.end(each.id)) is not None]

    def expire(self, stamp: Stamp) -> list[Session]:
        """Ends what is too old; returns what it ended. Idle sessions stay, for viewing."""
        if self._undone:
            with suppress(Refused):
                self._delete()
        found = [each for each in self.all() if self.state(each, stamp) == ENDED]
        return [ended for each in found if (ended := self.end(each.id)) is not None]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _session(row: tuple[Any, ...]) -> Session:
    """Raises ValueError for a row that is no session: another program wrote the file."""
    id_, token, user, station, boot, opened_mono, opened_utc, last_mono, last_utc = row
    numbers = (opened_mono, opened_utc, last_mono, last_utc)
    if not all(isinstance(text, str) for text in (id_, token, user, station, boot)) or not all(
        isinstance(number, int) for number in numbers
    ):
        raise ValueError(f"a row of the sessions is no session: {str(id_)[:40]!r}")
    return Session(
        id_, token, user, station, Moment(boot, opened_mono, opened_utc),
        Moment(boot, last_mono, last_utc),
    )  # fmt: skip
