"""Selections, loops, exceptions, alternatives and controls: what nobody can reach or never ends."""

from __future__ import annotations

from collections.abc import Iterator

from controller.recipe.check import bounds, questions, reason
from controller.recipe.check.bounds import Span
from controller.recipe.check.case import Case, told
from controller.recipe.check.flow import AFTER, DURING
from controller.recipe.check.reason import Scope
from controller.recipe.dimension import NAMED
from controller.recipe.expression import Expression
from controller.recipe.plan import ControlPlan, Loop, NodePlan, PhasePlan, PromptStep, Select


def check(case: Case) -> None:
    """Adds what is wrong with the tree of elements."""
    for path, node in case.recipe.nodes.items():
        if path not in case.walk.entry:
            if node.then:
                _alternative(case, node)
            continue
        scope = case.walk.entry[path].seen(case.values.scope)
        if isinstance(node.rule, Select):
            _select(case, node, node.rule, scope)
        elif isinstance(node.rule, Loop):
            _loop(case, node, node.rule)
    for plan in case.reached():
        _exceptions(case, plan)
        _protected(case, plan)
    _once(case)
    for number, control in enumerate(case.recipe.controls):
        _control(case, number, control)
    _environment(case)


def _alternative(case: Case, node: NodePlan) -> None:
    case.findings.error(
        "unreachable", f"nothing starts the alternative {node.path!r}", case.node_place(node.path),
        f"Name it in an exception of a phase, `do: {{go_to: {node.path.rpartition('/')[2]}}}`, or "
        "take it out.", node.path,
    )  # fmt: skip


def _select(case: Case, node: NodePlan, rule: Select, scope: Scope) -> None:
    certain = ""
    asked: set[str] = set()
    for number, choice in enumerate(rule.choices):
        where = case.node_place(node.path, "choices", number, "when" if choice else "otherwise")
        if certain:
            case.findings.error(
                "unreachable", f"this choice of {node.path} is never taken: {certain!r} before it "
                "is always true", where, "Correct the condition before it, or take this one out.",
                node.path,
            )  # fmt: skip
            continue
        if choice is None or case.itself(choice, where, node.path):
            continue
        if choice.text in asked:
            case.findings.error(
                "unreachable", f"this choice of {node.path} is never taken: one before it asks for "
                f"{choice.text!r} too", where, "Correct the condition, or take this one out.",
                node.path,
            )  # fmt: skip
        asked.add(choice.text)
        unset = _unset(case, node, choice, scope)
        found = reason.truth(choice, scope)
        if not found.true and not unset:
            case.findings.error(
                "never-true", f"{choice.text!r} can never be true, so this choice is never taken"
                f"{case.why(choice, scope)}", where, "Correct the condition, or take it out.",
                node.path,
            )  # fmt: skip
        elif not found.false and not found.unknown:
            certain = choice.text
        elif found.unknown and rule.unknown == "wait":
            _waits_silently(case, node, choice, where, "otherwise")


def _loop(case: Case, node: NodePlan, rule: Loop) -> None:
    where = case.node_place(node.path, "until")
    if case.itself(rule.until, where, node.path):
        return
    flow = case.walk.entry[node.path]
    inside = case.walk.written(node.path)
    scope = reason.Scope(
        case.values.scope.dimensions, case.values.scope.tags, case.values.scope.variables,
        case.values.scope.constants, flow.known, flow.maybe | inside,
    )  # fmt: skip
    if _unset(case, node, rule.until, scope):
        return
    found = reason.truth(rule.until, scope)
    if not found.true:
        case.findings.error(
            "never-true", f"{rule.until.text!r} can never be true: the loop always runs "
            f"{rule.at_most} times{case.why(rule.until, scope)}", where,
            "Correct the condition.", node.path,
        )  # fmt: skip
    elif not found.false and not found.unknown:
        case.findings.error(
            "always-true", f"{rule.until.text!r} is always true: the loop never runs again"
            f"{case.why(rule.until, scope)}", where,
            "Correct the condition, or take the loop away.", node.path,
        )  # fmt: skip
    elif found.unknown and rule.unknown == "wait":
        _waits_silently(case, node, rule.until, where, "again")
    elif not _moves(case, node, rule.until):
        case.findings.error(
            "endless", f"nothing in the loop or beside it changes what {rule.until.text!r} looks "
            "at: if it is not true after the first round, it never is", where,
            "Let a phase of the loop set one of its variables, or ask for something that moves.",
            node.path,
        )  # fmt: skip


def _waits_silently(
    case: Case, node: NodePlan, condition: Expression, where: object, instead: str
) -> None:
    case.findings.warning(
        "no-timeout", f"while {condition.text!r} is unknown {node.path} waits, without a time-out "
        f"and without telling anybody{case.why(condition, case.values.scope)}", where,
        f"Say `unknown: hold` or `unknown: {instead}`, or put a transition with a time-out before "
        "it.", node.path,
    )  # fmt: skip


def _moves(case: Case, node: NodePlan, until: Expression) -> bool:
    """Whether the condition can change from round to round."""
    variables = until.names & case.recipe.variables.keys()
    if until.ages or until.names - variables:
        return True
    return bool(variables & (case.walk.written(node.path) | _beside(case, node.path)))


def _beside(case: Case, path: str) -> frozenset[str]:
    """The variables that branches beside an element set."""
    found: set[str] = set()
    node = case.recipe.nodes[path]
    while node.parent:
        parent = case.recipe.nodes[node.parent]
        if len(parent.branches) > 1 and parent.rule is None:
            for branch in parent.branches:
                if node.path not in branch:
                    found |= {name for part in branch for name in case.walk.written(part)}
        node = parent
    return frozenset(found)


def _left_behind(case: Case, plan: PhasePlan) -> str:
    """A protected phase of the same operation that may be unfinished while `plan` runs."""
    operation = case.recipe.ancestor(plan.path, "operation")
    for path, other in case.recipe.phases.items():
        inside = path.startswith(f"{operation}/") and other.protected
        if inside and not _before(case, path, plan.path):
            return path
    return ""


def _before(case: Case, first: str, second: str) -> bool:
    """Whether an element stands before another one in the same branch."""
    nodes = case.recipe.nodes
    above = second
    while above:
        for branch in nodes[nodes[above].parent].branches if nodes[above].parent else ():
            ahead = branch[: branch.index(above)] if above in branch else ()
            if any(first == each or first.startswith(f"{each}/") for each in ahead):
                return True
        above = nodes[above].parent
    return False


def _exceptions(case: Case, plan: PhasePlan) -> None:
    flow = case.walk.entry[plan.path]
    later = flow.maybe | case.walk.written(plan.path)
    for number, exception in enumerate(plan.exceptions):
        condition = exception.condition
        if condition is None and exception.do == "hold":
            case.findings.warning(
                "no-effect", f"nothing comes of this exception: row {exception.row} asks for "
                f"{case.recipe.offer.equipment.rows[exception.row]} without it, of the whole "
                "procedure", case.node_place(plan.path, "exceptions", number, "row"),
                "Say what is worse or elsewhere (abort, go_to), or take it out.", plan.path,
            )  # fmt: skip
        kept = _left_behind(case, plan) if exception.do == "go_to" else ""
        if kept:
            case.findings.error(
                "protected", f"this exception would lead past {kept}, which is protected: it only "
                "holds until that is complete", case.node_place(plan.path, "exceptions", number),
                f"Put {kept} into an operation before, or say hold.", plan.path,
            )  # fmt: skip
        where = case.node_place(plan.path, "exceptions", number, "when")
        if condition is None or case.itself(condition, where, plan.path):
            continue
        scope = reason.Scope(
            case.values.scope.dimensions, case.values.scope.tags, case.values.scope.variables,
            case.values.scope.constants, flow.known, later,
        )  # fmt: skip
        found = reason.truth(condition, scope)
        if not found.true:
            case.findings.error(
                "never-true", f"{condition.text!r} can never be true, so nothing comes of this "
                f"exception{case.why(condition, scope)}", where,
                "Correct the condition, or take the exception out.", plan.path,
            )  # fmt: skip
        elif not found.false:
            case.findings.error(
                "always-true", f"{condition.text!r} is always true: {plan.path} would be cut off "
                f"as it begins{case.why(condition, scope)}", where, "Correct the condition.",
                plan.path,
            )  # fmt: skip


def _protected(case: Case, plan: PhasePlan) -> None:
    if not plan.protected:
        return
    care = case.recipe.care
    for above in _above(case, plan.path):
        rule = case.recipe.nodes[above].rule
        if isinstance(rule, Loop) and rule.at_most > 1:
            case.findings.error(
                "protected", f"{plan.path} is done once in a batch ({plan.use!r} is protected), "
                f"and the loop {above} would do it again", case.node_place(plan.path),
                "Take it out of the loop.", plan.path,
            )  # fmt: skip
        if care is not None and above == care.path:
            case.findings.error(
                "protected", f"{plan.path} is no care for a long Hold: {plan.use!r} is protected",
                case.node_place(plan.path), "Take it out of `long_hold`.", plan.path,
            )  # fmt: skip


def _once(case: Case) -> None:
    """A protected class that runs twice on one way is meant so, or was copied by mistake."""
    first: dict[str, list[PhasePlan]] = {}
    for plan in case.reached():
        if not plan.protected or case.recipe.root not in _above(case, plan.path):
            continue  # or in the care of a long Hold, of which more is said
        for other in first.setdefault(plan.use, []):
            if not _exclusive(case, other.path, plan.path):
                case.findings.warning(
                    "protected", f"{plan.path} does {plan.use!r} again, after {other.path}: "
                    "it is protected as something a batch does once", case.node_place(plan.path),
                    "See that both are meant, or take one out.", plan.path,
                )  # fmt: skip
        first[plan.use].append(plan)


def _exclusive(case: Case, one: str, other: str) -> bool:
    """Whether two phases stand on different ways: of a selection, or of an alternative."""
    nodes = case.recipe.nodes
    ways = [[path, *_above(case, path)] for path in (one, other)]
    if any(nodes[path].then for way in ways for path in way):
        return True
    fork = next(path for path in ways[0] if path in ways[1])
    if not isinstance(nodes[fork].rule, Select):
        return False
    number = [next(n for n, branch in enumerate(nodes[fork].branches) if set(branch) & set(way))
              for way in ways]  # fmt: skip
    return number[0] != number[1]


def _above(case: Case, path: str) -> Iterator[str]:
    while path:
        path = case.recipe.nodes[path].parent
        if path:
            yield path


def _control(case: Case, number: int, control: ControlPlan) -> None:
    document = case.recipe.document
    answers = [
        (plan, step)
        for plan in case.reached() for step in plan.logics["running"]
        if isinstance(step, PromptStep) and step.into == control.variable
    ]  # fmt: skip
    if not answers:
        case.findings.error(
            "control", f"no phase asks for {control.variable}, so the control {control.id!r} never "
            "has a result", document.place("controls", number, "of"),
            f"Sample {control.variable} in the recipe, or take the control out.",
        )  # fmt: skip
        return
    found = case.values.scope.variables.get(control.variable)
    if isinstance(found, Span):
        low = -bounds.INFINITE if control.low is None else control.low
        high = bounds.INFINITE if control.high is None else control.high
        if found.met(Span(low, high)).never:
            reach = told(found, NAMED[control.dimension])
            case.findings.error(
                "control", f"every result is outside {control.id!r}: {control.variable} can be "
                f"{reach}", document.place("controls", number),
                "Correct the limits.",
            )  # fmt: skip
    if control.when is not None and not reason.truth(control.when, case.values.scope).true:
        case.findings.error(
            "never-true", f"{control.when.text!r} can never be true: the control {control.id!r} "
            f"applies at most while it is unknown{case.why(control.when, case.values.scope)}",
            document.place("controls", number, "when"), "Correct the condition.",
        )  # fmt: skip


def _environment(case: Case) -> None:
    """Who takes cells in must let the environment end; after that nothing follows."""
    for plan in case.reached():
        if plan.use and case.walk.entry[plan.path].guard == {AFTER}:
            # What may run with an empty vessel, to rinse it perhaps, is looked at by people.
            say = case.findings.error if plan.protected else case.findings.warning
            say(
                "after-the-end", f"{plan.path} comes after the environment has ended: heat, "
                "stirring and gas are off by then", case.node_place(plan.path),
                "Put it before the phase that ends the environment.", plan.path,
            )  # fmt: skip
    if DURING in case.end.guard:
        last = case.recipe.nodes[case.recipe.root].branches[0][-1]
        case.findings.error(
            "environment", "the procedure can end while cells depend on the environment "
            f"({case.plant.guard} is still set): the batch could not be closed",
            case.node_place(last), "End it with the phase that ends the environment, on every way.",
        )  # fmt: skip


def _unset(case: Case, node: NodePlan, condition: Expression, scope: Scope) -> bool:
    wanted = questions.reads(condition) & case.recipe.variables.keys()
    missing = sorted(name for name in wanted if name not in (scope.maybe or ()))
    say = case.findings.warning if reason.truth(condition, scope).true else case.findings.error
    for name in missing:
        say(
            "unset", f"{node.path} looks at {name} ({condition.text!r}), which nothing before it "
            "sets", case.node_place(node.path), f"Put a phase that sets {name} before it.",
            node.path,
        )  # fmt: skip
    return bool(missing)
