"""The master alarm database: what the file says, what follows without it, what is refused."""

from __future__ import annotations

from functools import partial

import pytest
from alarm_bench import at, profile, raised, state

from controller.alarms import NORM, SUPPRESSED, UNACK, Alarms, Book
from controller.alarms.book import SHELVE_S_MAX
from controller.alarms.dependence import Dependence
from controller.core.errors import BadInput
from controller.core.yamltext import parse
from controller.profile.compile import compile_unit
from equipment_profiles import DEVICES, UNITS

SHIPPED = (UNITS / "perfusion_2l.yaml").read_text()
PLAIN = SHIPPED[: SHIPPED.index("\nalarms:\n") + 1]


def unit(section: str):
    """The shipped unit with another alarm section."""
    return compile_unit(parse((PLAIN + section).encode(), "unit.yaml"), DEVICES)


def book(section: str) -> Book:
    return Book.of(unit(section))


entry = partial(Book.entry, Book.of(profile()))


def test_every_row_of_the_shipped_unit_says_what_it_means_and_what_to_do():
    shipped = Book.of(profile())
    rows = [f"row:{row.id}" for row in profile().model.rows]
    rows += [f"row:{item.id}" for item in profile().model.plausibility]
    for name in rows:
        found = shipped.entry(name)
        assert found.written, name
        assert found.consequence.endswith("."), name
        assert found.action.endswith("."), name
        assert found.consequence != Book.of(unit("")).entry(name).consequence, name


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
    assert made.entry("row:2").priority == "medium"
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


def test_the_limits_of_times_are_themselves_allowed():
    made = book('alarms:\n  "row:9": {respond: 1 s, shelve: 12 h}\n  "row:7": {shelve: never}\n')
    assert (made.entry("row:9").respond_s, made.entry("row:9").shelve_s) == (1, SHELVE_S_MAX)
    assert made.entry("row:7").shelve_s == 0


def test_a_named_alarm_suppresses_while_it_stands_and_is_shown():
    section = 'alarms:\n  "row:13": {suppressed_by: ["row:16"]}\n  row: {}\n'
    made = unit(section)
    alarms = Alarms(Book.of(made), Dependence(made))
    alarms.follow(raised("13"))
    assert state(alarms, "row:13") == UNACK
    alarms.follow(raised("16", 1))
    assert state(alarms, "row:13") == SUPPRESSED
    assert alarms.all["row:13"].of == ("row:16",)
    assert alarms.due(at(100)) == []
    alarms.acknowledge("row:16", at(100), "me", "operator")
    alarms.shelve("row:16", 60, at(101), ("me", "operator", "noise"))
    assert [r.data["alarm"] for r in alarms.due(at(116))] == ["row:13"]
    assert state(alarms, "row:13") == UNACK
    assert state(alarms, "row:9") == NORM if "row:9" in alarms.all else True
