"""Which element of one recipe is which of another: by path, renamed, or moved somewhere else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from controller.recipe.compare.meaning import meaning
from controller.recipe.plan import ControlRecipe, NodePlan, Select, WaitStep

Pairs = dict[str, str]
Key = Callable[[ControlRecipe, str], Any]


def pairs_of(before: ControlRecipe, after: ControlRecipe) -> Pairs:
    """Path in one recipe -> path in the other, for every element that is in both."""
    pairs = {before.root: after.root}
    if before.care is not None and after.care is not None:
        pairs[before.care.path] = after.care.path
    while True:
        count = len(pairs)
        _by_path(before, after, pairs)
        for key in (_inside, _called):
            if len(pairs) == count:
                _by_key(before, after, pairs, key)
        if len(pairs) == count:
            return pairs


def name_of(path: str) -> str:
    """An element's own id."""
    return path.rpartition("/")[2]


def branches_of(
    before: NodePlan, after: NodePlan, pairs: Pairs
) -> tuple[dict[int, int], list[int], list[int]]:
    """Which branch is which: number -> number, then the numbers that are in one recipe only.

    The choices of a selection belong together by their condition, other branches by what is in
    them, and what is left by its place.
    """
    found: dict[int, int] = {}
    left = list(range(len(after.branches)))
    keys, others = _conditions(before), _conditions(after)
    for number, key in enumerate(keys):
        same = next((other for other in left if key is not None and others[other] == key), None)
        if same is not None:
            found[number] = same
            left.remove(same)
    for number, branch in enumerate(before.branches):
        goals = {pairs[path] for path in branch if path in pairs}
        shared = {other: len(goals & set(after.branches[other])) for other in left}
        most = max(shared.values(), default=0)
        if number not in found and most:
            found[number] = next(other for other, count in shared.items() if count == most)
            left.remove(found[number])
    gone = [number for number in range(len(before.branches)) if number not in found]
    for number in list(gone):
        if number in left and not (before.branches[number] and after.branches[number]):
            found[number] = number
            gone.remove(number)
            left.remove(number)
    return found, gone, left


def out_of_order(items: Sequence[int]) -> set[int]:
    """The fewest of some numbers that must be taken out for the others to rise."""
    longest: list[int] = []
    runs: list[list[int]] = []  # the longest that rises and ends with each
    for item in items:
        best: list[int] = []
        for run in runs:
            if run[-1] < item and len(run) > len(best):
                best = run
        runs.append([*best, item])
        longest = max(longest, runs[-1], key=len)
    kept = set(longest)
    return {item for item in items if item not in kept}


def _conditions(node: NodePlan) -> list[str | None]:
    if not isinstance(node.rule, Select):
        return [None] * len(node.branches)
    return ["otherwise" if c is None else meaning(c.text) for c in node.rule.choices]


def _by_path(before: ControlRecipe, after: ControlRecipe, pairs: Pairs) -> None:
    taken = set(pairs.values())
    for path, node in before.nodes.items():
        if path in pairs or (node.parent and node.parent not in pairs):
            continue
        above = pairs.get(node.parent, "")
        alone = not above or after.nodes[above].level == "procedure"
        goal = name_of(path) if alone else f"{above}/{name_of(path)}"
        other = after.nodes.get(goal)
        if other is not None and other.level == node.level and goal not in taken:
            pairs[path] = goal
            taken.add(goal)


def _by_key(before: ControlRecipe, after: ControlRecipe, pairs: Pairs, key: Key) -> None:
    """Pairs elements that are the only ones with their key on both sides."""
    taken = set(pairs.values())
    ours = _only(before, [path for path in before.nodes if path not in pairs], key, pairs)
    theirs = _only(after, [path for path in after.nodes if path not in taken], key, None)
    for found, path in ours.items():
        if found in theirs:
            pairs[path] = theirs[found]


def _only(
    recipe: ControlRecipe, paths: Sequence[str], key: Key, pairs: Pairs | None
) -> dict[Any, str]:
    found: dict[Any, list[str]] = {}
    for path in paths:
        above = recipe.nodes[path].parent
        above = above if pairs is None else pairs.get(above, "?")
        place = above if key is _inside else ""
        found.setdefault((place, key(recipe, path)), []).append(path)
    return {name: paths[0] for name, paths in found.items() if len(paths) == 1}


def _inside(recipe: ControlRecipe, path: str) -> Any:
    """What is in an element, whatever it is called: it was renamed."""
    node, plan = recipe.nodes[path], recipe.phases.get(path)
    values = tuple(plan.parameters.items()) if plan is not None else ()
    step = plan.logics["running"][0] if plan is not None and not plan.use else None
    condition = meaning(step.condition.text) if isinstance(step, WaitStep) else ""
    parts = tuple(tuple(name_of(part) for part in branch) for branch in node.branches)
    return node.level, plan.use if plan is not None else "", values, condition, parts


def _called(recipe: ControlRecipe, path: str) -> Any:
    """What an element is called, wherever it is: it was moved."""
    plan = recipe.phases.get(path)
    return recipe.nodes[path].level, name_of(path), plan.use if plan is not None else ""
