"""What a unit file may say: the checked model of one skid, before it is compiled.

Only shape and local sense are checked here; names and dimensions across sections are checked where
they are resolved, in `compile`, so that each error can point at its own line.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from controller.profile.alarm_model import AlarmModel, AlarmName
from controller.profile.device import LinkSettings
from controller.profile.prove.model import PropertyModel
from controller.profile.route_model import RoutesModel
from controller.profile.synoptic import SynopticModel

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.]{0,31}$")]
RowId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.]{0,31}$")]
ImageDigest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
RiskId = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9-]{1,23}$")]
Quantity = Annotated[str, Field(min_length=1, max_length=32)]
Text = Annotated[str, Field(min_length=1, max_length=120)]
Condition = Annotated[str, Field(min_length=3, max_length=80)]
Wish = Annotated[str, Field(min_length=3, max_length=64)]
Range = tuple[float, float]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class UnitHead(_Model):
    """Identity and beat of the unit, and what happens when one of its programs starts again.

    `restarted` is the flag that field sets when it starts with a batch open; `supervisor_restart`
    says whether a supervisor that comes back goes on with the procedure or holds it.
    `recipes_of`: recipes written for these units (id: version) run on this one as well.
    """

    id: Name
    version: int = Field(ge=1)
    title: Text
    period: Quantity
    guard: Name
    held: Name
    restarted: Name | None = None
    supervisor_restart: Literal["go_on", "hold"] = "hold"
    recipes_of: dict[Name, int] = Field(default_factory=dict, max_length=16)


class DeviceUse(_Model):
    """One device on one link: its points become tags, its writes actuators."""

    profile: Name
    link: Name
    address: Annotated[str, Field(min_length=1, max_length=16)]
    tags: dict[Name, Name] = Field(default_factory=dict)
    actuators: dict[Name, Name] = Field(default_factory=dict)
    calibration: dict[Name, float] = Field(default_factory=dict)
    # Of our I/O board: which firmware may act, by the SHA-256 of its image, or what is built here.
    images: Literal["installed"] | list[ImageDigest] | None = Field(default=None, max_length=16)


class TagModel(_Model):
    """A measured tag. Outside `range` it is bad; older than `max_age` it is bad."""

    unit: str
    range: Range
    max_age: Quantity
    rate: str = ""
    title: Text


class Flag(_Model):
    """A switch that commands set and rows read."""

    start: bool
    title: Text


class Actuator(_Model):
    """One output. `proof` is the feedback that shows it at its safe value.

    `keep` is what cells need of an environment actuator: no command may ask for less while they
    depend on it. `restart` is how it goes on when field starts with a batch open: at what the
    device says, or at `start`; not given, environment actuators are read back.
    """

    unit: str
    range: Range
    resolution: float = Field(gt=0)
    every: Quantity
    rate: str = ""
    start: float
    safe: float
    environment: bool = False
    restart: Literal["read_back", "start"] | None = None
    keep: float | None = None
    proof: Condition | None = None
    second: Wish | None = None
    winner: Literal["lower", "higher"] = "lower"


class Of(_Model):
    """Operand of a windowed or scaled block."""

    of: Name
    over: Quantity | None = None
    gain: float = 1.0
    offset: float = 0.0
    until_full: float | None = None
    time: Quantity | None = None


class Block(_Model):
    """A computed signal; exactly one operation is given."""

    unit: str
    title: str = ""
    linear: Of | None = None
    difference: tuple[Name, Name] | None = None
    absolute_difference: tuple[Name, Name] | None = None
    ratio: tuple[Name, Name] | None = None
    above: float = 0.0
    otherwise: tuple[Name, Name] | None = None
    sum: dict[Name, float] | None = None
    total: Of | None = None
    rise: Of | None = None
    lowest: Of | None = None
    spread: Of | None = None
    lag: Of | None = None
    highest: Of | None = None
    mean: Of | None = None
    hold: Of | None = None


class Tuning(_Model):
    """ISA form: gain in output per PV unit, times; `td` 0 means PI."""

    gain: float
    ti: Quantity
    td: Quantity | None = None
    n: float = Field(default=8, gt=0)
    beta: float = Field(default=1, ge=0, le=1)


class Segment(_Model):
    """One actuator's share of a loop's demand."""

    actuator: Name
    demand: Range
    value: Range


class FallbackModel(_Model):
    """What happens when the process value stays bad: exactly one of other, mean, value."""

    after: Quantity
    other: Name | None = None
    mean: bool = False
    value: float | None = None


class Feedforward(_Model):
    """A signal added to a loop's demand."""

    of: Name
    gain: float


class Loop(_Model):
    """One feedback loop."""

    title: Text
    pv: Name
    master: Name | None = None
    period: Quantity
    tuning: Tuning
    deadband: float = Field(default=0, ge=0)
    output: Range
    rate: str = ""
    setpoint: Range
    segments: list[Segment] = Field(default_factory=list, max_length=8)
    feedforward: Feedforward | None = None
    fallback: FallbackModel | None = None


class Instead(_Model):
    """What stands for a bad signal: its last good value for a time, or another tag."""

    hold: Quantity | None = None
    other: Name | None = None


class FullCondition(_Model):
    """A condition with what is its own: hysteresis, delays, and what a bad signal means to it."""

    compare: Condition = Field(alias="is")
    hysteresis: float | None = Field(default=None, ge=0)
    delay: Quantity = "0 s"
    off_delay: Quantity = "0 s"
    bad: Literal["trip", "degrade", "ignore", "mean"] | Instead | None = None


class Expected(_Model):
    """An expected response: while the output is beyond its limit for `over`, a tag must move."""

    expect: Condition
    driven: Condition = Field(alias="while")
    over: Quantity


def _kind_of_condition(given: object) -> str:
    if isinstance(given, str):
        return "text"
    if isinstance(given, Expected) or (isinstance(given, dict) and "expect" in given):
        return "expected"
    return "full" if isinstance(given, dict | FullCondition) else "text"


AnyCondition = Annotated[
    Annotated[Condition, Tag("text")]
    | Annotated[FullCondition, Tag("full")]
    | Annotated[Expected, Tag("expected")],
    Discriminator(_kind_of_condition),
]


class _Votes(_Model):
    id: RowId
    title: Text
    any: list[AnyCondition] = Field(default_factory=list, max_length=16)
    all: list[AnyCondition] = Field(default_factory=list, max_length=16)
    of: list[AnyCondition] = Field(default_factory=list, max_length=16)
    vote: int = Field(default=0, ge=0, le=16)
    hysteresis: float = Field(default=0, ge=0)
    bad: Literal["trip", "degrade", "ignore"] = "ignore"
    risk: list[RiskId] = Field(default_factory=list, max_length=8)
    route: str = Field(default="", max_length=64)  # the pump or ends it was derived for


class Plausibility(_Votes):
    """What a signal or an actuator does that cannot be so.

    A signal loses its quality, since a `window` before, until a reset finds it alive; with `only`,
    and of an actuator, people are told, or the procedure is held, for as long as it lasts.
    """

    signal: Name | None = None
    actuator: Name | None = None
    window: Quantity | None = None
    only: Literal["alarm", "hold"] | None = None
    delay: Quantity = "0 s"
    only_in: Name | None = None
    not_in: Name | None = None


class Permit(_Votes):
    """While its condition stands, its actuators may not leave their safe value."""

    then: list[Wish] = Field(min_length=1, max_length=16)


class Row(_Votes):
    """One row of the cause-and-effect chart (IEC 62881).

    `on_board`: our I/O board runs it as well, over its own inputs and what the host gives it.
    """

    kind: Literal["interlock", "protect"]
    on_board: bool = False
    never_bypass: bool = False
    first_out: Name = "unit"
    delay: Quantity = "0 s"
    off_delay: Quantity = "0 s"
    bad_after: Quantity = "5 s"
    only_in: Name | None = None
    not_in: Name | None = None
    then: list[Wish] = Field(max_length=16)
    action: Literal["none", "alarm", "hold", "abort"] = "none"
    action_delay: Quantity = "0 s"
    unless: list[Name] = Field(default_factory=list, max_length=2)
    safety_time: Quantity


class ProcedureRow(_Model):
    """What the procedure itself asks of actuators while its flags stand."""

    id: RowId
    title: Text
    all: list[Condition] = Field(min_length=1, max_length=16)
    after: Quantity = "0 s"
    then: list[Wish] = Field(min_length=1, max_length=16)
    risk: list[RiskId] = Field(default_factory=list, max_length=8)
    route: str = Field(default="", max_length=64)


class UnitModel(_Model):
    """The whole unit file, merged if it is based on another one (controller.core.based)."""

    based_on: Name | None = None
    unit: UnitHead
    links: dict[Name, LinkSettings] = Field(min_length=1, max_length=32)
    devices: dict[Name, DeviceUse] = Field(min_length=1, max_length=64)
    tags: dict[Name, TagModel] = Field(min_length=1, max_length=1024)
    flags: dict[Name, Flag] = Field(max_length=64)
    actuators: dict[Name, Actuator] = Field(min_length=1, max_length=256)
    blocks: dict[Name, Block] = Field(default_factory=dict, max_length=256)
    loops: dict[Name, Loop] = Field(default_factory=dict, max_length=64)
    groups: dict[str, list[Wish]] = Field(default_factory=dict, max_length=64)
    plausibility: list[Plausibility] = Field(default_factory=list, max_length=64)
    permits: list[Permit] = Field(default_factory=list, max_length=64)
    rows: list[Row] = Field(min_length=1, max_length=512)
    procedure: list[ProcedureRow] = Field(default_factory=list, max_length=32)
    routes: RoutesModel | None = None
    alarms: dict[AlarmName, AlarmModel] = Field(default_factory=dict, max_length=1024)
    properties: list[PropertyModel] = Field(default_factory=list, max_length=128)
    synoptic: SynopticModel | None = None
    # What the unit offers to recipes is checked by the recipe room, which knows its meaning.
    variables: dict[str, Any] = Field(default_factory=dict, max_length=128)
    ending: dict[str, Any] = Field(default_factory=dict, max_length=16)
    phases: list[Any] = Field(default_factory=list, max_length=128)
    instruments: list[Any] = Field(default_factory=list, max_length=16)
