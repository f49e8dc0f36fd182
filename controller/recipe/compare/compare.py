"""Two recipes compared: what the engine would do otherwise, and apart from it what is only said.

Compared is what was compiled: values in canonical units, conditions by what they mean, elements
wherever they went. Layout, comments and the order of keys are no differences.
"""

from __future__ import annotations

from controller.recipe.compare import data
from controller.recipe.compare.differences import Comparison
from controller.recipe.compare.elements import Elements
from controller.recipe.compare.matching import Pairs, pairs_of
from controller.recipe.compare.phases import Phases
from controller.recipe.plan import ControlRecipe, NodePlan

_DERIVED = "Wait until "  # the title of a transition that has none


def compare(before: ControlRecipe, after: ControlRecipe) -> Comparison:
    """What is different in `after`; each difference once, with its places in both files."""
    found = Comparison(before, after)
    pairs = pairs_of(before, after)
    data.equipment(found)
    data.formula(found)
    data.controls(found)
    Elements(found, pairs).compare()
    Phases(found, pairs).compare()
    _words(found, pairs)
    return found


def _words(found: Comparison, pairs: Pairs) -> None:
    """Titles of elements, and the head of the recipe."""
    before, after = found.before, found.after
    for key, old, new in (("recipe", before.id, after.id), ("version", before.version,
                          after.version), ("title", before.title, after.title)):  # fmt: skip
        found.title(f"{key} of the recipe", old, new, (key,), (key,))
    for path, goal in pairs.items():
        ours, theirs = before.nodes[path], after.nodes[goal]
        ours_is, theirs_is = (
            side.phases[where].use if where in side.phases else ""
            for side, where in ((before, path), (after, goal))
        )
        if path != before.root and ours_is == theirs_is:  # a class brings its own title
            place = "text" if ours.level == "transition" else "title"
            found.title(f"title of {goal}", _title(ours), _title(theirs), (*ours.place, place),
                        (*theirs.place, place))  # fmt: skip


def _title(node: NodePlan) -> str:
    return "" if node.title.startswith(_DERIVED) else node.title
