"""What a face may ask, and what it is told: the vocabulary on both sides of the desk.

A module of its own so that what checks a request (who, which target, which state) knows what one
is without knowing the desk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from controller.core.errors import Refused
from controller.core.events import Event
from controller.people.signature import Signature

TEXT_MAX = 200
FILE_BYTES_MAX = 32_768
REASON_MAX = 1000
ORIGINS = ("console", "script", "screen")
STATION_VERBS = ("user_add", "user_disable", "open_batch")  # their intents: the station log
ALARM_VERBS = ("acknowledge", "shelve", "unshelve", "out_of_service", "in_service", "silence")
ORDERS = ("start", "hold", "restart", "stop", "abort", "pause", "resume")
FIELD_VERBS = ("set_sp", "set_mode", "set_op", "set_output", "set_flag", "reset", "bypass")
BYPASS_S_MAX = 3600.0
SYSTEM_VERBS = ("latch", "lock", "set_total")  # after a restart, at the start of a batch only


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asks at a face. `expected` is what the face showed; empty = any.

    Verbs: start hold restart stop abort pause resume (target `procedure`, or the path of an
    element), change (target: path, value: see `change_requests`), deviation (value: what was
    found), answer (target: prompt id), result_file (target: the file's name, value: its SHA-256 or
    nothing, `file`: its bytes), acknowledge, unshelve, out_of_service, in_service (target:
    alarm), shelve (value: how long), silence (the horn), end_environment, identify_hold (value: who
    pressed), open_batch, user_add, user_disable (target: user), and the field verbs; the value of a
    bypass is `SECONDS;COMPENSATING MEASURE`, 0 seconds end one. `origin` is console, script or
    screen. A screen's `actor`, `role` and `second` are not looked at: they follow from `session`
    and `signatures`. `station`: name of the terminal; `seen_ns`: `mono_ns` of the frame the click
    was made on; `until_ns`: not taken up after it; -1 = none.
    """

    verb: str
    target: str = "procedure"
    value: str = ""
    actor: str = "unverified:console@station"
    role: str = "operator"
    reason: str = ""
    second: str = ""
    expected: str = ""
    session: str = ""
    station: str = "station"
    signatures: tuple[Signature, ...] = ()
    seen_ns: int = -1
    until_ns: int = -1
    origin: str = "console"
    file: bytes = field(default=b"", repr=False)


WHOLE = ("", "procedure")  # targets that mean the whole procedure


def of_whole(request: Request) -> bool:
    """Whether an order goes to the whole procedure and not to one of its elements."""
    return request.target in WHOLE


def bypass_of(value: str) -> tuple[str, str]:
    """The seconds of a bypass and its compensating measure."""
    seconds, _, measure = value.partition(";")
    return seconds.strip(), measure.strip()


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request, told when the record of it is durable.

    `kind`: accepted, unauthenticated, forbidden, stale, refused, bad_input, expired. `id` is the
    command's, 0 when it was refused.
    """

    accepted: bool
    id: int
    why: str
    kind: str


Told = Callable[[Answer], None]


class Malformed(Refused):
    """Not a request at all: too long, or no plain text. Nothing was queued or recorded."""


class Busy(Refused):
    """Too many requests wait. Nothing was queued or recorded."""


class Denied(Refused):
    """Refused for a reason with a name: `kind` as in Answer. `personal`: it concerns who asks."""

    def __init__(self, kind: str, what: str, *, do: str = "") -> None:
        super().__init__(what, do=do)
        self.kind = kind
        self.personal = kind in ("unauthenticated", "forbidden")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that waits, and who hears what became of it. `place`: its place among all;
    `pressed`: field holds for it already."""

    request: Request
    told: Told | None = None
    place: int = 0
    pressed: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """Records about people that wait, and who hears that they are durable."""

    events: tuple[Event, ...]
    told: Callable[[bool], None] | None = None
