"""In-process controls: acceptance limits, retest, hold, deviation; and a rebuild from the log."""

from __future__ import annotations

import json
import re
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompt_bench import ONE, SAMPLE, VARIABLES, batch, rebuilt, refusals, told
from recipe_bench import ROOT, Desk, offer_of, recipe_of

from controller.core.clock import VirtualClock
from controller.core.errors import BadInput
from controller.recipe.batch import BatchState, evolve, state_digest
from controller.recipe.model import PromptKind
from controller.recipe.result_table import read
from controller.units import find_unit, load_unit

S = "u/o/sample"
VIABLE = "{control: viable, of: viability, low: 70 %, title: Viability, outside: [retest, hold]}"
NOTED = "{control: noted, of: viability, low: 80 %, high: 99 %, outside: [deviation]}"


def counted(*controls: str, items: str = ONE) -> Desk:
    """A batch that waits for the viability."""
    bench = batch(f"[{', '.join(controls)}]", items=items)
    bench.answer(f"{S}.vcd", "10")
    return bench


def results(bench: Desk) -> list[tuple[str, str, bool, str]]:
    return [(e.data["control"], e.data["value"], e.data["within"], e.data["then"])
            for e in told(bench, "control.result")]  # fmt: skip


@pytest.mark.parametrize("value", ["70", "100", "70.0"])
def test_a_result_within_its_limits_is_recorded_as_such_and_counts(value: str) -> None:
    bench = counted(VIABLE)
    bench.answer(f"{S}.viability", value)
    assert [row[2:] for row in results(bench)] == [(True, "")]
    assert told(bench, "control.result")[0].data["limits"] == "at least 70 %"
    assert bench.state.variables["viability"].value == float(value)
    assert bench.state_of("small") == "Complete"


def test_a_result_outside_is_measured_again_and_only_what_is_accepted_counts() -> None:
    bench = counted(VIABLE)
    bench.answer(f"{S}.viability", "69.9")
    assert results(bench) == [("viable", "69.9 %", False, "retest")]
    assert "viability" not in bench.state.variables
    view = bench.engine.prompts(bench.state)[0]
    assert view.again == "viable: 69.9 %, limits at least 70 %"
    assert bench.state_of("small") == "Running"
    bench.answer(f"{S}.viability", "71")
    assert bench.state.variables["viability"].value == 71
    assert [e.data["value"] for e in told(bench, "sample.recorded")] == ["10", "71"]


def test_a_second_result_outside_holds_and_the_question_stays() -> None:
    bench = counted(VIABLE)
    bench.answer(f"{S}.viability", "60")
    bench.answer(f"{S}.viability", "61")
    assert bench.state_of("small") == "Held"
    assert bench.state.hold_causes == ("viable: 61 %, limits at least 70 %",)
    bench.answer(f"{S}.viability", "80")
    assert refusals(bench) == ["its phase is Held"]
    bench.order("restart")
    assert bench.state_of("small") == "Running"
    bench.answer(f"{S}.viability", "62")
    assert bench.state_of("small") == "Held"
    bench.order("restart")
    bench.answer(f"{S}.viability", "80")
    assert bench.state_of("small") == "Complete"
    assert [row[3] for row in results(bench)] == ["retest", "hold", "hold", ""]
    assert rebuilt(bench)


def test_a_hold_by_a_control_goes_to_the_level_its_phase_declares() -> None:
    bench = counted(
        "{control: viable, of: viability, low: 70 %, outside: [hold]}",
        items="{phase: sample, level: operation}",
    )
    bench.answer(f"{S}.viability", "60")
    assert (bench.state_of("u/o"), bench.state_of("u"), bench.state_of("small")) == (
        "Held", "Running", "Running",
    )  # fmt: skip


def test_a_deviation_has_a_number_and_the_value_counts() -> None:
    bench = counted(NOTED)
    bench.answer(f"{S}.viability", "60")
    found = told(bench, "deviation.recorded")[0]
    assert found.data == {"deviation": "DEV-IPC-1", "id": 0, "target": S, "second": "",
                          "what": "noted: 60 % is outside 80 % .. 99 %"}  # fmt: skip
    assert found.actor == "anna"
    assert bench.state.variables["viability"].value == 60
    assert bench.state_of("small") == "Complete"


def test_after_a_hold_may_come_a_deviation() -> None:
    bench = counted("{control: c, of: viability, low: 70 %, outside: [retest, hold, deviation]}")
    bench.answer(f"{S}.viability", "60")
    bench.answer(f"{S}.viability", "60")
    bench.order("restart")
    bench.answer(f"{S}.viability", "60")
    assert [row[3] for row in results(bench)] == ["retest", "hold", "deviation"]
    assert bench.state_of("small") == "Complete"
    assert bench.state.deviations == 1


def test_of_several_controls_the_strictest_decides_and_nothing_is_noted_twice() -> None:
    bench = counted(VIABLE, NOTED)
    bench.answer(f"{S}.viability", "60")
    assert results(bench) == [("viable", "60 %", False, "retest"), ("noted", "60 %", False,
                                                                    "retest")]  # fmt: skip
    assert not told(bench, "deviation.recorded")
    bench.answer(f"{S}.viability", "75")
    assert results(bench)[2:] == [("viable", "75 %", True, ""), ("noted", "75 %", False,
                                                                 "deviation")]  # fmt: skip
    assert [e.data["deviation"] for e in told(bench, "deviation.recorded")] == ["DEV-IPC-1"]


@pytest.mark.parametrize(("value", "within"), [("80", True), ("99", True), ("99.1", False)])
def test_the_limits_themselves_are_acceptable(value: str, within: bool) -> None:
    bench = counted(NOTED)
    bench.answer(f"{S}.viability", value)
    assert [row[2] for row in results(bench)] == [within]


def test_of_a_retest_and_a_hold_the_hold_goes_first() -> None:
    bench = counted(VIABLE, "{control: dead, of: viability, low: 50 %, outside: [hold]}")
    bench.answer(f"{S}.viability", "40")
    assert {row[3] for row in results(bench)} == {"hold"}
    assert bench.state_of("small") == "Held"


def test_only_the_phase_whose_result_it_was_is_held() -> None:
    two = "{parallel: side, branches: [[{phase: a, use: sample, level: phase}], " \
          "[{phase: b, use: sample, level: phase}]]}"  # fmt: skip
    bench = batch("[{control: c, of: viability, low: 70 %, outside: [hold]}]", items=two)
    for name in "ab":
        bench.answer(f"u/o/side/{name}.vcd", "10")
    bench.answer("u/o/side/b.viability", "60")
    assert (bench.state_of("u/o/side/a"), bench.state_of("u/o/side/b")) == ("Running", "Held")
    bench.answer("u/o/side/a.viability", "90")
    assert bench.state_of("u/o/side/a") == "Complete"


def test_numbers_of_deviations_go_on_through_the_batch() -> None:
    bench = counted(NOTED, items="{phase: sample}, {phase: b, use: sample}")
    bench.answer(f"{S}.viability", "60")
    bench.answer("u/o/b.vcd", "10")
    bench.answer("u/o/b.viability", "61")
    assert [e.data["deviation"] for e in told(bench, "deviation.recorded")] == [
        "DEV-IPC-1", "DEV-IPC-2",
    ]  # fmt: skip


def test_plausibility_goes_first_then_the_control_judges_what_was_confirmed() -> None:
    bench = batch("[{control: few, of: vcd, low: 5e6 /mL, outside: [retest, deviation]}]")
    bench.answer(f"{S}.vcd", "4")
    assert (bench.names().count("prompt.repeat"), results(bench)) == (1, [])
    bench.answer(f"{S}.vcd", "4", second="ben")
    assert [row[3] for row in results(bench)] == ["retest"]
    bench.answer(f"{S}.vcd", "4")
    assert bench.names().count("prompt.repeat") == 2, "measured again is entered anew"
    bench.answer(f"{S}.vcd", "4", second="ben")
    assert [row[3] for row in results(bench)] == ["retest", "deviation"]
    assert bench.state.variables["vcd"].value == 4


@pytest.mark.parametrize(
    ("condition", "judged"),
    [("seen == 1", False), ("seen == 0", True), ("known(lot)", False), ("TT101 > 30 degC", True)],
)
def test_a_control_applies_when_its_condition_holds_or_cannot_be_told(
    condition: str, judged: bool
) -> None:
    early = SAMPLE.replace("set: {expected: 10e6 /mL}", "set: {expected: 10e6 /mL, seen: 0}")
    bench = batch(
        f'[{{control: c, of: viability, low: 70 %, when: "{condition}", outside: [deviation]}}]',
        phases=early, TT101=20.0,
    )  # fmt: skip
    bench.bad.add("TT101")
    bench.answer(f"{S}.vcd", "10")
    bench.answer(f"{S}.viability", "60")
    assert bool(results(bench)) is judged


@pytest.mark.parametrize(
    ("control", "says"),
    [
        ("{control: c, of: viabilty, low: 1 %, outside: [hold]}", "Did you mean 'viability'"),
        ("{control: c, of: lot, low: 1 %, outside: [hold]}", "no number 'lot'"),
        ("{control: c, of: viability, outside: [hold]}", "a low or a high limit"),
        ("{control: c, of: viability, low: 9 %, high: 8 %, outside: [hold]}", "low below high"),
        ("{control: c, of: viability, low: 9 mM, outside: [hold]}", "is needed here"),
        ("{control: c, of: viability, low: 9 %, outside: [retest]}", "ends with hold or deviation"),
        ("{control: c, of: viability, low: 9 %, outside: []}", "at least 1"),
        ("{control: c, of: viability, low: 9 %, outside: [shrug]}", "outside"),
        ("{control: c, of: viability, low: 9 %, when: seen, outside: [hold]}", "yes/no"),
    ],
)
def test_a_control_that_cannot_work_is_refused_with_its_line(control: str, says: str) -> None:
    with pytest.raises(BadInput, match=says) as refused:
        batch(f"[{control}]")
    assert "recipe.yaml:" in refused.value.where


def test_a_hold_that_was_owed_when_the_power_went_comes_first_after_it() -> None:
    bench = counted("{control: c, of: viability, low: 70 %, outside: [hold]}")
    bench.answer(f"{S}.viability", "60")
    cut = next(n for n, e in enumerate(bench.records) if e.name == "control.result") + 1
    again = Desk(bench.recipe)
    for event in bench.records[:cut]:
        again.state = evolve(again.state, event)
    assert again.state_of("small") == "Running"
    again.clock.advance_to(bench.clock.now_ns)
    again.record("batch.attached", gap_s="1", state="Running")
    again.tick()
    assert again.state_of("small") == "Held"
    assert again.state.hold_causes == ("c: 60 %, limits at least 70 %",)


_ENTRIES = st.lists(
    st.tuples(st.sampled_from(["vcd", "viability"]), st.sampled_from(["3", "10", "60", "75", "90"]),
              st.sampled_from(["", "ben"])), max_size=14)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(_ENTRIES)
def test_whatever_is_entered_only_accepted_values_count_and_the_log_rebuilds_the_state(
    entries: list[tuple[str, str, str]],
) -> None:
    bench = batch(f"[{VIABLE}, {NOTED}, {{control: few, of: vcd, low: 5e6 /mL, "
                  "outside: [retest, deviation]}]")  # fmt: skip
    for name, value, second in entries:
        bench.answer(f"{S}.{name}", value, second=second)
        if bench.state_of("small") == "Held":
            bench.order("restart")
    found = bench.state.variables.get("viability")
    assert found is None or float(found.value) >= 70
    noted = len(told(bench, "deviation.recorded"))
    assert noted == bench.state.deviations
    for event in told(bench, "control.result"):
        assert event.data["within"] is (event.data["then"] == "")
    state = BatchState()
    for event in bench.records:  # as a log gives them back
        state = evolve(state, {
            "event": event.name, "data": json.loads(json.dumps(dict(event.data))),
            "actor": event.actor, "boot_id": event.stamp.boot_id,
            "mono_ns": str(event.stamp.mono_ns), "time": event.stamp.rfc3339(),
        })  # fmt: skip
    assert state_digest(state) == state_digest(bench.state)


# -- the page -----------------------------------------------------------------------------------

PAGE = (ROOT / "docs" / "in-process-controls.md").read_text()


def block(kind: str, begins: str) -> str:
    """The block of the page that begins so."""
    found = re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.M | re.S)
    return next(str(text) for text in found if text.startswith(begins))


def test_the_controls_shown_work_on_the_shipped_recipe() -> None:
    shipped = (ROOT / "recipes" / "car_t_perfusion.yaml").read_text()
    recipe = recipe_of(
        f"{shipped}\n{block('yaml', 'controls:')}", load_unit(find_unit("perfusion_2l"))[1]
    )
    assert [plan.id for plan in recipe.controls] == ["viability_ok", "not_starving"]


def test_the_layout_and_the_file_shown_are_read() -> None:
    text = block("yaml", "instruments:").partition("\n")[2]
    offer = offer_of(f"{VARIABLES}\nphases:\n{SAMPLE}\ninstruments:\n{text}")
    (layout,) = offer.instruments
    assert layout.columns[0] == "sample id"
    file = read("counts.csv", block("csv", "sample,").encode(), VirtualClock(1).stamp())
    assert [row.analyte for row in file.rows] == ["vcd", "viability"]


def test_the_page_tells_every_kind_of_prompt_and_every_step() -> None:
    for word in (*get_args(PromptKind), "retest", "hold", "deviation"):
        assert f"| `{word}` |" in PAGE, word
