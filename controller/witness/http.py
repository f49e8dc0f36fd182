"""One HTTP request with limits: an address that was checked, a time-out, an answer of some bytes.

A module because both the witness and the time-stamping authority are asked so, from threads that
may wait; nothing is followed, kept or tried again here.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from controller.core.errors import BadInput

TIMEOUT_S = 3.0  # for one step of a request
WHOLE_S = 10.0  # for all of it: an answer that drips is none
ANSWER_BYTES_MAX = 64 * 1024
_WORDS_MAX = 200


class Unanswered(Exception):
    """Nothing usable came back; the text says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service is: `http://` or `https://`, host, port and the path before its own."""

    text: str
    tls: bool
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, text: str, what: str) -> Address:
        """The address in `text`. Raises BadInput, which says what it is the address of."""
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise BadInput(f"{text[:120]!r} is no address of {what}") from None
        plain = parts.scheme in ("http", "https") and parts.hostname and not (
            parts.query or parts.fragment or "@" in parts.netloc
        )
        if not plain or not text.isascii() or not text.isprintable() or " " in text:
            raise BadInput(f"{text[:120]!r} is no address of {what}", do="http://HOST:PORT")
        tls = parts.scheme == "https"
        return cls(text, tls, str(parts.hostname), port or (443 if tls else 80),
                   parts.path.rstrip("/"))  # fmt: skip

    def ask(
        self, method: str, path: str, body: bytes = b"", kind: str = "text/plain"
    ) -> tuple[int, bytes]:
        """Status and body of the answer. Raises Unanswered."""
        context = ssl.create_default_context() if self.tls else None
        line = (
            http.client.HTTPSConnection(self.host, self.port, timeout=TIMEOUT_S, context=context)
            if context is not None
            else http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)
        )
        headers = {"Content-Type": kind} if method == "POST" else {}
        end = threading.Timer(WHOLE_S, _cut, (line,))
        end.daemon = True
        end.start()
        try:
            line.request(method, self.path + quote(path), body or None, headers)
            answer = line.getresponse()
            found = answer.read(ANSWER_BYTES_MAX + 1)
        except (OSError, http.client.HTTPException) as error:
            raise Unanswered(words(error)) from error
        finally:
            end.cancel()
            line.close()
        if len(found) > ANSWER_BYTES_MAX:
            raise Unanswered(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
        return answer.status, found


def _cut(line: http.client.HTTPConnection) -> None:
    with suppress(OSError, AttributeError):  # it may not be connected, or closed just now
        line.sock.shutdown(socket.SHUT_RDWR)


def words(error: Exception) -> str:
    """What went wrong, in one short plain line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return plain(str(text))


def plain(text: str) -> str:
    """Somebody else's words, as they may stand in a record."""
    return ascii(text.strip())[1:-1][:_WORDS_MAX]
