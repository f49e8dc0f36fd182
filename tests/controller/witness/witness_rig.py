"""A witness as a real process on loopback, logs that grow, and a clock that is passed in."""

from __future__ import annotations

import http.client
import http.server
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from controller.core.clock import RealClock, Stamp
from controller.core.events import Event
from controller.record.files import VolatileFiles
from controller.record.keys import Keys, Signer
from controller.record.log import BatchLog
from controller.witness.asking import WitnessAt
from controller.witness.cosign import witness_key

ROOT = Path(__file__).parents[3]
KEYS = Keys.from_seed(11)
FAKE = Signer("x", bytes(range(9, 41)))
NOW_S = 1_800_000_000


def now() -> Stamp:
    return RealClock().stamp()


def new_log(path: Path, *, keys: Keys = KEYS, purpose: str = "batch B-1") -> BatchLog:
    return BatchLog.create(path, keys, now(), purpose=purpose, files=VolatileFiles())


def again(path: Path, *, keys: Keys = KEYS) -> BatchLog:
    return BatchLog.open(path, keys, now(), files=VolatileFiles())


def grow(log: BatchLog, records: int, tag: str = "TT101") -> BatchLog:
    """Appends records and publishes a checkpoint of them."""
    for number in range(records):
        data = {"tag": tag, "old": "good", "new": "bad", "reason": "too_old", "scan": number}
        log.append(Event("quality.changed", now(), data=data))
    log.checkpoint(now())
    return log


def until(condition: Callable[[], Any], what: str, limit_s: float = 20.0) -> Any:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {limit_s:g} s: {what}")


@dataclass
class Served:
    """A witness that runs."""

    process: subprocess.Popen[str]
    line: str
    state: Path

    @property
    def at(self) -> WitnessAt:
        return WitnessAt.parse(self.line)

    @property
    def port(self) -> int:
        return self.at.address.port

    def post(self, path: str, body: bytes, **headers: str) -> tuple[int, bytes, str]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        line.request("POST", path, body, headers)
        answer = line.getresponse()
        found = answer.status, answer.read(), answer.getheader("content-type") or ""
        line.close()
        return found

    def get(self, path: str) -> tuple[int, bytes]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        line.request("GET", quote(path))
        answer = line.getresponse()
        found = answer.status, answer.read()
        line.close()
        return found

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def end(self) -> str:
        """Ends it as its operator does; what it said."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.communicate(timeout=10)[0]


def start(
    state: Path, *, port: int = 0, keys: Keys = KEYS, extra: tuple[str, ...] = (),
    program: tuple[str, ...] = ("-m", "controller.cli"),
) -> Served:  # fmt: skip
    words = [sys.executable, *program, "witness", "serve", "--state", str(state), "--port",
             str(port), "--trust", str(keys.device.verifier), *extra]  # fmt: skip
    process = subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    first = process.stdout.readline()
    if not first.startswith("witness: "):
        rest = process.communicate(timeout=10)[0]
        raise AssertionError(first + rest)
    return Served(process, first.removeprefix("witness: ").strip(), state)


@contextmanager
def witness(state: Path, **options: Any) -> Iterator[Served]:
    served = start(state, **options)
    try:
        yield served
    finally:
        served.end()


@contextmanager
def answering(answer: Callable[[str, bytes], tuple[int, bytes]]) -> Iterator[str]:
    """A server that says what it is told to; its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self._say(*answer(self.path, body))

        def do_GET(self) -> None:
            self._say(*answer(self.path, b""))

        def _say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fake(url: str) -> WitnessAt:
    return WitnessAt.parse(f"{url}={witness_key(FAKE, 'witness.example/fake')}")


def copy_of(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    for path in to.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return to
