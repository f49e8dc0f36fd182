"""Looking at one element of the procedure, and at a change before it is signed.

Both are worked out beside the tick, in one thread of their own: they cost the supervisor nothing
but what two people at a screen may ask. Who may not change a recipe is told no consequence of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from fastapi import HTTPException
from fastapi.responses import JSONResponse, Response
from starlette.requests import Request as Http

from controller.asking import TEXT_MAX
from controller.core.errors import CellwrightError
from controller.hmi.elements import NO_BATCH, Running, element, preview
from controller.hmi.front import Front
from controller.hmi.limits import LOOKS, PREVIEWS, Rate
from controller.hmi.who import Known, Who

CHANGE = "change"


class Looks:
    """The two questions of one front."""

    def __init__(self, front: Front, who: Who, wall: Callable[[], float]) -> None:
        self._front, self._who = front, who
        self._looks, self._previews = Rate(LOOKS, wall), Rate(PREVIEWS, wall)
        self._thinking = ThreadPoolExecutor(1, "cellwright-look")

    async def element(self, request: Http, path: str) -> Response:
        """One element in full."""
        self._known(request, self._looks)
        running = self._running(path)
        try:
            found = await self._think(partial(element, running, path))
        except CellwrightError as error:
            raise HTTPException(422, error.what) from None
        return JSONResponse(found)

    async def change(self, request: Http, target: str, value: str) -> Response:
        """What a change would do."""
        known = self._known(request, self._previews)
        role = known.account.role
        if CHANGE not in self._front.people.rights.verbs_of(role):
            raise HTTPException(403, f"{role} may not {CHANGE}")
        running = self._running(target, value)
        user = known.account.user
        return JSONResponse(await self._think(partial(preview, running, target, value, user)))

    def _known(self, request: Http, rate: Rate) -> Known:
        known = self._who.of(request)
        if known is None:
            raise HTTPException(401, "nobody is logged in")
        if not rate.take(known.session.id):
            raise HTTPException(429, "too many questions")
        return known

    def _running(self, *texts: str) -> Running:
        if any(len(text) > TEXT_MAX for text in texts):
            raise HTTPException(422, f"longer than {TEXT_MAX} characters")
        if self._front.running is None:
            raise HTTPException(409, NO_BATCH)
        return self._front.running

    async def _think(self, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        return await asyncio.get_running_loop().run_in_executor(self._thinking, work)
