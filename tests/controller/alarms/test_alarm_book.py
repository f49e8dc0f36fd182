"""The master alarm database: what the file says, what follows without it, what is refused."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from functools import partial

import pytest
from alarm_bench import PLAIN, profile, unit
from pydantic import BaseModel, Field

from controller.alarms import Book
from controller.alarms.defaults import SYSTEM
from controller.core.errors import BadInput
from controller.core.yamltext import parse
from controller.profile.alarm_model import AlarmModel, AlarmName


class Section(BaseModel):
    """The alarm section alone, as the model of a unit reads it."""

    alarms: dict[AlarmName, AlarmModel] = Field(default_factory=dict)


def book(section: str) -> Book:
    """The database of the shipped unit with another alarm section, which stands at its line."""
    text = "\n" * PLAIN.count("\n") + (section or "alarms: {}\n")
    document = parse(text.encode(), "unit.yaml")
    model = profile().model.model_copy(update={"alarms": document.validate(Section).alarms})
    return Book.of(replace(profile(), model=model, document=document))


entry = partial(Book.entry, Book.of(profile()))


def test_every_row_of_the_shipped_unit_says_what_it_means_and_what_to_do():
    shipped, plain = Book.of(profile()), book("")
    rows = [f"row:{row.id}" for row in profile().model.rows]
    rows += [f"row:{item.id}" for item in profile().model.plausibility]
    for name in rows:
        found = shipped.entry(name)
        assert found.written, name
        assert found.consequence.endswith("."), name
        assert found.action.endswith("."), name
        assert found.consequence != plain.entry(name).consequence, name


def test_nobody_who_reads_the_database_can_change_it():
    for found, field in ((entry("row:9"), "shelve_s"), (SYSTEM["proof"], "priority")):
        with pytest.raises(FrozenInstanceError):
            setattr(found, field, None)


def test_the_most_urgent_are_few_and_stand_first():
    entries = [e for e in Book.of(profile()).entries if e.name.startswith(("row:", "link:"))]
    ranks = ["critical", "high", "medium", "low"]
    order = [ranks.index(e.priority) for e in Book.of(profile()).entries]
    assert order == sorted(order)
    assert sum(e.priority == "critical" for e in entries) <= 8


def test_without_a_section_everything_follows_from_what_the_rows_do():
    plain = book("")
    assert (plain.entry("row:9").priority, plain.entry("row:2").priority,
            plain.entry("row:14").priority) == ("high", "medium", "low")  # fmt: skip
    assert plain.entry("row:9").consequence == (
        "The row acts on feed, xv201, perfusate, xv202, xv203, base. The procedure is held."
    )
    assert plain.entry("row:9").action == "Find and remove the cause. Then reset the row."
    assert plain.entry("row:2").consequence == "The row acts on heater."
    assert plain.entry("row:2").action == "Find and remove the cause."
    assert plain.entry("row:20.gas_bus").consequence == (
        "The row acts on no output. The procedure is held."
    )
    assert plain.entry("row:14").consequence == "The row acts on base, xv204."
    assert plain.entry("row:p.do_still").consequence == "AT102 is not believed any more."
    assert [plain.entry(n).latched for n in ("row:9", "row:2", "row:p.do_still", "log")] == [
        True, False, True, False,
    ]  # fmt: skip
    assert [(plain.entry(n).respond_s, plain.entry(n).shelve_s)
            for n in ("log", "row:9", "row:2", "row:14")] == [
        (120, 0), (300, 1800), (900, 3600), (3600, 3600),
    ]  # fmt: skip
    assert plain.entry("row:9").respond_ns == 300 * 10**9
    assert not plain.entry("row:9").written
    assert {"row:9", "link:skid", "loop:TIC101", "proof:1:heater", "log"} <= plain.names
    assert not {"row:permit.base", "row:hold.n2", "step", "link", "row:none"} & plain.names


def test_a_name_says_more_than_its_kind_and_its_kind_more_than_nothing():
    made = book("""
alarms:
  row: {priority: medium, respond: 7 min}
  plausibility: {respond: 3 min, action: Look at the probe.}
  "row:9": {priority: low, shelve: 2 h}
  proof: {priority: high, consequence: It may not be shut.}
""")
    assert (made.entry("row:9").priority, made.entry("row:9").respond_s) == ("low", 420)
    assert made.entry("row:9").shelve_s == 7200
    assert (made.entry("row:2").priority, made.entry("row:2").respond_s) == ("medium", 420)
    assert made.entry("row:p.do_still").respond_s == 180
    assert made.entry("row:p.do_still").priority == "medium"
    assert made.entry("row:p.do_still").action == "Look at the probe."
    assert made.entry("proof:1:heater").consequence == "It may not be shut."
    assert made.entry("row:1").shelve_s == 0, "never bypassed"
    assert made.entry("proof:1:heater").written


@pytest.mark.parametrize(("section", "line", "says"), [
    ('alarms:\n  "row:99": {priority: low}\n', 2, "'row:99' is no alarm of this unit"),
    ('alarms:\n  "row:p.do_stil": {priority: low}\n', 2, "Did you mean 'row:p.do_still'?"),
    ('alarms:\n  "row:permit.base": {priority: low}\n', 2, "no alarm of this unit"),
    ('alarms:\n  "row:9": {priority: urgent}\n', 2, "priority"),
    ('alarms:\n  "row:9": {prioritty: low}\n', 2, "Did you mean 'priority'?"),
    ('alarms:\n  "row:9": {respond: soon}\n', 2, "row:9: 'soon' is not a number"),
    ('alarms:\n  "row:9": {respond: 0 s}\n', 2, "respond 0 s is not between 1 s and 12 h"),
    ('alarms:\n  "row:9": {shelve: 13 h}\n', 2, "shelve 13 h is not between 1 s and 12 h"),
    ('alarms:\n  "row:9": {shelve: soon}\n', 2, "row:9: 'soon' is not a number"),
    ('alarms:\n  "row:1": {shelve: 10 min}\n', 2, "never bypassed is never shelved"),
    ('alarms:\n  "row:9": {priority: critical, shelve: 10 min}\n', 2, "never shelved"),
    ('alarms:\n  log: {shelve: 10 min}\n', 2, "never shelved"),
    ('alarms:\n  "row:9":\n    suppressed_by: ["row:7", "row:9"]\n', 3, "'row:9'"),
    ('alarms:\n  "row:9":\n    suppressed_by: ["row:77"]\n', 3, "cannot be suppressed by 'row:77'"),
    ('alarms:\n  "row:1": {suppressed_by: ["row:9"]}\n', 2, "is not suppressed by others"),
    ('alarms:\n  row: {respond: 99 h}\n', 2, "row:p.do_still: respond 99 h"),
])  # fmt: skip
def test_what_cannot_be_is_refused_with_its_line(section, line, says):
    with pytest.raises(BadInput, match=r"unit\.yaml") as refused:
        book(section)
    assert says in refused.value.what
    assert refused.value.where.startswith(f"unit.yaml:{PLAIN.count(chr(10)) + line}:")


def test_an_effect_is_proven_by_any_signal_and_without_one_by_none():
    index = profile().effects.index(("2", "heater"))
    effect = profile().plan.effects[index]
    effect["confirm_signal"], before = 0, int(effect["confirm_signal"])
    try:
        assert "proof:2:heater" in Book.of(profile()).names, "the first signal is one of them"
        effect["confirm_signal"] = -1
        assert "proof:2:heater" not in Book.of(profile()).names
    finally:
        effect["confirm_signal"] = before


def test_a_section_is_read_with_its_unit():
    section = 'alarms:\n  "row:9": {priority: low, suppressed_by: ["row:7"]}\n'
    assert Book.of(unit(section)).entries == book(section).entries
    assert Book.of(unit("")).entries == book("").entries


def test_the_limits_of_times_are_themselves_allowed():
    with pytest.raises(BadInput, match="shelve 43201 s is not between 1 s and 12 h"):
        book('alarms:\n  "row:9": {shelve: 43201 s}\n')
    made = book('alarms:\n  "row:9": {respond: 1 s, shelve: 12 h}\n  "row:7": {shelve: never}\n')
    assert (made.entry("row:9").respond_s, made.entry("row:9").shelve_s) == (1, 43_200)
    assert made.entry("row:7").shelve_s == 0
