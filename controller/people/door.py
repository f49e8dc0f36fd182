"""Log-in, signing and accounts, as the screen's server calls them: off the supervisor's thread.

Each function does its work (a hash, the disk) and returns an `Outcome` with the records that say
so. The caller hands these to `Desk.report` and answers the person only once they are durable.
What a person typed is cut and made printable before it goes anywhere.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from controller.core.clock import Stamp
from controller.core.errors import BadInput, CellwrightError, Refused
from controller.core.events import Event
from controller.core.quantity import decimal_text
from controller.people.accounts import Account, user_id
from controller.people.password import check_password, first_password
from controller.people.people import People
from controller.people.roles import NOBODY
from controller.people.session import Session
from controller.people.signature import Signature

TYPED_MAX: Final = 80
WRONG: Final = "wrong user or password"
AGAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it, and what is to be recorded.

    `kind`: accepted, unauthenticated (wrong user or password), locked (not looked at for `wait_s`
    more), must_change (right, but a new password is needed), forbidden, bad_input, refused.
    `token` is the cookie of a new session, `password` the one made for a new user: neither is kept.
    """

    kind: str
    why: str = ""
    wait_s: float = 0.0
    events: tuple[Event, ...] = ()
    session: Session | None = None
    account: Account | None = None
    signature: Signature | None = None
    token: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def accepted(self) -> bool:
        """Whether it was done."""
        return self.kind == "accepted"


def plain(text: str, limit: int = TYPED_MAX) -> str:
    """What was typed, as it may be recorded: cut, and printable."""
    return "".join(c if c.isprintable() else "?" for c in text[:limit])


def unidentified(station: str) -> str:
    """The actor of what a person does who is not logged in."""
    return f"unidentified person@{station}"


def named(user: str, station: str) -> str:
    """The actor of what a user does at a terminal."""
    return f"{user}@{station}"


# -- log in, log out ------------------------------------------------------------------------------


def log_in(
    people: People, user: str, password: str, new_password: str, station: str, stamp: Stamp
) -> Outcome:
    """Opens a session. `new_password` "" = keep the present one."""
    checked = _checked(people, user, password, stamp)
    account = checked.account
    if account is None or not checked.accepted:
        return _refused(people, checked, user, station, stamp)
    events: tuple[Event, ...] = ()
    try:
        if new_password:
            events = _changed(people, account, password, new_password, station, stamp)
        elif account.must_change:
            needs = "the first log-in needs a new password"
            return _refused(people, Outcome("must_change", needs), user, station, stamp)
        session, token = people.sessions.open(account.user, station, stamp)
        with suppress(Refused):
            people.first_code()  # somebody has logged in: it goes
    except CellwrightError as error:
        kind = "bad_input" if isinstance(error, BadInput) else "refused"
        return _refused(people, Outcome(kind, error.what, events=events), user, station, stamp)
    opened = Event("session.opened", stamp, named(account.user, station), account.role, data={
        "user": account.user, "name": account.name, "session": session.id, "station": station,
    })  # fmt: skip
    return Outcome("accepted", events=(*events, opened), session=session, token=token,
                   account=people.accounts.find(account.user))  # fmt: skip


def log_out(people: People, session_id: str, stamp: Stamp, why: str = "logged out") -> Outcome:
    """Ends a session; refused, without a record, if there is none."""
    session = people.sessions.end(session_id)  # also where the disk does not take it
    if session is None:
        return Outcome("refused", "no such session is open")
    return Outcome("accepted", events=(_ended(people, session, stamp, why),), session=session)


def sweep(people: People, stamp: Stamp) -> Outcome:
    """Ends the sessions that are too old; to be called every few seconds."""
    ended = people.sessions.expire(stamp)
    events = tuple(_ended(people, session, stamp, "its time is over") for session in ended)
    return Outcome("accepted", events=events)


def change_password(
    people: People, session_id: str, password: str, new_password: str, stamp: Stamp
) -> Outcome:
    """A person's own password; the present one is asked for again. Other sessions end."""
    found = people.who(session_id, stamp)
    if found is None:
        return Outcome("unauthenticated", "nobody is logged in")
    session, account, _ = found
    checked = _checked(people, account.user, password, stamp)
    if not checked.accepted:
        return _refused(people, checked, account.user, session.station, stamp)
    try:
        events = _changed(people, account, password, new_password, session.station, stamp)
    except CellwrightError as error:
        kind = "bad_input" if isinstance(error, BadInput) else "refused"
        refused = Outcome(kind, error.what)
        return _refused(people, refused, account.user, session.station, stamp)
    others = [s for s in people.sessions.all() if s.user == account.user and s.id != session_id]
    ended = [each for s in others if (each := people.sessions.end(s.id)) is not None]
    events += tuple(_ended(people, each, stamp, "the password was changed") for each in ended)
    return Outcome("accepted", events=events, session=session)


# -- signing --------------------------------------------------------------------------------------


def sign(
    people: People, user: str, password: str, meaning: str, reason: str, digest: str,
    station: str, stamp: Stamp,
) -> Outcome:  # fmt: skip
    """A signature for one request (`signature.request_digest`), after user and password anew.

    The record `signature.given` is made by the desk, when the request is accepted; a failed one
    is recorded from here.
    """
    checked = _checked(people, user, password, stamp)
    account = checked.account
    if account is None or not checked.accepted:
        return _refused(people, checked, user, station, stamp, meaning)
    signature = people.seals.sealed(Signature(
        account.user, account.name, account.role, meaning, reason, digest, stamp.rfc3339(),
        stamp.mono_ns, people.random(16).hex(),
    ))  # fmt: skip
    return Outcome("accepted", account=account, signature=signature)


# -- accounts -------------------------------------------------------------------------------------


def add_user(
    people: People, number: int, actor: str, actor_role: str, user: str, name: str, role: str,
    stamp: Stamp,
) -> Outcome:  # fmt: skip
    """Carries out an accepted `user_add`, command `number`; the password is shown once."""
    done = _added(people, actor, actor_role, user, name, role, stamp)
    return _with_outcome(done, number, stamp)


def add_first(
    people: People, code: str, user: str, name: str, station: str, stamp: Stamp
) -> Outcome:
    """The first admin of a new station, by the code in its state directory.

    The code is good until that person has logged in: whoever lost the answer with the password
    asks again, and gets another one for the same id.
    """
    if not people.is_first_code(code):
        refused = Outcome("unauthenticated", "this is not the code, or somebody has an account")
        return _refused(people, refused, user, station, stamp)
    actor, known = f"first admin code@{station}", people.first_admin
    if known is None:
        done = _added(people, actor, NOBODY, user, name, "admin", stamp)
    elif known.user == user_id(user):
        done = _another(people, known, actor, stamp)
    else:
        done = Outcome("refused", f"the first admin is {known.user}: ask again for that id")
    return done if done.accepted else _refused(people, done, user, station, stamp)


def _another(people: People, account: Account, actor: str, stamp: Stamp) -> Outcome:
    """Another first password."""
    password = first_password(people.random)
    try:
        people.accounts.set_hash(account.user, people.passwords.hash(password), must_change=True)
    except Refused as error:
        return Outcome("refused", error.what)
    data = {"user": account.user}
    event = Event("account.password_changed", stamp, actor, NOBODY, data=data)
    return Outcome("accepted", events=(event,), account=account, password=password)


def disable_user(
    people: People, number: int, actor: str, actor_role: str, user: str, reason: str, stamp: Stamp
) -> Outcome:
    """Carries out an accepted `user_disable`, command `number`: the user's sessions end at once."""
    try:
        account = people.accounts.disable(user)
    except Refused as error:
        return _with_outcome(Outcome("refused", error.what), number, stamp)
    data = {"user": account.user}
    events = [Event("account.disabled", stamp, actor, actor_role, reason, data)]
    events += ended_with(people, account, stamp)
    done = Outcome("accepted", events=tuple(events), account=account)
    return _with_outcome(done, number, stamp)


def ended_with(people: People, account: Account, stamp: Stamp) -> list[Event]:
    """Ends the sessions of a user who was disabled."""
    ended = people.sessions.end_all_of(account.user)
    return [_ended(people, session, stamp, "the user was disabled") for session in ended]


# -- what they share ------------------------------------------------------------------------------


def _checked(people: People, user: str, password: str, stamp: Stamp) -> Outcome:
    """Whether user and password are right; a wrong one is counted, and `wait_s` follows."""
    if people.closed:
        return Outcome("refused", f"nobody can log in: {people.closed.splitlines()[0]}"[:300])
    try:
        with people.trying(user[:TYPED_MAX]):
            return _looked_at(people, user[:TYPED_MAX], password, stamp)
    except Refused as error:
        return Outcome("locked", error.what, AGAIN_S)


def _looked_at(people: People, user: str, password: str, stamp: Stamp) -> Outcome:
    accounts = people.accounts
    wait_s, locked = accounts.wait_s(user, stamp)
    if wait_s > 0:
        why = "locked after wrong passwords" if locked else "too soon after a wrong password"
        return Outcome("locked", f"{why}: wait {math.ceil(wait_s)} s", wait_s)
    account = accounts.find(user)
    usable = account is not None and not account.disabled
    right = people.passwords.verify(account.hash if account and usable else None, password)
    if account is not None and right:
        accounts.succeeded(account.user)
        return Outcome("accepted", account=accounts.find(user))
    failed = accounts.failed(user, stamp)
    if failed.locked:
        why = f"{WRONG}; locked for {math.ceil(failed.delay_s)} s"
        return Outcome("unauthenticated", why, failed.delay_s, account=account)
    return Outcome("unauthenticated", WRONG, failed.delay_s)


def _refused(
    people: People, outcome: Outcome, user: str, station: str, stamp: Stamp, meaning: str = ""
) -> Outcome:
    """The same outcome with its records: one refusal, and the lock it may have led to."""
    actor, data = unidentified(station), {"user": plain(user), "station": station}
    if meaning:
        refusal = {**data, "meaning": plain(meaning), "why": outcome.why}
        events = [*outcome.events, Event("signature.refused", stamp, actor, NOBODY, data=refusal)]
    else:
        refusal = {**data, "why": outcome.why}
        events = [*outcome.events, Event("session.refused", stamp, actor, NOBODY, data=refusal)]
    account = people.accounts.find(user)
    if outcome.kind == "unauthenticated" and outcome.account is not None and account is not None:
        lock = {"user": account.user, "station": station, "lock_s": decimal_text(outcome.wait_s)}
        events.append(Event("account.locked", stamp, actor, NOBODY, data=lock))
    return Outcome(outcome.kind, outcome.why, outcome.wait_s, tuple(events))


def _changed(
    people: People, account: Account, password: str, new_password: str, station: str, stamp: Stamp
) -> tuple[Event, ...]:
    """Sets another password. Raises BadInput for one that is not good enough."""
    check_password(new_password, account.user, account.name)
    if new_password == password:
        raise BadInput("the new password is the old one", do="Choose another one.")
    people.accounts.set_hash(account.user, people.passwords.hash(new_password), must_change=False)
    actor, data = named(account.user, station), {"user": account.user}
    return (Event("account.password_changed", stamp, actor, account.role, data=data),)


def _added(
    people: People, actor: str, actor_role: str, user: str, name: str, role: str, stamp: Stamp
) -> Outcome:
    try:
        people.accounts.check_free(user, name, role)
        password = first_password(people.random)
        hash_ = people.passwords.hash(password)
        account = people.accounts.add(user, name, role, hash_, True, stamp)
    except CellwrightError as error:
        return Outcome("bad_input" if isinstance(error, BadInput) else "refused", error.what)
    data = {"user": account.user, "name": account.name, "role": account.role}
    event = Event("account.added", stamp, actor, actor_role, data=data)
    return Outcome("accepted", events=(event,), account=account, password=password)


def _ended(people: People, session: Session, stamp: Stamp, why: str) -> Event:
    account = people.accounts.find(session.user)
    data = {"user": session.user, "session": session.id, "station": session.station, "why": why}
    role = account.role if account is not None else ""
    return Event("session.ended", stamp, named(session.user, session.station), role, data=data)


def _with_outcome(done: Outcome, number: int, stamp: Stamp) -> Outcome:
    """The same with the outcome of the command that asked for it."""
    result = "applied" if done.accepted else "refused"
    data = {"id": number, "result": result, "why": done.why[:200]}
    event = Event("command.outcome", stamp, data=data)
    return Outcome(done.kind, done.why, events=(*done.events, event), account=done.account,
                   password=done.password)  # fmt: skip


__all__ = [
    "Outcome", "add_first", "add_user", "change_password", "disable_user", "ended_with",
    "log_in", "log_out", "named", "plain", "sign", "sweep", "unidentified", "user_id",
]  # fmt: skip
