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
class LinkPlan:
    """One line. `kind` is `serial` or `opcua`; `namespace` is the URI of the OPC UA nodes."""

    name: str
    kind: str
    baud: int
    format: str
    namespace: str
    devices: tuple[DevicePlan, ...]
