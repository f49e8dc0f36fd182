"""Log-in, log-out, passwords and accounts: worked off this thread, answered once recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi.responses import JSONResponse, Response
from starlette.requests import Request as Http

from controller.asking import Request
from controller.hmi.bodies import DisableBody, LoginBody, PasswordBody, UserBody
from controller.hmi.commands import FAST, ORIGIN
from controller.hmi.front import Front
from controller.hmi.limits import COMMANDS, LOGINS, Rate
from controller.hmi.who import Known, Who, answered, refusal
from controller.people import door
from controller.people.roles import NOBODY

STATUS = {"unauthenticated": 401, "locked": 423, "must_change": 403, "forbidden": 403,
          "bad_input": 422, "refused": 409}  # fmt: skip
NOT_RECORDED = "the record of it could not be made durable in time: it does not count"
OUT_NOT_RECORDED = "logged out, and the record of it could not be made durable in time"
DAY_S = 12 * 3600


class Logins:
    """People at one front."""

    def __init__(self, front: Front, who: Who, wall: Callable[[], float]) -> None:
        self._front, self._who = front, who
        self._rate, self._asks = Rate(LOGINS, wall), Rate(COMMANDS, wall)
        self._pool = ThreadPoolExecutor(2, "cellwright-login")

    async def _off(self, work: Callable[..., door.Outcome], *given: Any) -> door.Outcome:
        """Does what hashes or writes the disk beside this thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, work, self._front.people, *given)

    async def log_in(self, http: Http, body: LoginBody) -> Response:
        """Opens a session and gives its cookie, once that is recorded."""
        if not self._rate.take(self._who.address(http)):
            return refusal(429, "refused", FAST.format(*LOGINS), wait_s=LOGINS[1])
        done = await self._off(
            door.log_in, body.user, body.password, body.new_password, self._who.terminal(http),
            self._front.stamp,
        )  # fmt: skip
        recorded = await self._front.report(done.events)
        if done.session is None or done.account is None:
            return _refused(done)
        if not recorded:
            await self._off(door.log_out, done.session.id, self._front.stamp, NOT_RECORDED)
            return refusal(504, "expired", NOT_RECORDED)
        answer = JSONResponse(self._who.described(Known(done.session, done.account, True)))
        answer.set_cookie(
            self._who.cookie(http), done.token, max_age=DAY_S, path="/", httponly=True,
            samesite="strict", secure=self._front.settings.tls,
        )  # fmt: skip
        return answer

    async def log_out(self, http: Http) -> Response:
        """Ends a session."""
        session = self._who.session_of(http)
        if session is None:
            return refusal(401, "unauthenticated", "nobody is logged in")
        done = await self._off(door.log_out, session.id, self._front.stamp)
        recorded = await self._front.report(done.events)
        why = "" if recorded else OUT_NOT_RECORDED
        answer = JSONResponse({"accepted": True, "kind": "accepted", "why": why})
        answer.delete_cookie(self._who.cookie(http), path="/", httponly=True, samesite="strict",
                             secure=self._front.settings.tls)  # fmt: skip
        return answer

    async def change_password(self, http: Http, body: PasswordBody) -> Response:
        """A person's own password."""
        session = self._who.session_of(http)
        if session is None:
            return refusal(401, "unauthenticated", "nobody is logged in")
        if not self._rate.take(self._who.address(http)):
            return refusal(429, "refused", FAST.format(*LOGINS), wait_s=LOGINS[1])
        done = await self._off(
            door.change_password, session.id, body.password, body.new_password, self._front.stamp
        )
        await self._front.report(done.events)
        return _refused(done) if not done.accepted else JSONResponse(
            {"accepted": True, "kind": "accepted", "why": ""}
        )

    # -- accounts -------------------------------------------------------------------------------

    async def users(self, http: Http) -> Response:
        """Every account, for admins and auditors."""
        known = self._who.of(http)
        if known is None:
            return refusal(401, "unauthenticated", "nobody is logged in")
        if known.account.role not in ("admin", "auditor"):
            return refusal(403, "forbidden", f"the role {known.account.role} may not see accounts")
        found = [
            {"user": a.user, "name": a.name, "role": a.role, "disabled": a.disabled,
             "locked": a.locked, "must_change": a.must_change, "created_utc": a.created_utc}
            for a in self._front.people.accounts.all()
        ]  # fmt: skip
        return JSONResponse({"users": found})

    async def add_user(self, http: Http, body: UserBody) -> Response:
        """Adds a user; the password made for it is in this answer and nowhere else."""
        terminal = self._who.terminal(http)
        if body.code:
            if not self._rate.take(self._who.address(http)):
                return refusal(429, "refused", FAST.format(*LOGINS), wait_s=LOGINS[1])
            done = await self._off(
                door.add_first, body.code, body.user, body.name, terminal, self._front.stamp
            )
            return await self._made(done)
        answer, known = await self._ask(http, "user_add", body.user, f"{body.role};{body.name}", "")
        if known is None or not answer[0]:
            return answer[1]
        actor = door.named(known.account.user, terminal)
        done = await self._off(
            door.add_user, answer[0], actor, known.account.role, body.user, body.name, body.role,
            self._front.stamp,
        )  # fmt: skip
        return await self._made(done)

    async def disable_user(self, http: Http, user: str, body: DisableBody) -> Response:
        """Disables a user; the sessions of that user end at once."""
        answer, known = await self._ask(http, "user_disable", user, "", body.reason)
        if known is None or not answer[0]:
            return answer[1]
        actor = door.named(known.account.user, self._who.terminal(http))
        done = await self._off(
            door.disable_user, answer[0], actor, known.account.role, user, body.reason,
            self._front.stamp,
        )  # fmt: skip
        return await self._made(done)

    async def _made(self, done: door.Outcome) -> Response:
        recorded = await self._front.report(done.events)
        if not done.accepted:
            return _refused(done)
        if not recorded:
            return refusal(504, "expired", "done, but its record is not durable: look at the log")
        user = done.account.user if done.account is not None else ""
        found = {"accepted": True, "kind": "accepted", "why": "", "user": user}
        return JSONResponse(found | ({"password": done.password} if done.password else {}))

    async def _ask(
        self, http: Http, verb: str, target: str, value: str, reason: str
    ) -> tuple[tuple[int, Response], Known | None]:
        """The desk's answer to an admin: the command's id (0: refused) and the response."""
        known, session = self._who.of(http), self._who.session_of(http)
        terminal = self._who.terminal(http)
        if not self._asks.take(session.id if session else self._who.address(http)):
            return (0, refusal(429, "refused", FAST.format(*COMMANDS))), known
        actor = door.named(known.account.user, terminal) if known else door.unidentified(terminal)
        answer = await self._front.ask(Request(
            verb, target, value, actor, known.account.role if known else NOBODY, reason,
            session=session.id if session else "", station=terminal, origin=ORIGIN,
        ))  # fmt: skip
        number = answer.id if answer is not None and answer.accepted else 0
        return (number, answered(answer)), known


def _refused(done: door.Outcome) -> Response:
    more = {"must_change": True} if done.kind == "must_change" else {}
    return refusal(STATUS.get(done.kind, 409), done.kind, done.why, wait_s=round(done.wait_s, 1),
                   **more)  # fmt: skip
