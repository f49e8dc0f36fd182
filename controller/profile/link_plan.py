"""The flat plan one link runs: what it asks, what the answers mean, how it writes.

Plain dataclasses and nothing of the text they came from, so that field can load a plan without the
libraries that checked it. Conversion is value = raw * scale.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PointPlan:
    """One value: where it stands in the reply, `signal` (-1: only verified), canonical scale."""

    name: str
    signal: int
    group: str
    times: str
    at: int
    kind: str
    node: str
    scale: float


@dataclass(frozen=True, slots=True)
class StatusPlan:
    """Status words or bits of a reply."""

    group: str
    bad_words: frozenset[str]
    uncertain_words: frozenset[str]
    at: int
    bad_mask: int
    uncertain_mask: int


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """One periodic request. `tx` is complete (address and end of line) for ASCII."""

    name: str
    period_ns: int
    phase_ns: int
    tx: bytes
    match: str
    invalid: str
    function: int
    address: int
    count: int
    words: str
    limits: tuple[int, int] | None
    status: StatusPlan | None
    points: tuple[PointPlan, ...]


@dataclass(frozen=True, slots=True)
class WritePlan:
    """One output. Templates hold only `{v:...}`; `low`, `high`, `tolerance` are raw units.

    `resolution` is canonical. `reply` is `echo`, `none` or the name of the read whose shape the
    acknowledgement has.
    """

    name: str
    output: int
    steps: tuple[str, ...]
    zero_steps: tuple[str, ...]
    node: str
    kind: str
    scale: float
    low: float
    high: float
    resolution: float
    reply: str
    verify_read: str
    verify_point: str
    tolerance: float
    retry_ns: int


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """One device on a line."""

    name: str
    address: str
    protocol: str
    eol_rx: bytes
    echo: bool
    timeout_ns: int
    gap_ns: int
    retries: int
    frame_bytes_max: int
    identify_tx: bytes
    identify_match: str
    rejected: str
    beat: str
    reads: tuple[ReadPlan, ...]
    writes: tuple[WritePlan, ...]
    on_comm_loss: str


@dataclass(frozen=True, slots=True)
class GivenPlan:
    """A signal that the host gives the board: its number there, and the kernel's signal.

    `dated`: its sample time in the image is that of the value. Flags and outputs have none of
    their own and are as new as the scan that is looked at.
    """

    board_signal: int
    signal: int
    dated: bool


@dataclass(frozen=True, slots=True)
class ChannelPlan:
    """One output of the board: raw value = value * `scale`, under a lease of `lease_ms`.

    `output` is the kernel's (-1: the annunciator, which no command moves). `driven_signal` shows
    what the channel does (-1: none). `latch`: a lapse shuts it until somebody clears it.
    """

    channel: int
    output: int
    scale: float
    lease_ms: int
    name: str
    latch: bool
    driven_signal: int


@dataclass(frozen=True, slots=True)
class RowPlan:
    """A row that the board runs too: its number there, the kernel's cause, what tells of it."""

    row: int
    cause: int
    told: int
    id: str
    bypassable: bool


@dataclass(frozen=True, slots=True)
class BoardPlan:
    """What the host has to know of our I/O board on a `bridge` link (firmware_bridge/PROTOCOL.md).

    `table` is what the board runs, `digest` its SHA-256. An image may act whose digest is one of
    `images` or, with `installed`, of those this installation built. `analog`: (number of the
    input, signal); `digital`: (bit, signal). `lapse_signal` shows a new lapse latch, the reset of
    `lapse_cause` clears it; `annunciator` is the channel that sounds. -1: none.
    """

    device: str
    table: bytes
    digest: bytes
    images: tuple[bytes, ...]
    installed: bool
    baud: int
    beat_ns: int
    given: tuple[GivenPlan, ...]
    analog: tuple[tuple[int, int], ...]
    digital: tuple[tuple[int, int], ...]
    channels: tuple[ChannelPlan, ...]
    rows: tuple[RowPlan, ...]
    lapse_signal: int
    lapse_cause: int
    annunciator: int


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """One line. `kind` is `serial`, `opcua` or `bridge`; `namespace` is the URI of OPC UA nodes.

    A `bridge` link has one device, our I/O board; what it runs stands in `board`.
    """

    name: str
    kind: str
    baud: int
    format: str
    namespace: str
    devices: tuple[DevicePlan, ...]
    board: BoardPlan | None = None
