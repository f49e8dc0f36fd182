"""What a unit file says of its closed-system paths: ends, pumps, pinch valves and the lines.

Only shape is checked here. `route_graph` refuses what is no closed system, and `routes` derives the
rows, permits and rules that keep it one.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Tag = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.]{0,31}$")]
Title = Annotated[str, Field(min_length=1, max_length=40)]
Comparison = Annotated[str, Field(min_length=3, max_length=80)]
Line = Annotated[str, Field(min_length=3, max_length=400)]
# Fields of the rows a rule makes (id, delay, action, safety time, risk ...), checked as theirs.
Settings = dict[str, Any]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RoutePump(_Model):
    """A pump: how it shows that it turns, that it stands still, and that it is told to stop."""

    title: Title
    turning: Comparison
    still: Comparison
    stopped: Comparison
    rules: dict[str, Settings] = Field(default_factory=dict)


class RouteValve(_Model):
    """A valve: the contacts (1 or 0) that prove it open and closed."""

    open: Tag
    closed: Tag


class RouteRules(_Model):
    """What the derived rows are called and how long they wait; every kind must be there."""

    closed_path: Settings
    turning_unasked: Settings
    two_sources: Settings
    joined: Settings
    open_before_start: Settings
    close_after_stop: Settings


class RoutesModel(_Model):
    """The `routes:` section of a unit file."""

    ends: dict[Word, Title] = Field(min_length=2, max_length=32)
    pumps: dict[Word, RoutePump] = Field(min_length=1, max_length=16)
    valves: dict[Word, RouteValve] = Field(min_length=1, max_length=64)
    lines: list[Line] = Field(min_length=1, max_length=64)
    never_joined: list[tuple[Word, Word]] = Field(default_factory=list, max_length=32)
    rules: RouteRules
