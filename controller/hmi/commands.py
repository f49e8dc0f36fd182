"""Hold and commands: a request with its signatures goes to the desk, and its answer comes back.

Signatures are given here (user and password again, each time) for exactly the request they came
with; whether they are the right ones is the desk's to say.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from fastapi.responses import Response
from starlette.requests import Request as Http

from controller.asking import Answer, Busy, Request
from controller.hmi.bodies import CommandBody, HoldBody
from controller.hmi.front import Front
from controller.hmi.limits import COMMANDS, HOLD_SHARED_S, HOLDS, STRANGERS, Rate
from controller.hmi.who import Known, Who, answered, refusal
from controller.people import door
from controller.people.roles import NOBODY
from controller.people.session import Session
from controller.people.signature import Signature, request_digest

ORIGIN = "screen"
USERS = ("user_add", "user_disable")  # have routes of their own
FAST = "more than {0} in {1:g} s"


@dataclass(slots=True)
class _Shared:
    """One Hold for all who press while too many come: not asked yet, so it is for each of them."""

    request: Request
    answer: asyncio.Task[Answer | None] | None = None


class Commands:
    """What people ask of the unit."""

    def __init__(self, front: Front, who: Who, wall: Callable[[], float]) -> None:
        self._front, self._who = front, who
        self._holds, self._rate = Rate(HOLDS, wall), Rate(COMMANDS, wall)
        self._strangers = Rate(STRANGERS, wall)
        self._shared: _Shared | None = None
        self._signing = ThreadPoolExecutor(2, "cellwright-sign")

    async def hold(self, http: Http, body: HoldBody) -> Response:
        """Hold needs nobody: whoever is not logged in is an unidentified person.

        None is turned away: every browser at the station has one address, and somebody may flood.
        """
        known, terminal = self._who.of(http), self._who.terminal(http)
        reason = f"pressed for {body.pressed_ms} ms"
        if known is not None:
            actor, role, session = (door.named(known.account.user, terminal), known.account.role,
                                    known.session.id)  # fmt: skip
        else:
            actor, role, session = door.unidentified(terminal), NOBODY, ""
        request = Request("hold", actor=actor, role=role, reason=reason, session=session,
                          station=terminal, origin=ORIGIN)  # fmt: skip
        if self._holds.take(self._who.address(http)):
            return answered(await self._hold(request), hold=True)
        return answered(await self._hold_shared(request), hold=True)

    async def _hold(self, request: Request) -> Answer | None:
        try:
            return await self._front.ask(request)
        except Busy:  # Holds wait already: the next tick carries them out
            return None

    async def _hold_shared(self, request: Request) -> Answer | None:
        """Joins the Hold that is about to be asked; a person's own name goes before nobody's."""
        shared = self._shared
        if shared is None or shared.answer is None:
            shared = self._shared = _Shared(request)
            shared.answer = asyncio.get_running_loop().create_task(self._hold_soon(shared))
        elif request.session and not shared.request.session:
            shared.request = request
        return await asyncio.shield(shared.answer)

    async def _hold_soon(self, shared: _Shared) -> Answer | None:
        await asyncio.sleep(HOLD_SHARED_S)
        self._shared = None  # who comes from now on needs another: this one may be over
        return await self._hold(shared.request)

    async def command(self, http: Http, body: CommandBody) -> Response:
        """A command of a session; without one the desk refuses and records it."""
        known = self._who.of(http)
        if known is None and not self._strangers.take(self._who.address(http)):
            return refusal(429, "refused", FAST.format(*STRANGERS))
        if known is not None and not self._rate.take(known.session.id):
            return refusal(429, "refused", FAST.format(*COMMANDS))
        if body.verb in USERS:
            return refusal(422, "bad_input", "accounts have an address of their own: /api/users")
        if body.file and not body.value:  # what is signed is the file
            digest = hashlib.sha256(body.file_bytes).hexdigest()
            body = body.model_copy(update={"value": digest})
        terminal = self._who.terminal(http)
        given: tuple[Signature, ...] = ()
        if known is not None and known.commands and body.signatures:
            found = await self._sign(body, known, terminal)
            if isinstance(found, Response):
                return found
            given = found
        if known is not None:
            await asyncio.get_running_loop().run_in_executor(
                self._signing, self._front.people.sessions.touch, known.session.id,
                self._front.stamp,
            )  # fmt: skip
        session = self._who.session_of(http)
        return answered(await self._front.ask(self._request(body, session, terminal, given, known)))

    def _request(
        self, body: CommandBody, session: Session | None, terminal: str,
        given: tuple[Signature, ...], known: Known | None,
    ) -> Request:  # fmt: skip
        """The request as the desk takes it; who asks follows from the session alone."""
        who = door.named(known.account.user, terminal) if known else door.unidentified(terminal)
        return Request(
            body.verb, body.target, body.value, who, known.account.role if known else NOBODY,
            body.reason, expected=body.expected, session=session.id if session else "",
            station=terminal, signatures=given, seen_ns=int(body.seen), origin=ORIGIN,
            file=body.file_bytes,
        )  # fmt: skip

    async def _sign(
        self, body: CommandBody, known: Known, terminal: str
    ) -> tuple[Signature, ...] | Response:
        """The signatures of a request, or why there are none; a failed one is recorded."""
        front, loop = self._front, asyncio.get_running_loop()
        digest = request_digest(
            body.verb, body.target, body.value, body.expected, body.reason, front.batch_id
        )
        found: list[Signature] = []
        for each in body.signatures:
            done = await loop.run_in_executor(
                self._signing, door.sign, front.people, each.user, each.password, each.meaning,
                body.reason, digest, terminal, front.stamp,
            )  # fmt: skip
            if not await front.report(done.events):
                return refusal(504, "expired", "the record of a signature is not there in time")
            if done.signature is None:
                status = 423 if done.kind == "locked" else 401
                why = f"signature of {each.user[:40]}: {done.why}"
                return refusal(status, "unauthenticated", why, wait_s=round(done.wait_s, 1))
            found.append(done.signature)
        return tuple(found)
