"""The routes: what is asked over HTTP, and the feed. Decisions are the desk's, not made here.

Without a session there are the pages, a log-in and Hold, nothing else. Every answer to a request
that changes something is `{accepted, kind, why}`; what was refused for who asks is recorded too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocketDisconnect

from controller.asking import Malformed
from controller.core.errors import CellwrightError
from controller.hmi.bodies import CommandBody, HoldBody
from controller.hmi.commands import Commands
from controller.hmi.feed import Client
from controller.hmi.front import Front
from controller.hmi.guard import App, Guard
from controller.hmi.limits import CLOSE_S, HISTORY_TAGS, READS, ROWS_A_PAGE, Rate
from controller.hmi.logins import Logins
from controller.hmi.looks import Looks
from controller.hmi.static import INDEX, assets
from controller.hmi.who import Who, refusal

NOBODY_KNOWN = "nobody is logged in"
BUSY = 503


class Api:
    """The routes of one front."""

    def __init__(self, front: Front, wall: Callable[[], float]) -> None:
        self._front, self._reads = front, Rate(READS, wall)
        self._who = Who(front)
        people = Logins(front, self._who, wall)
        looks = Looks(front, self._who, wall)
        self._commands = Commands(front, self._who, wall)
        self._files = assets(
            front.settings.static, front.settings.demo, front.settings.simulated
        )
        self._model = json.dumps(front.model, separators=(",", ":")).encode()
        self.router = APIRouter()
        add = self.router.add_api_route
        for path, method, handler in (
            ("/api/login", "POST", people.log_in), ("/api/logout", "POST", people.log_out),
            ("/api/password", "POST", people.change_password),
            ("/api/me", "GET", self.me), ("/api/hold", "POST", self.hold),
            ("/api/command", "POST", self.command), ("/api/unit", "GET", self.unit),
            ("/api/history", "GET", self.history), ("/api/record", "GET", self.record),
            ("/api/element", "GET", looks.element), ("/api/change", "GET", looks.change),
            ("/api/users", "GET", people.users), ("/api/users", "POST", people.add_user),
            ("/api/users/{user}/disable", "POST", people.disable_user),
            ("/{path:path}", "GET", self.page),
        ):  # fmt: skip
            add(path, handler, methods=[method], response_model=None)
        self.router.add_api_websocket_route("/api/feed", self.feed)

    # -- reading --------------------------------------------------------------------------------

    def _known(self, request: HTTPConnection) -> str:
        """The session's id; raises 401 without one, 429 for too many questions."""
        found = self._who.of(request)
        if found is None:
            raise HTTPException(401, NOBODY_KNOWN)
        if not self._reads.take(found.session.id):
            raise HTTPException(429, "too many questions")
        return found.session.id

    async def me(self, request: Request) -> Response:
        """Who asks."""
        found = self._who.of(request)
        if found is None:
            raise HTTPException(401, NOBODY_KNOWN)
        return JSONResponse(self._who.described(found))

    async def unit(self, request: Request) -> Response:
        """The description of the unit."""
        self._known(request)
        return Response(self._model, media_type="application/json")

    async def history(self, request: Request, tags: str, from_s: float, to_s: float) -> Response:
        """The past of some tags."""
        self._known(request)
        names = list(dict.fromkeys(tag for tag in tags.split(",") if tag))
        unknown = self._front.trends.unknown(names)
        if not names or len(names) > HISTORY_TAGS or unknown:
            why = f"unknown: {', '.join(unknown[:4])[:80]}" if unknown else (
                f"name 1 to {HISTORY_TAGS} tags"
            )
            raise HTTPException(422, why)
        if not (0 <= from_s <= to_s <= 1e11):
            raise HTTPException(422, "from_s and to_s are seconds since 1970, the earlier first")
        return JSONResponse(self._front.trends.columns(names, from_s, to_s))

    async def record(
        self, request: Request, before: int | None = None, limit: int = 100, events: str = ""
    ) -> Response:
        """Rows of the record, oldest first; `events`: how the names of the wanted ones begin."""
        self._known(request)
        rows = self._front.rows.page(before, min(limit, ROWS_A_PAGE), events)
        return JSONResponse({"rows": rows})

    async def page(self, request: Request, path: str) -> Response:
        """The built pages."""
        asset = self._files.get(path or INDEX)
        if asset is None:
            raise HTTPException(404, "there is no such page")
        keep = "public, max-age=31536000, immutable" if asset.forever else "no-cache"
        headers = {"ETag": asset.tag, "Cache-Control": keep, "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == asset.tag:
            return Response(status_code=304, headers=headers)
        if asset.packed and "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(asset.packed, media_type=asset.kind, headers=headers)
        return Response(asset.data, media_type=asset.kind, headers=headers)

    # -- asking ---------------------------------------------------------------------------------

    async def hold(self, request: Request, body: HoldBody) -> Response:
        """Hold: of anybody, after a deliberate press."""
        return await self._commands.hold(request, body)

    async def command(self, request: Request, body: CommandBody) -> Response:
        """Everything else that a person may ask of the unit."""
        return await self._commands.command(request, body)

    # -- the feed -------------------------------------------------------------------------------

    async def feed(self, socket: WebSocket) -> None:
        """Snapshots to one browser, as long as its session stands."""
        found = self._who.of(socket)
        if found is None:
            await socket.close(4401, NOBODY_KNOWN)
            return
        if self._front.feed.full or not self._front.snapshot:
            await socket.close(1013, "try again later")
            return
        if self._front.feed.full_for(found.session.id):
            await socket.close(1013, "this log-in is shown in too many pages: close one")
            return
        await socket.accept()
        client = Client(socket.send_text, lambda: self._who.stands(found.session.id),
                        found.session.id)  # fmt: skip
        try:
            await self._watch(socket, client)
        finally:
            self._front.watched = bool(self._front.feed.clients)

    async def _watch(self, socket: WebSocket, client: Client) -> None:
        self._front.watched = True
        try:
            try:
                await self._front.feed.serve(client)
                code, why = 4401, "the session has ended"
            except TimeoutError:
                code, why = 1008, "nothing was taken for too long"
            await asyncio.wait_for(socket.close(code, why), CLOSE_S)
        except (WebSocketDisconnect, RuntimeError, OSError, TimeoutError):
            return  # it went away, or takes not even that: its missing pong ends it


async def _no_input(request: Request, error: Exception) -> Response:
    """What was sent is not what the route takes; it is not sent back."""
    where = ""
    if isinstance(error, RequestValidationError) and error.errors():
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        where = f"{place[:80]}: {str(first['msg'])[:120]}"
    return refusal(422, "bad_input", f"this is not what is asked for here: {where}")


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    kinds = {401: "unauthenticated", 403: "forbidden", 422: "bad_input"}
    why = str(error.detail) if isinstance(error, HTTPException) else "a fault of the server"
    return refusal(status, kinds.get(status, "refused"), why)


async def _busy(request: Request, error: Exception) -> Response:
    if isinstance(error, Malformed):
        return refusal(422, "bad_input", error.what)
    return refusal(BUSY, "refused", getattr(error, "what", "it cannot be done now"))


def make_app(front: Front, wall: Callable[[], float]) -> App:
    """The whole application; `wall` reads a monotonic clock in s."""
    front.begin()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.include_router(Api(front, wall).router)
    handlers: tuple[tuple[Any, Any], ...] = (
        (RequestValidationError, _no_input), (HTTPException, _http_error),
        (404, _http_error), (405, _http_error), (CellwrightError, _busy),
    )  # fmt: skip
    for what, handler in handlers:
        app.add_exception_handler(what, handler)
    return Guard(app, front.settings.host, front.settings.tls)
