"""What a session tells its owner, oldest first, and the words of its requests."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_bridge.codes import Nak
from firmware_bridge.layout import Wire
from firmware_bridge.messages import Event, HelloAck, Status


@dataclass(frozen=True, slots=True)
class Sample:
    """A signal that the host gives, with its sample time on the host's clock."""

    signal: int
    value: float
    quality: int
    reason: int
    sample_ns: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A session is open: who the board is and whether its image is known."""

    identity: HelloAck
    known: bool
    same_boot: bool


@dataclass(frozen=True, slots=True)
class Armed:
    """From now on commands act. Nothing that was asked before is still waiting."""

    distrusted: bool
    loaded: bool


@dataclass(frozen=True, slots=True)
class Acked:
    """The board carried a request out: Command, Beat, Reset or Clear; board time in us."""

    request: Wire
    time_us: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The board refused a request, nothing changed; `armed` False: no session came about."""

    request: Wire
    code: Nak | int
    detail: int
    armed: bool

    @property
    def words(self) -> str:
        """What was refused and why, for a person."""
        why = self.code.words if isinstance(self.code, Nak) else f"code {self.code}"
        return f"{type(self.request).__name__} refused: {why} ({self.detail})"


@dataclass(frozen=True, slots=True)
class EventsCame:
    """Events `first`, `first` + 1, ...; `missed` before them the board no longer had."""

    first: int
    events: tuple[Event, ...]
    missed: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The session is over, or none came about; told once until the next `Opened`."""

    why: str


@dataclass(frozen=True, slots=True)
class Fault:
    """Bytes or a frame that were dropped; `count` of them in one feed."""

    why: str
    count: int = 1


Happening = Opened | Armed | Status | Acked | Refused | EventsCame | Lost | Fault
