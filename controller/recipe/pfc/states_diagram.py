"""Diagrams of state machines, made from the tables that decide: procedural states, alarms.

`docs/states.md` holds what this makes; a test compares them, so that a page cannot tell of a state
machine that does not run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from controller.recipe.states import COMMANDS, FINAL, IDLE, STATES, TABLE


def procedural() -> str:
    """The ISA-88 states of every element as a Mermaid state diagram."""
    moves = [(old, new, trigger) for trigger, pairs in TABLE.items() for old, new in pairs]
    return diagram(STATES, moves, (IDLE,), sorted(FINAL))


def diagram(
    states: Iterable[str], moves: Iterable[tuple[str, str, str]], first: Iterable[str],
    last: Iterable[str] = (), titles: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    """A Mermaid state diagram: states in their order, one arrow for all triggers of a move.

    `titles`: what a state is called beside its name.
    """
    names = {state: _name(state) for state in states}
    told = {state: f"{state}: {(titles or {}).get(state, '')}".removesuffix(": ")
            for state in names}  # fmt: skip
    lines = ["stateDiagram-v2"]
    lines += [f'  state "{told[s]}" as {name}' for s, name in names.items() if told[s] != name]
    lines += [f"  [*] --> {names[state]}" for state in first]
    arrows: dict[tuple[str, str], list[str]] = {}
    for old, new, trigger in moves:
        arrows.setdefault((old, new), []).append(trigger)
    order = {state: number for number, state in enumerate(names)}
    for (old, new), triggers in sorted(
        arrows.items(), key=lambda arrow: (order[arrow[0][0]], order[arrow[0][1]])
    ):
        lines.append(f"  {names[old]} --> {names[new]} : {', '.join(triggers)}")
    lines += [f"  {names[state]} --> [*]" for state in last]
    return "\n".join(lines) + "\n"


def matrix() -> str:
    """Which command leads from which state where, as a Markdown table; `-` is refused."""
    lines = [f"| State | {' | '.join(COMMANDS)} |", "|---" * (len(COMMANDS) + 1) + "|"]
    for state in STATES:
        cells = [dict(TABLE[command]).get(state, "-") for command in COMMANDS]
        lines.append(f"| {state} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _name(state: str) -> str:
    """A name Mermaid takes for a state: letters, digits and `_`."""
    return "".join(letter if letter.isalnum() else "_" for letter in state)
