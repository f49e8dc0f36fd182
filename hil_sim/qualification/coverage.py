"""Which tests execute which cell of a unit's chart: qualification cases, and tests that name an id.

A cell is covered only by what checks it against the value required: a requirement whose effect or
action is another one than the profile's covers nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from controller.profile.compile import Profile
from controller.profile.plan import Action, EffectOp
from hil_sim.qualification.record import STAGES
from hil_sim.qualification.requirements import Requirements, Rule
from hil_sim.qualification.runner import all_cases

TESTS: Final = Path(__file__).parents[2] / "tests"
_ID: Final = re.compile(r"\b(?:FR|AR|SR)-[A-Z0-9*][A-Z0-9*-]*(?!\w)")
_OPS: Final = {EffectOp.FORCE: "=", EffectOp.AT_MOST: "<=", EffectOp.AT_LEAST: ">="}
Cells = dict[tuple[str, str], tuple[str, ...]]


def covered(profile: Profile, required: Requirements, tests: Path = TESTS) -> Cells:
    """(row, column) -> ids of what executes that cell. `tests`: the folder of the test suite."""
    by_id: dict[str, list[str]] = {}
    for stage in STAGES:
        for case in all_cases(stage, required):
            for id_ in case.requirements:
                by_id.setdefault(id_, []).append(case.id)
    known = [id_ for id_, _, _ in required.tested()]
    for test, pattern in named(tests):
        for id_ in known:
            if fnmatchcase(id_, pattern) and test not in by_id.get(id_, []):
                by_id.setdefault(id_, []).append(test)
    found: dict[tuple[str, str], list[str]] = {}
    for rule in required.rules:
        for column in _columns(profile, rule):
            found.setdefault((rule.row, column), []).extend(by_id.get(rule.id, []))
    for item in required.actuators:
        cell = item.by, item.actuator
        if cell in found:  # the case of an actuator makes that row trip and looks at the device
            found[cell].extend(by_id.get(item.id, []))
    return {cell: tuple(dict.fromkeys(ids)) for cell, ids in found.items()}


def named(folder: Path) -> Iterator[tuple[str, str]]:
    """Test and id of every test function whose text names a requirement; `FR-*` names all rows."""
    for file in sorted(folder.rglob("test_*.py")) if folder.is_dir() else ():
        text = file.read_text(encoding="utf-8")
        if not _ID.search(text):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                words = ast.get_docstring(node) or ""
                for id_ in dict.fromkeys(_ID.findall(words)):
                    yield f"{file.stem}::{node.name}", id_


def _columns(profile: Profile, rule: Rule) -> Iterator[str]:
    """The columns in which profile and requirement say the same about a row."""
    wanted = {(effect.output, effect.op, round(effect.value, 3))
              for effect in (*rule.effects, *rule.requested)}  # fmt: skip
    rows = [info.row for info in profile.causes]
    if rule.row not in rows:
        return
    cause = profile.plan.causes[rows.index(rule.row)]
    for name, has in _effects(profile, cause).items():
        if has <= wanted or (rule.spoils == name and has == {(name, "bad", 0.0)}):
            yield name
    action = Action(int(cause["action"])).name.lower()
    asked = "alarm" if (rule.kind, rule.action) == ("plausibility", "none") else rule.action
    if asked == action != "none":
        yield action


def _effects(profile: Profile, cause: Mapping[str, int]) -> dict[str, set[tuple[str, str, float]]]:
    found: dict[str, set[tuple[str, str, float]]] = {}
    first = int(cause["first_effect"])
    for row in profile.plan.effects[first : first + int(cause["n_effects"])]:
        op, place = EffectOp(int(row["op"])), int(row["output"])
        if op is EffectOp.SIGNAL_BAD:
            name, word, value = profile.signals[place], "bad", 0.0
        elif op is EffectOp.MEAN:
            name, word, value = profile.outputs[place], "mean", 0.0
        else:
            name, word, value = profile.outputs[place], _OPS[op], round(float(row["value"]), 3)
        found.setdefault(name, set()).add((name, word, value))
    return found
