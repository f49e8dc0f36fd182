"""Branches that run side by side and get in each other's way: at an output, a loop, a flag."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from controller.recipe.check.case import Case
from controller.recipe.plan import SetStep


@dataclass(frozen=True, slots=True)
class _Branch:
    """What the phases of a branch drive, and how they set flags and variables, each by which."""

    drives: dict[str, str]
    flags: dict[tuple[str, bool], str]
    variables: dict[str, str]


def check(case: Case) -> None:
    """Adds every conflict of branches that run side by side."""
    for path, node in case.recipe.nodes.items():
        if len(node.branches) < 2 or node.rule is not None or path not in case.walk.entry:
            continue
        branches = [_branch(case, branch) for branch in node.branches]
        for one, other in combinations(branches, 2):
            _pair(case, one, other)


def _branch(case: Case, paths: tuple[str, ...]) -> _Branch:
    found = _Branch({}, {}, {})
    for path in (leaf for top in paths for leaf in _leaves(case, top)):
        plan = case.recipe.phases[path]
        if path in case.walk.skipped or path not in case.walk.endings:
            continue
        for target in sorted(case.walk.endings[path].drives):
            for each in (target, *sorted(case.plant.every_drive.get(target, ()))):
                found.drives.setdefault(each, path)
        for logic in ("running", "holding", "restarting"):
            for step in plan.logics.get(logic, ()):
                for item in step.items if isinstance(step, SetStep) else ():
                    if item.verb == "set_flag":
                        found.flags.setdefault((item.target, bool(item.value)), path)
        for name in sorted(case.walk.written(path)):
            found.variables.setdefault(name, path)
    return found


def _leaves(case: Case, path: str) -> Iterator[str]:
    if path in case.recipe.phases:
        yield path
    for part in case.recipe.parts[path]:
        yield from _leaves(case, part)


def _pair(case: Case, one: _Branch, other: _Branch) -> None:
    loops = case.plant.every_drive
    both = sorted(one.drives.keys() & other.drives.keys())
    # A loop and the outputs it drives are one conflict, not many.
    implied = {each for target in both for each in loops.get(target, ())}
    for target in (target for target in both if target not in implied):
        first, second = one.drives[target], other.drives[target]
        case.findings.error(
            "conflict", f"{first} and {second} both drive {target}, side by side",
            case.node_place(second),
            f"Let one of them drive {target}, or put them one after the other.", second,
        )  # fmt: skip
    for (flag, value), first in one.flags.items():
        if (flag, not value) in other.flags:
            second = other.flags[flag, not value]
            case.findings.error(
                "conflict", f"{first} and {second} set the flag {flag} to opposite values, side by "
                "side", case.node_place(second), "Put them one after the other.", second,
            )  # fmt: skip
    for name in sorted(one.variables.keys() & other.variables.keys()):
        first, second = one.variables[name], other.variables[name]
        case.findings.warning(
            "conflict", f"{first} and {second} both set {name}, side by side: the later one wins",
            case.node_place(second), "Put them one after the other.", second,
        )  # fmt: skip
