"""A criterion stands before the action, and what was not planned cannot be measured."""

import pytest

from hil_sim.qualification.protocol import CaseProtocol, CriterionFailed, ProtocolError


class Kept:
    """A sink that keeps what it was given, in order."""

    def __init__(self):
        self.calls = []

    def planned(self, case, plan, digest):
        self.calls.append(("planned", plan, digest))

    def evidence(self, case, name, data):
        self.calls.append(("evidence", name, data))
        return "ab" * 32

    def step(self, case, number, state):
        self.calls.append(("step", number, state))
        return "2026-01-05T08:00:00.000+00:00"

    def measured(self, case, row):
        self.calls.append(("measured", row))


@pytest.fixture
def protocol():
    return CaseProtocol("OQ-X-1", Kept())


def test_the_plan_is_recorded_before_the_first_action(protocol):
    step = protocol.step("force it")
    measure = step.measure("time").within(1.0, 2.0, unit="s")
    with step:
        measure.take(1.5)
    protocol.finish()
    kinds = [call[0] for call in protocol.sink.calls]
    assert kinds == ["planned", "step", "step", "measured", "step"]
    plan = protocol.sink.calls[0][1]
    assert plan["steps"][0]["criteria"] == [{"name": "time", "criterion": "1 to 2 s"}]


def test_nothing_can_be_added_to_a_fixed_plan(protocol):
    step = protocol.step("force it")
    step.measure("time").at_most(2.0)
    late = step.measurements[0]
    with step:
        with pytest.raises(ProtocolError, match="not in the plan"):
            step.measure("another")
        with pytest.raises(ProtocolError, match="not in the plan"):
            protocol.step("another")
        with pytest.raises(ProtocolError, match="after the first action"):
            late.at_most(9.0)
    assert len(protocol.steps) == 1
    assert late.high == 2.0


def test_a_step_without_a_criterion_for_its_measurement_cannot_begin(protocol):
    step = protocol.step("force it")
    step.measure("time")
    with pytest.raises(ProtocolError, match="no criterion"), step:
        pass
    assert protocol.sink.calls == []


def test_what_was_not_measured_is_not_passed(protocol):
    step = protocol.step("force it")
    step.measure("time").at_most(2.0, unit="s")
    with step:
        pass
    with pytest.raises(CriterionFailed, match="expected at most 2 s, not measured"):
        protocol.finish()


def test_a_case_without_criteria_proves_nothing(protocol):
    with protocol.step("look"):
        pass
    with pytest.raises(ProtocolError, match="proves nothing"):
        protocol.finish()


@pytest.mark.parametrize("value", [None, float("nan"), 2.0001, 0.9999, float("inf")])
def test_a_value_outside_its_limits_or_none_at_all_fails(protocol, value):
    step = protocol.step("force it")
    measure = step.measure("time").within(1.0, 2.0, unit="s")
    with step:
        assert measure.take(value, "the delay is wrong") is False
    with pytest.raises(CriterionFailed, match="the delay is wrong"):
        protocol.finish()


def test_a_measurement_is_taken_once_and_in_its_step(protocol):
    first, second = protocol.step("one"), protocol.step("two")
    measure = first.measure("x").equals("yes")
    second.measure("y").equals("yes")
    with first:
        measure.take("no")
        with pytest.raises(ProtocolError, match="twice"):
            measure.take("yes")
    with second, pytest.raises(ProtocolError, match="outside of step"):
        first.measurements[0].take("yes")
    assert measure.verdict == "fail"
