"""The unit's picture: which symbols stand on the screen, what each shows and what joins them.

A module because what is drawn beside a value must be the thing that is measured or moved: every
name is resolved against the unit here, so that a picture cannot show a tag that is not there.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from controller.core.errors import nearest
from controller.core.yamltext import Document

Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Word = Annotated[str, Field(min_length=1, max_length=40)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Node(_Model):
    """One symbol. `tags` are by what they show; `valve` is the valve or contactor in its line."""

    id: Id
    kind: Literal[
        "vessel", "heater", "stirrer", "mfc", "valve", "pump", "probe", "balance", "source", "sink"
    ]
    label: Word
    tags: dict[Id, str] = Field(default_factory=dict, max_length=8)
    actuator: str = ""
    valve: str = ""


class Connection(_Model):
    """What flows from one symbol to another."""

    from_: Id = Field(alias="from")
    to: Id
    kind: Literal["gas", "liquid", "heat", "drive", "signal"]


class SynopticModel(_Model):
    """The `synoptic:` section of a unit file."""

    nodes: list[Node] = Field(min_length=1, max_length=64)
    connections: list[Connection] = Field(default_factory=list, max_length=128)


def check_synoptic(
    document: Document, model: SynopticModel, signals: Collection[str], actuators: Collection[str]
) -> None:
    """Raises BadInput, with file:line, for a name the unit does not have or an id given twice."""
    known: set[str] = set()
    for place, node in enumerate(model.nodes):
        path = ("synoptic", "nodes", place)
        if node.id in known:
            raise document.error(f"duplicate id {node.id!r}", *path, "id")
        known.add(node.id)
        for what, tag in node.tags.items():
            if tag not in signals:
                hint = nearest(tag, list(signals))
                raise document.error(f"unknown signal {tag!r}. {hint}", *path, "tags", what)
        for key in ("actuator", "valve"):
            name = getattr(node, key)
            if name and name not in actuators:
                hint = nearest(name, list(actuators))
                raise document.error(f"unknown actuator {name!r}. {hint}", *path, key)
    for place, line in enumerate(model.connections):
        for key, name in (("from", line.from_), ("to", line.to)):
            if name not in known:
                hint = nearest(name, list(known))
                raise document.error(
                    f"unknown node {name!r}. {hint}", "synoptic", "connections", place, key
                )
