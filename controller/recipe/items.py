"""The items of a recipe's sequences become the tree the engine follows: elements and structures.

Which keys an item takes, how deep structures nest and what a condition must say about the unknown
is decided here. Every fault is a BadInput at the item's own line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from controller.core.errors import BadInput
from controller.core.yamltext import Document
from controller.recipe.calls import Call, Calls
from controller.recipe.expression import Expression, Name, compile_expression
from controller.recipe.model import MAX_ITEMS, ItemModel, StepModel
from controller.recipe.operators import ExpressionError
from controller.recipe.plan import Loop, NodePlan, Path_, PhasePlan, Select
from controller.recipe.steps import StepCompiler

MAX_NESTED = 6
MAX_PATH = 160  # people name elements in requests of 200 characters
_TEXT_MAX = 300  # of a step; a condition may be longer
_OPERATIONS = frozenset({"operation", "transition", "parallel", "select", "loop"})
_PHASES = frozenset({"phase", "transition", "parallel", "select", "loop"})
_COMMON = frozenset({"title"})
_TAKES: dict[str, frozenset[str]] = {
    "operation": frozenset({"phases", "branches"}),
    "phase": frozenset({"use", "with", "level", "recovery", "exceptions"}),
    "transition": frozenset(
        {"when", "text", "every", "timeout", "on_timeout", "unknown", "level", "recovery"}
    ),
    "parallel": frozenset({"branches"}),
    "select": frozenset({"choices", "unknown"}),
    "loop": frozenset({"do", "until", "at_most", "on_limit", "unknown"}),
}
_UNKNOWN: dict[str, tuple[str, ...]] = {
    "transition": ("wait", "hold"),
    "select": ("wait", "hold", "otherwise"),
    "loop": ("again", "hold", "wait"),
}
_KNOWN = re.compile(r"known\s*\(\s*\w+\s*\)")


@dataclass(slots=True)
class Tree:
    """Builds the nodes and phases of one recipe."""

    document: Document
    calls: Calls
    names: Mapping[str, Name]
    nodes: dict[str, NodePlan] = field(default_factory=dict)
    phases: dict[str, PhasePlan] = field(default_factory=dict)

    def element(
        self, path: str, level: str, title: str, parent: str,
        branches: tuple[tuple[str, ...], ...], place: Path_, then: str = "",
    ) -> None:  # fmt: skip
        """Adds an element that is no item of a sequence, or an operation."""
        self._add(NodePlan(path, level, title, parent, branches, None, then, place), place)

    def replace(self, path: str, branches: tuple[tuple[str, ...], ...]) -> None:
        """Gives an element the parts that were built after it."""
        self.nodes[path] = replace(self.nodes[path], branches=branches)

    def operation(
        self, parent: str, item: ItemModel, place: Path_, goals: Sequence[str], then: str = ""
    ) -> str:
        """One operation with what is in it; `goals` are the alternatives its phases may go to."""
        if bool(item.phases) == bool(item.branches) or not all(item.branches):
            raise self._error(
                "an operation has `phases`, or `branches` side by side, and none of them is empty",
                place,
            )
        path = f"{parent}/{item.operation}" if parent else str(item.operation)
        lists = item.branches or [item.phases]
        where = [(*place, "branches", n) for n in range(len(lists))]
        if item.phases:
            where = [(*place, "phases")]
        self._structure(path, "operation", item, parent, lists, where, place, goals, 0, then)
        return path

    def sequence(
        self, parent: str, items: Sequence[ItemModel], place: Path_, kinds: frozenset[str],
        goals: Sequence[str], depth: int,
    ) -> tuple[str, ...]:  # fmt: skip
        """The paths of a sequence's items, built below `parent`."""
        if depth > MAX_NESTED:
            raise self._error(f"structures are nested deeper than {MAX_NESTED}", place)
        found = []
        for index, item in enumerate(items):
            found.append(self._item(parent, item, (*place, index), kinds, goals, depth))
        return tuple(found)

    def operations(
        self, parent: str, items: Sequence[ItemModel], place: Path_, goals: Sequence[str]
    ) -> tuple[str, ...]:
        """The operations of a unit procedure."""
        return self.sequence(parent, items, place, _OPERATIONS, goals, 0)

    def read(self, text: str, place: Path_) -> Expression:
        """A condition of the recipe's own. What a sample brings is read by a phase, as it starts;
        a condition would only ever see what stands for it until then."""
        for name, variable in self.calls.formula.sampled(text).items():
            raise self._error(
                f"{name} is read when a phase that uses it starts, and a condition is no phase: "
                f"ask for {variable} itself", place,
            )  # fmt: skip
        try:
            return compile_expression(text, self.names, "truth")
        except ExpressionError as error:
            raise self._error(str(error), place) from None

    def condition(
        self, text: str, unknown: str | None, allowed: tuple[str, ...], place: Path_, key: str
    ) -> Expression:
        """A condition that is looked at once; raises BadInput if unknown is left open."""
        found = self.read(text, (*place, key))
        if found.held:
            raise self._error("held(...) belongs into a wait or a transition", (*place, key))
        if unknown is None and not _always_known(text, found):
            raise self._error(
                f"{text!r} may be unknown: say `unknown`, one of {', '.join(allowed)}",
                (*place, key),
            )
        if unknown is not None and unknown not in allowed:
            raise self._error(f"`unknown` is one of {', '.join(allowed)}", (*place, "unknown"))
        return found

    def _item(
        self, parent: str, item: ItemModel, place: Path_, kinds: frozenset[str],
        goals: Sequence[str], depth: int,
    ) -> str:  # fmt: skip
        kind = self._kind(item, place, kinds)
        if kind == "operation":
            return self.operation(parent, item, place, goals)
        path = f"{parent}/{getattr(item, kind)}"
        if kind in ("phase", "transition"):
            self._leaf(path, kind, item, parent, place, goals)
        elif kind == "parallel":
            if len(item.branches) < 2 or not all(item.branches):
                raise self._error("side by side needs two or more full `branches`", place)
            where = [(*place, "branches", n) for n in range(len(item.branches))]
            self._structure(path, kind, item, parent, item.branches, where, place, goals, depth)
        elif kind == "loop":
            self._loop(path, item, parent, place, kinds, goals, depth)
        else:
            self._select(path, item, parent, place, kinds, goals, depth)
        return path

    def _kind(self, item: ItemModel, place: Path_, kinds: frozenset[str]) -> str:
        given = set(item.model_dump(by_alias=True, exclude_unset=True))
        found = sorted(given & set(_TAKES))
        if len(found) != 1 or found[0] not in kinds:
            raise self._error(
                f"an item here is exactly one of {', '.join(sorted(kinds))}; "
                f"this one has {', '.join(found) or 'none'}", place,
            )  # fmt: skip
        kind = found[0]
        if getattr(item, kind) is None:
            raise self._error(f"this {kind} has no id", (*place, kind))
        for extra in sorted(given - _TAKES[kind] - _COMMON - {kind}):
            raise self._error(f"{extra!r} has no meaning in a {kind}", (*place, extra))
        return kind

    def _structure(
        self, path: str, level: str, item: ItemModel, parent: str,
        lists: Sequence[Sequence[ItemModel]], where: Sequence[Path_], place: Path_,
        goals: Sequence[str], depth: int, then: str = "",
    ) -> None:  # fmt: skip
        self._add(NodePlan(path, level, item.title, parent, (), None, then, place), place)
        kinds = _OPERATIONS if self._above(path) else _PHASES
        branches = tuple(
            self.sequence(path, each, spot, kinds, goals, depth + 1)
            for each, spot in zip(lists, where, strict=True)
        )
        self.replace(path, branches)

    def _above(self, path: str) -> bool:
        """Whether a structure stands above the operations."""
        while path:
            node = self.nodes[path]
            if node.level == "operation":
                return False
            path = node.parent
        return True

    def _select(
        self, path: str, item: ItemModel, parent: str, place: Path_, kinds: frozenset[str],
        goals: Sequence[str], depth: int,
    ) -> None:  # fmt: skip
        self._add(NodePlan(path, "select", item.title, parent, (), None, "", place), place)
        if len(item.choices) < 2:
            raise self._error("a selection has two or more `choices`", place)
        conditions: list[Expression | None] = []
        branches = []
        for number, choice in enumerate(item.choices):
            spot = (*place, "choices", number)
            last = number == len(item.choices) - 1
            if last != (choice.otherwise is not None) or (choice.when is None) != last:
                raise self._error(
                    "the last choice of a selection is `otherwise`, the others have `when` and "
                    "`do`: else there might be no way on", spot,
                )  # fmt: skip
            if choice.when is not None:
                conditions.append(
                    self.condition(choice.when, item.unknown, _UNKNOWN["select"], spot, "when")
                )
            else:
                conditions.append(None)
            items = choice.otherwise if last else choice.do
            if items is None:
                raise self._error("a choice says what to `do`; nothing is `do: []`", spot)
            key = "otherwise" if last else "do"
            branches.append(
                self.sequence(path, items, (*spot, key), kinds, goals, depth + 1)
            )
        rule = Select(tuple(conditions), item.unknown or "wait")
        self.nodes[path] = replace(self.nodes[path], branches=tuple(branches), rule=rule)

    def _loop(
        self, path: str, item: ItemModel, parent: str, place: Path_, kinds: frozenset[str],
        goals: Sequence[str], depth: int,
    ) -> None:  # fmt: skip
        self._add(NodePlan(path, "loop", item.title, parent, (), None, "", place), place)
        if not item.do or item.until is None:
            raise self._error("a loop has `do` and `until`", place)
        if item.at_most is None or item.on_limit is None:
            raise self._error(
                "a loop without a limit: say `at_most` how many rounds, and `on_limit`", place
            )
        until = self.condition(item.until, item.unknown, _UNKNOWN["loop"], place, "until")
        branch = self.sequence(path, item.do, (*place, "do"), kinds, goals, depth + 1)
        rule = Loop(until, item.at_most, item.on_limit, item.unknown or "again")
        self.nodes[path] = replace(self.nodes[path], branches=(branch,), rule=rule)

    def _leaf(
        self, path: str, kind: str, item: ItemModel, parent: str, place: Path_,
        goals: Sequence[str],
    ) -> None:  # fmt: skip
        if kind == "phase":
            plan = self.calls.phase(Call(path, item, place, tuple(goals)), self)
        else:
            plan = self._transition(path, item, place)
        self._add(NodePlan(path, kind, plan.title, parent, (), None, "", place), place)
        self.phases[path] = plan

    def _transition(self, path: str, item: ItemModel, place: Path_) -> PhasePlan:
        if item.when is None:
            raise self._error("a transition says `when` it fires", place)
        self.read(item.when, (*place, "when"))
        unknown = item.unknown or "wait"
        if unknown not in _UNKNOWN["transition"]:
            raise self._error("`unknown` of a transition is wait or hold", (*place, "unknown"))
        given = {
            "text": (item.text or item.title or f"Wait until {item.when}")[:_TEXT_MAX],
            "wait": item.when,
            "every": item.every, "timeout": item.timeout, "unknown": unknown,
            "on_timeout": item.on_timeout if "on_timeout" in item.model_fields_set else None,
        }  # fmt: skip
        model = StepModel.model_validate({k: v for k, v in given.items() if v is not None})
        offer = self.calls.offer
        compiler = StepCompiler(
            self.document, place, self.names, offer.equipment, offer.variables, {}
        )
        step = compiler.step(model, place)
        title = item.title or str(model.text)
        return PhasePlan(
            path, "", title, {}, {}, {"running": (step,)}, level=item.level,
            recovery_ns=self.calls.recovery_ns(item, "", place), place=place,
        )  # fmt: skip

    def _add(self, node: NodePlan, place: Path_) -> None:
        if node.path in self.nodes:
            line = self.document.place(*self.nodes[node.path].place).line
            what = f"duplicate id {node.path.rpartition('/')[2]!r}, as in line {line}"
            raise self._error(what, (*place, node.level))
        if node.path == "procedure" and node.parent != "":
            raise self._error(
                "'procedure' is what orders call the whole of a recipe: choose another id",
                (*place, node.level),
            )
        if len(node.path) > MAX_PATH:
            raise self._error(f"the path {node.path[:60]}... is longer than {MAX_PATH}", place)
        if len(self.nodes) >= MAX_ITEMS * 2:
            raise self._error(f"the recipe has more than {MAX_ITEMS * 2} elements", place)
        self.nodes[node.path] = node

    def _error(self, what: str, place: Path_) -> BadInput:
        return self.document.error(what, *place)


def _always_known(text: str, found: Expression) -> bool:
    """Whether tags and variables appear in `known(...)` only."""
    rest = _KNOWN.sub("", text)
    return not any(re.search(rf"\b{re.escape(name)}\b", rest) for name in found.names)
