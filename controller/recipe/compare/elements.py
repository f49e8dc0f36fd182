"""Elements that came, went, moved or were renamed, and what decides between them."""

from __future__ import annotations

from controller.core.clock import NS_PER_S
from controller.recipe.compare.differences import CONDITIONS, ELEMENTS, EXCEPTIONS, Comparison
from controller.recipe.compare.matching import Pairs, branches_of, name_of, out_of_order
from controller.recipe.compare.meaning import meaning
from controller.recipe.offer import with_unit
from controller.recipe.plan import ControlRecipe, Loop, NodePlan, Select


class Elements:
    """Compares the trees of two recipes whose elements are paired."""

    def __init__(self, found: Comparison, pairs: Pairs) -> None:
        self._found, self._pairs = found, pairs
        self._before, self._after = found.before, found.after
        self._back = {after: before for before, after in pairs.items()}

    def compare(self) -> None:
        """Adds what is different."""
        self._gone(self._before, set(self._pairs), "is gone", True)
        self._gone(self._after, set(self._back), "is new", False)
        for path, goal in self._pairs.items():
            ours, theirs = self._before.nodes[path], self._after.nodes[goal]
            self._place(ours, theirs)
            self._order(ours, theirs)
            self._decides(ours, theirs)
        self._care()

    # -- what came and went -----------------------------------------------------------------------

    def _gone(self, recipe: ControlRecipe, paired: set[str], words: str, old: bool) -> None:
        """Elements on one side only; what is inside one that is told is not told again."""
        for path, node in recipe.nodes.items():
            if path in paired or (node.parent and node.parent not in paired):
                continue
            inside = [part for part in recipe.nodes if part.startswith(f"{path}/")]
            lost = [part for part in (path, *inside) if part not in paired]
            plan = recipe.phases.get(path)
            kind = node.level.replace("_", " ")
            if plan is not None and plan.use and plan.use != name_of(path):
                kind += f" of class {plan.use}"
            guarded = [part for part in lost if part in recipe.phases
                       and recipe.phases[part].protected]  # fmt: skip
            told = f"{kind} {path} {words}"
            if len(lost) > 1:
                told += f", with {len(lost) - 1} in it"
            if guarded:
                told += f"; protected: {', '.join(map(name_of, guarded))}"
            if node.then:
                told += f"; an alternative, then: {node.then}"
            told += self._leads(recipe, node)
            places = (node.place, None) if old else (None, node.place)
            self._found.add(ELEMENTS, told, *places)

    def _leads(self, recipe: ControlRecipe, node: NodePlan) -> str:
        """What decides in a structure that came or went."""
        if isinstance(node.rule, Loop):
            return f"; until {node.rule.until.text}, at most {node.rule.at_most} times"
        if isinstance(node.rule, Select):
            heads = ["otherwise" if c is None else c.text for c in node.rule.choices]
            return f"; {' | '.join(heads)}"
        return ""

    # -- where it is ------------------------------------------------------------------------------

    def _place(self, ours: NodePlan, theirs: NodePlan) -> None:
        if ours.path == self._before.root:
            return
        old, new = name_of(ours.path), name_of(theirs.path)
        places = (ours.place, theirs.place)
        plan = self._before.phases.get(ours.path)
        kind = "protected " if plan is not None and plan.protected else ""
        kind += ours.level.replace("_", " ")
        if self._pairs.get(ours.parent, "") != theirs.parent:
            self._found.add(ELEMENTS, f"{kind} {ours.path} was moved to {theirs.path}", *places)
        elif old != new:
            self._found.add(ELEMENTS, f"{kind} {ours.path} is now called {new}", *places)

    def _order(self, ours: NodePlan, theirs: NodePlan) -> None:
        """Branches that came or went, and elements of one that stand in another order."""
        same, gone, new = branches_of(ours, theirs, self._pairs)
        for number in gone:
            self._branch(ours, theirs, number, "is gone", True)
        for number in new:
            self._branch(ours, theirs, number, "is new", False)
        inside = {path: n for n, branch in enumerate(theirs.branches) for path in branch}
        for number, branch in enumerate(ours.branches):
            kept = [self._pairs[p] for p in branch if self._pairs.get(p) in inside]
            there = same.get(number)
            for path in kept:
                if inside[path] != there and (there is not None or len(kept) < len(branch)):
                    self._moved(path, "stands in another branch")
            if there is None:
                continue
            goals = theirs.branches[there]
            places = [goals.index(path) for path in kept if inside[path] == there]
            for place in sorted(out_of_order(places)):
                behind = f"now behind {name_of(goals[place - 1])}" if place else "now the first"
                self._moved(goals[place], f"stands in another place, {behind}")
        if isinstance(theirs.rule, Select) and out_of_order([same[n] for n in sorted(same)]):
            self._found.add(
                CONDITIONS, f"{theirs.path}: its choices are looked at in another order",
                ours.place, theirs.place,
            )  # fmt: skip

    def _branch(self, ours: NodePlan, theirs: NodePlan, number: int, words: str, old: bool) -> None:
        node, paired = (ours, self._pairs) if old else (theirs, self._back)
        if not isinstance(node.rule, Select) and not paired.keys() & set(node.branches[number]):
            return  # each of its elements is told already
        parts = " → ".join(name_of(path) for path in node.branches[number]) or "nothing"
        head = "branch"
        if isinstance(node.rule, Select):
            rule = node.rule.choices[number]
            head = f"choice {'otherwise' if rule is None else rule.text}"
        group = CONDITIONS if isinstance(node.rule, Select) else ELEMENTS
        self._found.add(group, f"{theirs.path}: {head} ({parts}) {words}", ours.place, theirs.place)

    def _moved(self, path: str, words: str) -> None:
        ours, theirs = self._before.nodes[self._back[path]], self._after.nodes[path]
        self._found.add(ELEMENTS, f"{path} {words}", ours.place, theirs.place)

    # -- what decides -----------------------------------------------------------------------------

    def _decides(self, ours: NodePlan, theirs: NodePlan) -> None:
        rows: list[tuple[str, str, str]] = []
        if isinstance(ours.rule, Loop) and isinstance(theirs.rule, Loop):
            old, new = ours.rule, theirs.rule
            if meaning(old.until.text) != meaning(new.until.text):
                rows.append(("until", old.until.text, new.until.text))
            rows += [("at_most", str(old.at_most), str(new.at_most)),
                     ("on_limit", old.on_limit, new.on_limit),
                     ("unknown", old.unknown, new.unknown)]  # fmt: skip
        elif isinstance(ours.rule, Select) and isinstance(theirs.rule, Select):
            rows.append(("unknown", ours.rule.unknown, theirs.rule.unknown))
            rows += self._choices(ours, theirs, ours.rule, theirs.rule)
        for name, was, now in rows:
            if was != now:
                self._found.add(
                    CONDITIONS, f"{theirs.path}: {name} was {was}, is {now}",
                    (*ours.place, name), (*theirs.place, name),
                )  # fmt: skip
        if ours.then != theirs.then:
            self._found.add(
                EXCEPTIONS, f"alternative {theirs.path}: then was {ours.then or 'no alternative'}, "
                f"is {theirs.then or 'no alternative'}", (*ours.place, "then"),
                (*theirs.place, "then"),
            )  # fmt: skip

    def _choices(
        self, ours: NodePlan, theirs: NodePlan, old: Select, new: Select
    ) -> list[tuple[str, str, str]]:
        """Choices that lead to the same as before under another condition."""
        rows = []
        for number, there in branches_of(ours, theirs, self._pairs)[0].items():
            texts = ["otherwise" if c is None else c.text
                     for c in (old.choices[number], new.choices[there])]  # fmt: skip
            if meaning(texts[0]) != meaning(texts[1]):
                rows.append(("choices", texts[0], texts[1]))
        return rows

    def _care(self) -> None:
        old, new = self._before.care, self._after.care
        if old is None or new is None or old.after_ns == new.after_ns:
            return
        was, now = (with_unit(care.after_ns / NS_PER_S, "time") for care in (old, new))
        self._found.add(
            EXCEPTIONS, f"the care of a long Hold began after {was}, begins after {now}",
            ("long_hold", "after"), ("long_hold", "after"),
        )  # fmt: skip
