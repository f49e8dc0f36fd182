"""Who asks: the session behind a cookie, the terminal behind an address, and a refusal in words."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

from fastapi.responses import JSONResponse, Response
from starlette.requests import HTTPConnection

from controller.asking import Answer
from controller.hmi.front import HOLD_LATE, LATE, Front
from controller.people.accounts import Account
from controller.people.session import Session

COOKIE = "cellwright"  # and the port, see `Who.cookie`
STATUS = {"accepted": 200, "unauthenticated": 401, "forbidden": 403, "stale": 409, "refused": 409,
          "expired": 410, "bad_input": 422}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Known:
    """A person with a session; `commands` False: it was idle too long and only shows."""

    session: Session
    account: Account
    commands: bool


class Who:
    """Looks up who asks at one front."""

    def __init__(self, front: Front) -> None:
        self._front = front

    def of(self, request: HTTPConnection) -> Known | None:
        """The person of a request; None without a session that stands."""
        session = self.session_of(request)
        if session is None:
            return None
        found = self._front.people.who(session.id, self._front.stamp)
        return Known(*found) if found is not None else None

    def session_of(self, request: HTTPConnection) -> Session | None:
        """The session of a request, also of a user who was disabled."""
        token = request.cookies.get(self.cookie(request), "")
        return self._front.people.sessions.by_token(token) if token else None

    def cookie(self, request: HTTPConnection) -> str:
        """The name of the cookie: browsers send a host's cookies to every port of it, and another
        station may be served at another one."""
        server = request.scope.get("server")
        return f"{COOKIE}-{server[1]}" if server else COOKIE

    def stands(self, session_id: str) -> bool:
        """Whether a session may still be shown anything."""
        return self._front.people.who(session_id, self._front.stamp) is not None

    def terminal(self, request: HTTPConnection) -> str:
        """The name of the terminal a request comes from: the station's own, or an address."""
        host = self.address(request)
        try:
            own = ipaddress.ip_address(host).is_loopback
        except ValueError:
            own = True
        return self._front.settings.station if own else host

    def address(self, request: HTTPConnection) -> str:
        """Where a request comes from."""
        return request.client.host if request.client is not None else ""

    def described(self, known: Known) -> dict[str, Any]:
        """A person as a page shows it."""
        people, account = self._front.people, known.account
        return {
            "user": account.user, "name": account.name, "role": account.role,
            "rights": list(people.rights.verbs_of(account.role)),
            "must_change": account.must_change, "view_only": not known.commands,
            "demo": self._front.settings.demo, "simulated": self._front.settings.simulated,
        }  # fmt: skip


def refusal(status: int, kind: str, why: str, **more: Any) -> Response:
    """A refusal as every route gives it."""
    return JSONResponse({"accepted": False, "kind": kind, "why": why, **more}, status)


def answered(answer: Answer | None, hold: bool = False) -> Response:
    """The desk's answer as HTTP; None: it gave none in time."""
    if answer is None:
        return refusal(504, "expired", HOLD_LATE if hold else LATE)
    if answer.accepted:
        return JSONResponse({"accepted": True, "id": answer.id, "kind": "accepted",
                             "why": answer.why})  # fmt: skip
    return refusal(STATUS.get(answer.kind, 409), answer.kind, answer.why)
