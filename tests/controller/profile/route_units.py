"""Small unit files with routes: as data, as a document, and their derived rows by section."""

from __future__ import annotations

from typing import Any

import yaml

from controller.core.yamltext import Document, parse
from controller.profile.routes import with_routes
from controller.profile.unit import UnitModel

RULES = {
    "closed_path": {"id": "19.{pump}", "delay": "2 s", "action": "hold", "safety_time": "60 s"},
    "turning_unasked": {"id": "stuck.{pump}", "delay": "5 s", "safety_time": "60 s"},
    "two_sources": {"id": "18.{pump}", "never_bypass": True, "safety_time": "30 s"},
    "joined": {"id": "18.{a}_{b}", "never_bypass": True, "safety_time": "30 s"},
    "open_before_start": {"id": "path.{pump}"},
    "close_after_stop": {"id": "keep.{valve}"},
}


def routes(
    lines: list[str], ends: str, pumps: str, valves: str, never: list[list[str]] | None = None
) -> dict[str, Any]:
    """A `routes:` section; names are given as words in one text."""
    return {
        "ends": {name: name.capitalize() for name in ends.split()},
        "pumps": {name: {"title": f"Pump {name}", "turning": f"s_{name} > 0.1 mL/min",
                         "still": f"s_{name} < 0.05 mL/min",
                         "stopped": f"{name} < 0.05 mL/min"} for name in pumps.split()},
        "valves": {name: {"open": f"{name}_zso", "closed": f"{name}_zsc"}
                   for name in valves.split()},
        "lines": lines, "never_joined": never or [], "rules": RULES,
    }  # fmt: skip


def unit_with(section: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The smallest unit file, as data, whose shape is right and that has these routes."""
    numbers = {"resolution": 1, "every": "1 s", "start": 0, "safe": 0}
    actuators = {name: {"unit": "mL/min", "range": [0, 60]} | numbers for name in section["pumps"]}
    actuators |= {name: {"unit": "1", "range": [0, 1]} | numbers for name in section["valves"]}
    return {
        "unit": {"id": "u", "version": 1, "title": "U", "period": "100 ms", "guard": "g",
                 "held": "h"},
        "links": {"l": {"kind": "opcua"}},
        "devices": {"d": {"profile": "p", "link": "l", "address": "1"}},
        "tags": {"X": {"unit": "1", "range": [0, 1], "max_age": "2 s", "title": "X"}},
        "flags": {}, "actuators": actuators,
        "rows": [{"id": "hand", "title": "By hand", "kind": "interlock", "any": ["X > 0.5"],
                  "then": [], "safety_time": "60 s"}],
        "routes": section,
    } | more  # fmt: skip


def derived(data: dict[str, Any]) -> Document:
    """The document with its derived rows."""
    document = parse(yaml.safe_dump(data, sort_keys=False).encode(), "unit.yaml")
    return with_routes(document, document.validate(UnitModel))


def rows_of(document: Document, section: str, prefix: str = "") -> list[dict[str, Any]]:
    """The derived rows of one section whose ids begin so."""
    return [item for item in document.data.get(section, ())
            if "route" in item and item["id"].startswith(prefix)]  # fmt: skip


def holds(conditions: list[str], values: dict[str, float]) -> bool:
    """Whether every comparison is true of some values, a missing one standing for 0."""
    for text in conditions:
        name, op, limit = text.split()[:3]
        value = values.get(name, 0.0)
        if not (value > float(limit) if op == ">" else value < float(limit)):
            return False
    return True
