"""The one thread beside the supervisor's: an event loop with uvicorn on a socket bound before.

Everything heavy (the web framework) is imported here, in that thread, so that no tick waits for it.
What goes wrong in it ends the thread, with the reason kept; the supervisor starts it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from controller.core.errors import BadInput
from controller.hmi.limits import PING_S, REST_S, SWEEP_LINES_S
from controller.hmi.lines import Lines, Listener

END_S = 3.0
NAME = "cellwright-screen"


class Server:
    """Serves one ASGI application on one address."""

    def __init__(
        self, make_app: Callable[[], Any], host: str, port: int,
        pem: tuple[Path, Path] | None, what: str = "the screen",
    ) -> None:  # fmt: skip
        """`pem`: certificate and key, None for plain HTTP. Port 0: the machine chooses, once.
        `what` is served, in words."""
        self._make_app, self._host, self._pem, self._what = make_app, host, pem, what
        self.port = port
        self.failure = ""
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: Any = None

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        shown = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 - compared
        return f"{'https' if self._pem else 'http'}://{shown}:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Binds the address and starts the thread. Raises BadInput when it is not free."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        bound = Listener(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((self._host, self.port))
        except OSError as error:
            bound.close()
            raise BadInput(
                f"{self._what} cannot be served at {self._host}, port {self.port}: "
                f"{error.strerror}",
                do="Choose another port, or end the program that has it.",
            ) from error
        bound.listen()  # who comes before the web framework is loaded waits a moment
        self.port = int(bound.getsockname()[1])
        self.failure = ""
        self._thread = threading.Thread(target=self._run, args=(bound,), name=NAME, daemon=True)
        self._thread.start()

    def call(self, what: Callable[..., object], *given: Any) -> bool:
        """Lets the server's thread do something soon; False when it does not run."""
        loop = self._loop
        if loop is None:
            return False
        try:
            loop.call_soon_threadsafe(self._do, what, given)
        except RuntimeError:  # it ended just now
            return False
        return True

    def _do(self, what: Callable[..., object], given: tuple[Any, ...]) -> None:
        """What was handed over and cannot be done ends the thread: it must not look alive."""
        try:
            what(*given)
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"[:300]
            self._server.should_exit = self._server.force_exit = True

    def stop(self) -> None:
        """Ends the thread; gives up waiting after a while, it dies with the process."""
        if self._server is not None:
            self._server.should_exit = self._server.force_exit = True
        if self._thread is not None:
            self._thread.join(END_S)

    def _run(self, bound: Listener) -> None:
        try:
            self._serve(bound)
            self.failure = self.failure or "it ended by itself"
        except (Exception, SystemExit) as error:
            self.failure = f"{type(error).__name__}: {error}"[:300]
        finally:
            self._loop = None
            bound.close()

    def _serve(self, bound: Listener) -> None:
        import uvicorn

        from controller.hmi.protocol import speaking

        lines = bound.lines = Lines(time.monotonic)
        options: dict[str, Any] = {}
        if self._pem is not None:
            options = {"ssl_certfile": str(self._pem[0]), "ssl_keyfile": str(self._pem[1])}
        config = uvicorn.Config(
            self._make_app(), lifespan="off", log_config=None, access_log=False,
            http=speaking(lines), ws="websockets-sansio", ws_per_message_deflate=False,
            ws_max_size=1024, ws_ping_interval=PING_S, ws_ping_timeout=PING_S, server_header=False,
            timeout_keep_alive=round(REST_S), proxy_headers=False,
            timeout_graceful_shutdown=1, h11_max_incomplete_event_size=16_384, **options,
        )  # fmt: skip
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
        loop = asyncio.new_event_loop()
        try:
            config.load()
            if config.ssl is not None:
                config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
            # A connection that breaks is its client's matter, and said to nobody.
            loop.set_exception_handler(lambda _, context: None)
            self._server = uvicorn.Server(config)
            self._loop = loop
            loop.call_soon(_look_after, lines, loop)
            loop.run_until_complete(self._server.serve(sockets=[bound]))
        finally:
            self._loop = None
            with contextlib.suppress(RuntimeError):
                for task in asyncio.all_tasks(loop):
                    task.cancel()
                loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()


def _look_after(lines: Lines, loop: asyncio.AbstractEventLoop) -> None:
    """Ends late connections, again and again."""
    lines.end_late()
    loop.call_later(SWEEP_LINES_S, _look_after, lines, loop)
