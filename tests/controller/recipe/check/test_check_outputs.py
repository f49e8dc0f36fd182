"""Whatever a phase begins it ends: at its end, on Stop, on Abort, and when it is left."""

from __future__ import annotations

from pathlib import Path

import pytest
from check_bench import UNIT, checked, edited, rules, small_report

CALL = "      - {operation: o, phases: [{phase: p}, {phase: last}]}\n"
UNIT_OF = """
variables:
  on: {dimension: count}
phases:
  - id: last
    running:
      - text: Shut
        set: {xv201: closed}
    aborting:
      - text: Shut
        set: {xv201: closed}
  - id: p
%s"""


def phase(text: str) -> list[tuple[str, str]]:
    """What is found in a phase `p` of this text, `last` behind it."""
    return rules(small_report(CALL, UNIT_OF % text))


@pytest.mark.parametrize(
    ("running", "found"),
    [
        (["xv201: open", "xv201: closed"], 0),
        (["xv201: open"], 1),
        (["xv201: closed", "xv201: open"], 1),
        (["xv201: closed"], 0),
        (["xv201: open", "xv201: closed", "xv201: open"], 1),
    ],
)
def test_a_valve_opened_is_closed_before_the_phase_is_done(running: list[str], found: int) -> None:
    steps = "".join(f"      - text: Step\n        set: {{{item}}}\n" for item in running)
    text = (
        f"    running:\n{steps}    aborting:\n      - text: Shut\n        set: {{xv201: closed}}\n"
    )
    assert phase(text) == [("not-ended", "u/o/p")] * found


OPEN = """    running:
      - text: Open
        set: {xv201: open}
      - text: Time
        for: 5 min
      - text: Shut
        set: {xv201: closed}
"""


@pytest.mark.parametrize(
    ("logics", "found"),
    [
        ("    aborting: [{text: Shut, set: {xv201: closed}}]\n", 0),
        ("    aborting: [{text: Shut, set: {xv202: closed}}]\n", 1),
        ("    aborting: [{text: Shut, when: VOL > 1 L, set: {xv201: closed}}]\n", 1),
        ("    aborting: [{text: Shut, set: {xv201: closed}}, {text: No, set: {xv201: open}}]\n", 1),
        ("    aborting: [{text: Shut, set: {xv201: closed}}]\n"
         "    stopping: [{text: Rest, for: 5 min}]\n", 1),
        ("    aborting: [{text: Shut, set: {xv201: closed}}]\n    leaving: []\n", 1),
        ("    aborting: [{text: Shut, set: {xv201: closed}}]\n"
         "    leaving: [{text: Shut, set: {xv201: closed}}]\n", 0),
    ],
)  # fmt: skip
def test_every_logic_that_ends_a_phase_ends_its_outputs(logics: str, found: int) -> None:
    assert phase(OPEN + logics) == [("not-ended", "u/o/p")] * found


def test_what_ends_under_the_condition_it_began_under_is_ended() -> None:
    text = """    running:
      - text: Known
        set: {on: 1}
      - text: Open
        when: on == 1
        set: {xv201: open}
      - text: Shut
        when: on == 1
        set: {xv201: closed}
    aborting: [{text: Shut, set: {xv201: closed}}]
"""
    assert phase(text) == []
    other = text.replace("when: on == 1\n        set: {xv201: closed}",
                         "when: on == 0\n        set: {xv201: closed}")  # fmt: skip
    assert ("not-ended", "u/o/p") in phase(other)


LEAVES = """    leaves: [xv201]
    running: [{text: Open, set: {xv201: open}}]
    aborting: [{text: Shut, set: {xv201: closed}}]
"""


def test_what_a_phase_leaves_on_is_ended_by_a_later_one() -> None:
    assert phase(LEAVES) == []
    alone = "      - {operation: o, phases: [{phase: last}, {phase: p}]}\n"
    assert rules(small_report(alone, UNIT_OF % LEAVES)) == [("left-on", "u/o/p")]


def test_what_is_left_on_is_ended_on_every_way() -> None:
    some = """
      - operation: o
        phases:
          - {phase: p}
          - select: way
            unknown: otherwise
            choices:
              - {when: VOL > 1 L, do: [{phase: last}]}
              - otherwise: [OTHER]
"""
    found = rules(small_report(some.replace("OTHER", ""), UNIT_OF % LEAVES))
    assert ("left-on", "u/o/p") in found
    every = some.replace("OTHER", "{phase: too, use: last}")
    assert ("left-on", "u/o/p") not in rules(small_report(every, UNIT_OF % LEAVES))


def test_while_something_is_left_on_every_phase_ends_it_when_it_is_stopped() -> None:
    unit = UNIT_OF % LEAVES + "  - id: between\n    running: [{text: Time, for: 1 h}]\n"
    text = "      - {operation: o, phases: [{phase: p}, {phase: between}, {phase: last}]}\n"
    assert rules(small_report(text, unit)) == [("not-ended", "u/o/between")]


def test_the_environment_is_nobodys_to_end(tmp_path: Path) -> None:
    """condition_medium begins heat, stirring and gas, and no later phase but the last ends them."""
    unit = edited(UNIT, ("      - text: Stirring off\n        set: {stirrer: 0 rpm}\n", ""))
    assert checked(tmp_path, unit=unit).findings == ()


def test_a_loop_that_drives_a_pump_only_is_the_phases_to_end(tmp_path: Path) -> None:
    ends = "        timeout: until + 24 h\n        on_timeout: alarm\n"
    stop = "      - text: Stop perfusion\n        set: {"
    unit = edited(UNIT, (f"{ends}{stop}WIC101.mode: off, ", f"{ends}{stop}"))
    found = checked(tmp_path, unit=unit).findings
    assert [each.rule for each in found] == ["not-ended"]
    assert "'expand' moves WIC101" in found[0].what
