"""The page about people shows the table that is in force, cell for cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.people.roles import ROLES, STATES, Rights

PAGE = Path(__file__).resolve().parents[3] / "docs" / "people.md"
ROWS = {
    cells[1].strip().strip("`"): [cell.strip() for cell in cells[2:-1]]
    for cells in (line.split("|") for line in PAGE.read_text().splitlines())
    if len(cells) == 8 and cells[1].strip().startswith("`")
}


def test_the_page_has_every_action_and_no_other():
    assert list(ROWS) == list(Rights.shipped().verbs)


@pytest.mark.parametrize("verb", list(ROWS))
def test_a_row_of_the_page_says_what_the_table_says(verb):
    who, states, signed, second, reason = ROWS[verb]
    rule = Rights.shipped().rule(verb)
    assert reason == ("yes" if rule.reason else "no")
    named = set(ROLES) if who.startswith("everybody") else {r for r in ROLES if r in who}
    assert named == set(rule.roles) & set(ROLES)
    assert set(second.replace("-", "").split(" or ")) - {""} == set(rule.second_roles)
    for meaning in rule.meanings:
        assert meaning in signed
    full = rule.grants[0].states
    assert set(states.split(", ")) == (set(full) if len(full) < len(STATES) else {"always"})
