"""What a property may say, what makes it vacuous, and what bypass and restart mean to it."""

from __future__ import annotations

import pytest
from seeded import changed, proved, row, with_property

from controller.core.errors import BadInput
from controller.profile.prove.claims import claims

HOT = {"whenever": ["TT101 > 38.5 degC"], "then": "heater = 0"}


@pytest.mark.parametrize(("said", "words"), [
    ({"whenever": ["TT109 > 38.5 degC"], "then": "heater = 0"}, "unknown 'TT109'"),
    ({"whenever": ["TT101 > 38.5 mbar"], "then": "heater = 0"}, "is a pressure, but TT101"),
    ({"whenever": ["TT101 >= 38 degC"], "then": "heater = 0"}, "compared by > or <"),
    ({"whenever": ["TT101 hot"], "then": "heater = 0"}, "is not `TAG > VALUE UNIT`"),
    ({"whenever": ["TT101 > 38.5 degC"], "then": "heater = 101"}, "outside the range 0 to 100"),
    ({"whenever": ["TT101 > 38.5 degC"], "then": "TT102 < 3 degC"}, "names no actuator"),
    ({"whenever": ["TT101 > 38.5 degC"], "then": "heater is bad"}, "is an actuator"),
    ({**HOT, "within": "3 mbar"}, "is not a time"),
    ({**HOT, "bypassed": ["99"]}, "unknown '99'"),
    ({**HOT, "bypassed": ["1"]}, "can never be bypassed"),
    ({**HOT, "read_back": ["TT101"]}, "unknown 'TT101'"),
    ({"never": ["TT101 > 38.5 degC"]}, "no actuator is named"),
    ({"never": ["heater > 1"], "within": "3 s"}, "`never` stands alone"),
    ({"whenever": ["TT101 > 38.5 degC"]}, "give `whenever` and `then`"),
])  # fmt: skip
def test_a_wrong_property_is_refused_at_its_line(said, words):
    with pytest.raises(BadInput, match=r"unit\.yaml:") as error:
        claims(with_property(**said))
    assert words in str(error.value)


@pytest.mark.parametrize(("short", "full"), [
    ({"whenever": "LEVEL < 0.3 L", "then": "heater = 0", "within": "11 s"},
     {"whenever": ["LEVEL < 0.3 L"], "then": ["heater = 0"], "within": "11 s"}),
    ({"never": {"all": ["lineup < 0.5", "xv203 > 0.5"]}},
     {"never": ["lineup < 0.5", "xv203 > 0.5"]}),
])  # fmt: skip
def test_one_comparison_stands_alone_and_several_as_in_a_row(short, full):
    assert claims(with_property(**short)) == claims(with_property(**full))


def test_two_properties_of_one_name_are_refused():
    def twice(data):
        data["properties"].append(dict(data["properties"][0]))

    with pytest.raises(BadInput, match="duplicate id"):
        claims(changed(twice))


def test_a_premise_that_can_never_stand_is_vacuous():
    profile = with_property(whenever=["LT101 > 4 L"], then="feed = 0")
    found = proved(profile, "asked")
    assert found.vacuous
    assert not found.holds
    assert "can never stand" in found.why


def test_a_premise_that_contradicts_itself_through_a_block_is_vacuous():
    said = ["WT101 > 7000 g", "VOL_W < 1 L"]
    assert proved(with_property(whenever=said, then="feed = 0"), "asked").vacuous


def test_a_demand_that_nothing_could_break_is_vacuous():
    found = proved(with_property(whenever=["TT101 > 38.5 degC"], then="heater <= 100"), "asked")
    assert found.vacuous
    assert "always so" in found.why


def test_what_can_never_be_released_is_forbidden_in_vain():
    found = proved(with_property(never=["lineup < 0.5", "base > 0.1749", "base < 0.1"]), "asked")
    assert found.vacuous


def test_a_time_one_scan_too_short_does_not_hold():
    assert proved(with_property(**HOT, within="3 s"), "asked").holds
    assert not proved(with_property(**HOT, within="2.9 s"), "asked").holds


def test_a_silent_link_makes_its_signals_bad_in_the_proof_too():
    said = {"whenever": ["skid.age > 2.1 s", "TT102 is bad"], "then": "heater = 0"}
    said |= {"within": "11 s", "read_back": ["heater", "km101"]}
    assert proved(with_property(**said), "asked").holds


def test_a_bypass_counts_only_where_it_is_named():
    said = {"whenever": ["TT103 > 45 degC"], "then": "heater = 0", "within": "3 s"}
    assert proved(with_property(**said), "asked").holds
    assert not proved(with_property(**said, bypassed=["2"]), "asked").holds


def test_before_it_is_read_back_an_actuator_is_claimed_of_only_if_a_row_forces_it():
    blind = {"whenever": ["TT101 is bad", "TT102 is bad"], "then": "heater = 0", "within": "11 s"}
    assert not proved(with_property(**blind), "asked").holds
    assert proved(with_property(**blind, read_back=["heater", "km101"]), "asked").holds
    assert proved(with_property(**HOT, within="3 s"), "asked").holds


def test_the_second_final_element_is_proved_by_its_feedback_timer():
    said = {"whenever": ["TT101 > 38.5 degC", "JT101 > 3 %"], "then": "km101 = 0"}

    def heater_alone(data):
        row(data, "1")["then"] = ["heater = 0"]
        data["rows"].append({**row(data, "4"), "id": "4.contactor", "then": ["km101 = 0"]})
        for name in ("4",):
            row(data, name)["then"] = ["heater = 0"]
        data["properties"] = [
            {"id": "late", "title": "Late", **said, "within": "6 s"},
            {"id": "early", "title": "Early", **said, "within": "4.9 s"},
        ]

    profile = changed(heater_alone)
    assert proved(profile, "late").holds
    assert not proved(profile, "early").holds


def test_a_condition_with_its_own_delay_is_proved_with_it():
    def delayed(data):
        found = row(data, "1")
        found["delay"] = "0 s"
        found["any"] = [{"is": "TT101 > 38.5 degC", "delay": "4 s"}, "TT102 > 38.5 degC"]
        data["properties"] = [
            {"id": "late", "title": "Late", **HOT, "within": "4 s"},
            {"id": "early", "title": "Early", **HOT, "within": "3.9 s"},
        ]

    profile = changed(delayed)
    assert proved(profile, "late").holds
    assert not proved(profile, "early").holds
