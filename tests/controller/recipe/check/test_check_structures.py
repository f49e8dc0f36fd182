"""Selections, loops, branches, alternatives, controls and care: what the check says of each."""

from __future__ import annotations

import pytest
from check_bench import SMALL, SMALL_UNIT, Report, rules, small_report

BEGIN = "      - {operation: first, phases: [{phase: begin}]}\n"


def said(report: Report) -> str:
    """What the first finding says."""
    return report.findings[0].what if report.findings else ""


def test_a_small_sound_recipe_has_no_finding() -> None:
    report = small_report(
        BEGIN + "      - {operation: o, phases: [{phase: sample}, {phase: fill}]}\n"
    )
    assert report.findings == ()


def test_what_only_one_choice_sets_may_be_unset_behind_the_selection() -> None:
    report = small_report("""
      - operation: o
        phases:
          - select: way
            unknown: otherwise
            choices:
              - {when: VOL > 1 L, do: [{phase: begin}]}
              - otherwise: []
          - {phase: sample}
""")
    assert rules(report) == [("maybe-unset", "u/o/sample")]
    assert "reads begun" in said(report)
    assert report.errors == ()


def test_what_every_choice_sets_is_set_behind_the_selection() -> None:
    report = small_report("""
      - operation: o
        phases:
          - select: way
            unknown: otherwise
            choices:
              - {when: VOL > 1 L, do: [{phase: begin}]}
              - otherwise: [{phase: begin_too, use: begin}]
          - {phase: sample}
""")
    assert report.findings == ()


def test_what_a_branch_sets_is_set_behind_all_branches_and_may_be_unset_beside_them() -> None:
    report = small_report("""
      - operation: o
        phases:
          - parallel: both
            branches:
              - [{phase: begin}]
              - [{phase: sample}]
          - {phase: later, use: sample, with: {at: 50 h}}
""")
    assert rules(report) == [("maybe-unset", "u/o/both/sample")]


def test_a_condition_that_asks_whether_a_variable_is_known_needs_nobody_to_set_it() -> None:
    unit = (
        SMALL_UNIT
        + """
  - id: careful
    running:
      - text: Only if it is known
        when: known(vcd)
        set: {mark: vcd / 1e6 /mL}
      - text: Else nothing
        when: not known(vcd)
        set: {mark: 0}
      - text: One way or the other it is set
        wait: mark >= 0
        timeout: 1 h
"""
    )
    report = small_report(BEGIN + "      - {operation: o, phases: [{phase: careful}, "
                          "{phase: sample}, {phase: again, use: careful}]}\n", unit)  # fmt: skip
    assert [each for each in report.findings if each.rule in ("unset", "maybe-unset")] == []


def test_a_loop_whose_condition_moves_with_an_age_is_sound() -> None:
    report = small_report(
        BEGIN
        + """
      - operation: o
        phases:
          - loop: daily
            do: [{phase: wait_a_day}]
            until: age(begun) > 100 h
            unknown: again
            at_most: 9
            on_limit: hold
"""
    )
    assert report.findings == ()


def test_what_one_round_of_a_loop_sets_the_next_may_read() -> None:
    report = small_report(
        BEGIN
        + """
      - operation: o
        phases:
          - loop: daily
            until: age(begun) > 100 h
            unknown: again
            at_most: 9
            on_limit: hold
            do:
              - select: grown
                unknown: otherwise
                choices:
                  - {when: vcd > 1e6 /mL and age(vcd) < 30 h, do: [{phase: rest, use: wait_a_day}]}
                  - otherwise: []
              - {phase: sample}
"""
    )
    assert report.findings == ()


def test_a_loop_condition_may_be_changed_by_a_branch_beside_it() -> None:
    loop = ("{loop: daily, do: [{phase: wait_a_day}], until: mark == 1, unknown: again, "
            "at_most: 9, on_limit: hold}")  # fmt: skip
    unit = SMALL_UNIT.replace("set: {mark: 1}", "set: {mark: 1, begun: 0}")
    marks = "{phase: mark_it}"
    alone = f"      - {{operation: o, phases: [{marks}, {loop}]}}\n"
    zero = unit.replace(
        "    running:\n      - text: Begin\n        set: {begun: 1}",
        "    running:\n      - text: Begin\n        set: {begun: 1, mark: 0}",
    )
    assert rules(small_report(BEGIN + alone, zero)) == [("endless", "u/o/daily")]
    beside = f"      - {{operation: o, branches: [[{loop}], [{{phase: wait_a_day}}, {marks}]]}}\n"
    assert rules(small_report(BEGIN + beside, zero)) == []


def test_what_happens_behind_an_alternative_counts_too() -> None:
    text = (
        BEGIN
        + """
      - operation: o
        phases:
          - phase: fill
            exceptions: [{row: "16", do: {go_to: rescue}}]
          - {phase: mark_it}
      - operation: then
        phases:
          - {transition: marked, when: mark == 1, timeout: 1 h}
    alternatives:
      - {operation: rescue, then: THEN, phases: [{phase: rest, use: wait_a_day}]}
"""
    )
    report = small_report(text.replace("THEN", "next"))
    assert rules(report) == [("maybe-unset", "u/then/marked")]
    # Without that way on, the mark is there whenever it is looked at.
    assert rules(small_report(text.replace("THEN", "stop"))) == [("always-true", "u/then/marked")]


def test_an_alternative_of_an_alternative_is_reached() -> None:
    report = small_report("""
      - operation: o
        phases:
          - phase: fill
            exceptions: [{row: "16", do: {go_to: one}}]
    alternatives:
      - operation: one
        phases:
          - phase: rest
            use: wait_a_day
            exceptions: [{when: VOL > 1 L, unknown: ignore, do: {go_to: two}}]
      - {operation: two, phases: [{phase: sleep, use: wait_a_day}]}
      - {operation: three, phases: [{phase: never, use: wait_a_day}]}
""")
    assert rules(report) == [("unreachable", "u/three")]


@pytest.mark.parametrize("side", ["branches", "parallel"])
def test_two_branches_that_drive_one_output_are_in_conflict(side: str) -> None:
    pair = "[[{phase: fill}], [{phase: again, use: fill}]]"
    text = f"      - {{operation: o, branches: {pair}}}\n"
    if side == "parallel":
        text = f"      - {{operation: o, phases: [{{parallel: p, branches: {pair}}}]}}\n"
    found = small_report(text)
    assert {rule for rule, _ in rules(found)} == {"conflict"}
    assert len(found.errors) == 2  # the pump and its valve
    assert "side by side" in said(found)


def test_two_branches_that_set_one_variable_are_told_of() -> None:
    found = small_report(
        BEGIN + "      - {operation: o, branches: [[{phase: sample}], "
        "[{phase: twin, use: sample}]]}\n"
    )
    assert [(each.severity, each.rule) for each in found.findings] == [("warning", "conflict")]


def test_branches_that_set_one_flag_to_opposite_values_are_in_conflict() -> None:
    unit = (
        SMALL_UNIT
        + """
  - id: base
    running:
      - text: No base
        set: {no_base: true}
      - text: Base
        set: {no_base: false}
"""
    )
    found = small_report("      - {operation: o, branches: [[{phase: base}], "
                         "[{phase: twin, use: base}]]}\n", unit)  # fmt: skip
    assert "set the flag no_base to opposite values" in said(found)


@pytest.mark.parametrize(("source", "found"), [("fixed", ["never-true"]), ("entered", [])])
def test_a_choice_for_another_value_given_at_the_opening_is_no_mistake(
    source: str, found: list[str]
) -> None:
    head = SMALL.replace("high: 96 h}", f"high: 96 h, source: {source}}}")
    report = small_report(
        "      - operation: o\n        phases:\n"
        "          - {select: way, choices: [{when: hours > 50 h, do: []}, {otherwise: []}]}\n",
        head=head,
    )
    assert [each.rule for each in report.findings] == found


def test_a_part_of_a_condition_that_is_never_known_is_a_warning_if_another_decides() -> None:
    def severities(when: str) -> list[str]:
        transition = f"{{transition: t, when: {when}, timeout: 1 h}}"
        report = small_report(f"      - {{operation: o, phases: [{transition}]}}\n")
        return [each.severity for each in report.findings]

    assert severities("vcd > 1e6 /mL") == ["error"]
    assert severities("vcd > 1e6 /mL or VOL > 1 L") == ["warning"]
    assert severities("known(vcd) and vcd > 1e6 /mL or VOL > 1 L") == []


@pytest.mark.parametrize(
    ("unknown", "found"), [("wait", [("no-timeout", "u/o/way")]), ("hold", []), ("otherwise", [])]
)
def test_a_selection_that_waits_for_the_unknown_tells_nobody(
    unknown: str, found: list[tuple[str, str]]
) -> None:
    report = small_report(f"""
      - operation: o
        phases:
          - {{select: way, unknown: {unknown}, choices: [
              {{when: VOL > 1 L, do: []}}, {{otherwise: []}}]}}
""")
    assert rules(report) == found
    assert report.errors == ()


def test_choices_of_a_selection_never_run_side_by_side() -> None:
    found = small_report("""
      - operation: o
        phases:
          - select: way
            unknown: otherwise
            choices:
              - {when: VOL > 1 L, do: [{phase: fill}]}
              - otherwise: [{phase: again, use: fill}]
""")
    assert found.findings == ()


def test_the_care_of_a_long_hold_reads_what_the_batch_has_set() -> None:
    head = SMALL.replace(
        "procedure:\n",
        "long_hold: {after: 2 h, operation: care, phases: [{phase: look, use: sample}]}\n"
        "procedure:\n",
    )
    assert small_report(BEGIN, head=head).findings == ()


def test_a_control_must_be_able_to_pass_and_to_apply() -> None:
    def control(text: str) -> list[str]:
        head = SMALL.replace("procedure:\n", f"controls:\n  - {text}\nprocedure:\n")
        operations = BEGIN + "      - {operation: o, phases: [{phase: sample}]}\n"
        return [each.rule for each in small_report(operations, head=head).findings]

    assert control("{control: c, of: vcd, low: 1e6 /mL, outside: [hold]}") == []
    assert control("{control: c, of: vcd, low: 200e6 /mL, outside: [hold]}") == ["control"]
    assert control("{control: c, of: vcd, low: 1e6 /mL, when: begun == 3, outside: [hold]}") == [
        "never-true"
    ]


def test_errors_come_before_warnings_and_each_is_told_once() -> None:
    found = small_report("""
      - operation: o
        phases:
          - {transition: a, when: begun == 1 , timeout: 1 h}
          - {phase: one, use: fill}
          - {phase: two, use: fill}
""", SMALL_UNIT.replace("xv201: closed, feed: 0 mL/min", "xv201: closed"))  # fmt: skip
    severities = [each.severity for each in found.findings]
    assert severities == sorted(severities)
    assert len({(each.rule, each.where, each.what) for each in found.findings}) == len(severities)
