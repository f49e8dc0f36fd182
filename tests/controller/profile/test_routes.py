"""Routes: what is derived for the shipped unit, and what is no closed system is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from route_units import RULES, derived, routes, rows_of, unit_with

import equipment_profiles
from controller.core.errors import BadInput
from controller.core.yamltext import parse
from controller.profile.check import safety_times
from controller.profile.compile import compile_unit, load_profile

SHIPPED = Path(equipment_profiles.__file__).parent
UNIT = SHIPPED / "units" / "perfusion_2l.yaml"
PROFILE = load_profile(UNIT, SHIPPED / "devices")
LINE = ["e0 -> p0 -> v0 -> e1"]


def refused(data) -> tuple[str, str]:
    """(the line of the unit file the error points at, what it says)."""
    with pytest.raises(BadInput) as caught:
        derived(data)
    file, line, _ = caught.value.where.split(":")
    assert file == "unit.yaml"
    text = yaml.safe_dump(data, sort_keys=False).splitlines()[int(line) - 1].strip()
    return text, caught.value.what


# -- the shipped unit ------------------------------------------------------------------------


def test_the_shipped_unit_has_its_route_rows_under_the_ids_that_requirements_know():
    model = PROFILE.model
    by_section = {section: {row.id for row in getattr(model, section) if row.route}
                  for section in ("rows", "permits", "procedure")}  # fmt: skip
    pumps = ("feed", "perfusate", "base")
    assert by_section == {
        "rows": {f"19.{p}" for p in pumps} | {f"19.{p}_stuck" for p in pumps} | {"18.both"},
        "permits": {f"path.{p}" for p in pumps},
        "procedure": {f"keep.xv{n}" for n in (201, 202, 203, 204)},
    }
    assert 'id: "19.feed' not in UNIT.read_text()
    assert {cause.row for cause in PROFILE.causes} >= set().union(*by_section.values())


def test_a_derived_row_points_at_the_line_of_the_unit_file_that_made_it():
    lines = UNIT.read_text().splitlines()
    for section in ("rows", "permits", "procedure"):
        for place, row in enumerate(getattr(PROFILE.model, section)):
            if row.route:
                shown = lines[PROFILE.document.place(section, place).line - 1]
                assert "->" in shown or "never_joined" in shown
                assert row.route.split()[0] in shown


def test_derived_rows_are_checked_against_their_safety_times_as_any_row():
    times = {time.row: time for time in safety_times(PROFILE)}
    assert times["19.perfusate"].ok
    assert times["18.both"].ok
    assert times["19.base_stuck"].delay_ns == 5_000_000_000


def test_the_routes_and_rows_shown_in_the_documentation_are_those_of_the_shipped_unit():
    page = (SHIPPED.parent / "docs" / "profile.md").read_text()
    blocks = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", page, re.S)]
    told = next(block["routes"] for block in blocks if "routes" in block)
    there = PROFILE.document.data["routes"]
    for section in ("ends", "pumps", "valves", "rules"):
        for name, shown in told[section].items():
            has = there[section][name]
            assert shown == (has if isinstance(has, str) else {key: has[key] for key in shown})
    assert set(told["lines"]) < set(there["lines"])
    assert told["never_joined"] == there["never_joined"]
    for row in next(block["plausibility"] for block in blocks if "plausibility" in block):
        [has] = [item for item in PROFILE.document.data["plausibility"] if item["id"] == row["id"]]
        assert row == {key: value for key, value in has.items() if key != "risk"}


# -- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("lines", "ends", "pumps", "valves", "at", "says"), [
    (["e0 -> p0 -> xv9 -> e1"], "e0 e1", "p0", "v0", "- e0 -> p0 -> xv9 -> e1", "'xv9' is no end"),
    (["e0 -> p1 -> v0 -> e1"], "e0 e1", "p0", "v0", "- e0 -> p1 -> v0 -> e1",
     "'p1' is no end, pump or valve of the routes. Did you mean"),
    (["e0 -> v0 -> e1"], "e0 e1", "p0", "v0", "p0:", "p0 is on no line"),
    (LINE, "e0 e1", "p0", "v0 v1", "v1:", "v1 is on no line"),
    (LINE, "e0 e1 e2", "p0", "v0", "e2: E2", "no line reaches the end e2"),
    (["p0 -> v0 -> e1", "e0 -> v0"], "e0 e1", "p0", "v0", "- p0 -> v0 -> e1",
     "no line leads to it"),
    (["e0 -> p0 -> v0", "v0 -> e1", "p0 -> v1"], "e0 e1", "p0", "v0 v1", "- p0 -> v1",
     "no line leads from it"),
    ([*LINE, "v0 -> v1 -> v0"], "e0 e1", "p0", "v0 v1", "- e0 -> p0 -> v0 -> e1",
     "form a loop that no end is in: v0 -> v1 -> v0"),
    (["e0 -> p0 -> v0 -> p1 -> e1"], "e0 e1", "p0 p1", "v0", "- e0 -> p0 -> v0 -> p1 -> e1",
     "p1 stands behind p0"),
    ([*LINE, "v0 "], "e0 e1", "p0", "v0", "- 'v0 '", "joins nothing"),
    ([*LINE, "e2 -> p0"], "e0 e1 e2", "p0", "v0", "- e0 -> p0 -> v0 -> e1",
     "no valve keeps E0 and E2 apart in front of p0"),
])  # fmt: skip
def test_a_graph_that_is_no_closed_system_is_refused_at_its_line(
    lines, ends, pumps, valves, at, says
):
    assert_refused(unit_with(routes(lines, ends, pumps, valves)), at, says)


def assert_refused(data, at: str, says: str) -> None:
    text, what = refused(data)
    assert text == at
    assert says in what


@pytest.mark.parametrize(("never", "says"), [
    ([["e0", "e9"]], "unknown end 'e9'. Did you mean"),
    ([["e1", "e1"]], "cannot be kept apart from itself"),
    ([["e0", "e2"]], "no valve keeps E0 and E2 apart"),
    ([["e0", "e3"]], "no line could join E0 and E3"),
])
def test_ends_that_can_never_be_kept_apart_or_never_meet_are_refused(never, says):
    lines = [*LINE, "e3 -> p1 -> v1 -> e1", "p0 -> e2"]
    data = unit_with(routes(lines, "e0 e1 e2 e3", "p0 p1", "v0 v1", never))
    assert_refused(data, "- - " + never[0][0], says)


def test_two_rules_of_one_name_are_told_apart_by_their_valves():
    lines = ["e0 -> p0 -> v0 -> v1 -> e1"]
    document = derived(unit_with(routes(lines, "e0 e1", "p0", "v0 v1")))
    assert [row["id"] for row in rows_of(document, "rows", "19.")] == ["19.p0.v0", "19.p0.v1"]


@pytest.mark.parametrize(("kind", "key", "value", "at", "says"), [
    ("closed_path", "bad", "ignore", "bad: ignore", "`bad` is derived from the lines"),
    ("closed_path", "id", None, "closed_path:", "has no `id`"),
    ("closed_path", "id", "a_name_that_is_far_far_too_long.{pump}",
     "id: a_name_that_is_far_far_too_long.{pump}", "more than 32 letters"),
])  # fmt: skip
def test_what_lines_decide_cannot_be_set_and_a_rule_needs_its_name(kind, key, value, at, says):
    section = routes(LINE, "e0 e1", "p0", "v0")
    section["rules"] = RULES | {kind: RULES[kind] | {key: value}}
    if value is None:
        del section["rules"][kind][key]
    assert_refused(unit_with(section), at, says)


def test_a_pump_with_an_unknown_kind_of_rule_or_no_way_to_stand_still_is_refused():
    section = routes(LINE, "e0 e1", "p0", "v0")
    section["pumps"]["p0"]["rules"] = {"closed_paths": {"delay": "1 s"}}
    assert_refused(unit_with(section), "closed_paths:", "Did you mean 'closed_path'?")
    section = routes(LINE, "e0 e1", "p0", "v0")
    section["pumps"]["p0"]["still"] = "s_p0 > 1 mL/min"
    assert_refused(unit_with(section), "still: s_p0 > 1 mL/min", "is not `TAG < VALUE UNIT`")


@pytest.mark.parametrize(("name", "change", "at", "says"), [
    ("v0", {"safe": 1}, "v0:", "open: a closed system is safe closed"),
    ("v0", {"winner": "higher"}, "winner: higher", "must be lower"),
])
def test_a_valve_that_would_not_be_shut_by_every_row_is_refused(name, change, at, says):
    data = unit_with(routes(LINE, "e0 e1", "p0", "v0"))
    data["actuators"][name] |= change
    assert_refused(data, at, says)


def test_pumps_and_valves_are_actuators_and_nobody_marks_a_row_as_derived():
    data = unit_with(routes(LINE, "e0 e1", "p0", "v0"))
    del data["actuators"]["p0"]
    assert_refused(data, "p0:", "unknown actuator 'p0'")
    data = unit_with(routes(LINE, "e0 e1", "p0", "v0"))
    data["rows"][0]["route"] = "p0"
    assert_refused(data, "route: p0", "nobody writes it")


def test_a_fault_in_a_derived_row_is_told_at_the_part_of_the_routes_it_comes_from():
    text = UNIT.read_text()
    for old, new, says in (
        ("xv202: {open: XV202_ZSO, closed: XV202_ZSC}\n",
         "xv202: {open: XV202_ZZO, closed: XV202_ZSC}\n", "unknown tag 'XV202_ZZO'"),
        ("turning: ST_PERF > 0.1 mL/min", "turning: ST_PERF > 0.1 mbar", "is a pressure"),
        ('id: "19.{pump}", delay: 2 s', 'id: "19.{pump}", delay: 10 ms', "shorter than a scan"),
        ("action: hold, safety_time: 60 s, risk: [FM-V6]}",
         "action: hould, safety_time: 60 s, risk: [FM-V6]}", "action"),
        ("never_joined: [[waste, product]]", "never_joined: [[waste, prodct]]", "'product'"),
    ):
        assert text.count(old) == 1, old
        with pytest.raises(BadInput) as caught:
            compile_unit(parse(text.replace(old, new).encode(), "unit.yaml"), SHIPPED / "devices")
        assert says in caught.value.what
        line = text.replace(old, new).splitlines()[int(caught.value.where.split(":")[1]) - 1]
        assert new in line or "perfusate" in line, caught.value.where
