"""YAML within limits, stamps from a seed, and events that can only say what was declared."""

from __future__ import annotations

import string

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from controller.core import yamltext
from controller.core.clock import VIRTUAL_EPOCH_NS, RealClock, VirtualClock
from controller.core.errors import BadInput, CellwrightError, Place, nearest
from controller.core.events import EVENTS, MAX_TEXT, Event, Severity
from controller.core.signal import Quality, Reading, Reason, Tag

STAMP = VirtualClock(1).stamp()


# -- yamltext ------------------------------------------------------------------------------------


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    speed: int = Field(ge=0)


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    parts: list[Inner] = []


def parse(text: str) -> yamltext.Document:
    return yamltext.parse(text.encode(), "f.yaml")


@pytest.mark.parametrize(("text", "says", "place"), [
    ("name: &a x\nparts: *a", "anchors and aliases", "f.yaml:1:7"),
    ("name: x\nname: y", "duplicate key 'name'", "f.yaml:2:1"),
    ("name: !!python/object:os.system x", "not allowed", "f.yaml:1:7"),
    ("name: !custom x", "not allowed", "f.yaml:1:7"),
    ("name: !!python/object/apply:os.system [x]", "not allowed", "f.yaml:1:7"),
    ("name: !!binary eA==", "not allowed", "f.yaml:1:7"),
    ("name: [", "not valid YAML", "f.yaml:"),
    ("name: \x00", "not valid YAML", "f.yaml"),
    ("[" * 60 + "]" * 60, "nested deeper", "f.yaml:1:49"),
])  # fmt: skip
def test_what_is_not_plain_data_within_limits_is_refused_with_its_place(text, says, place):
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert says in caught.value.what
    assert caught.value.where.startswith(place)


def test_more_nodes_than_the_limit_are_refused_before_anything_is_built():
    with pytest.raises(BadInput, match="more than"):
        parse("[" + "1," * (yamltext.MAX_NODES + 5) + "]")


@pytest.mark.parametrize("size", [yamltext.MAX_BYTES, yamltext.MAX_BYTES + 1])
def test_a_file_may_have_a_million_bytes_and_not_one_more(tmp_path, size):
    file = tmp_path / "f.yaml"
    file.write_bytes(b"#" * size)
    if size <= yamltext.MAX_BYTES:
        assert yamltext.load(file).data == {}
    else:
        with pytest.raises(BadInput, match="the limit is"):
            yamltext.load(file)


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(BadInput, match="not valid YAML"):
        yamltext.parse(b"name: \xff\xfe\xfd", "f.yaml")


@pytest.mark.parametrize(("text", "says", "line"), [
    ("name: x\nparts:\n  - speed: 1\n  - sped: 2", "Did you mean 'speed'?", 4),
    ("name: x\nparts:\n  - speed: -1", "speed", 3),
    ("parts: []", "'name' is missing", 1),
])  # fmt: skip
def test_a_model_fault_points_at_its_line_and_names_the_nearest_key(text, says, line):
    with pytest.raises(BadInput) as caught:
        parse(text).validate(Outer)
    assert says in caught.value.what
    assert caught.value.where.startswith(f"f.yaml:{line}:")


def test_a_word_like_off_stays_a_word():
    data = parse("{a: off, b: yes, c: true, d: 1.5, e: 7, f: 1_0, g: 2024-01-01, h: ~, i: .nan}")
    assert data.data == {"a": "off", "b": "yes", "c": True, "d": 1.5, "e": 7, "f": "1_0",
                         "g": "2024-01-01", "h": None, "i": ".nan"}  # fmt: skip


@given(st.recursive(
    st.one_of(st.integers(-10**9, 10**9), st.booleans(), st.text(string.ascii_letters, min_size=1)),
    lambda inner: st.dictionaries(st.text(string.ascii_lowercase, min_size=1), inner, max_size=4),
    max_leaves=12,
))  # fmt: skip
def test_plain_data_survives_the_way_through_text_and_every_node_has_a_place(data):
    document = parse(yaml.safe_dump({"root": data}))
    assert document.data == {"root": data}
    assert document.place("root", "nowhere") == document.place("root")


def test_the_digest_is_that_of_the_bytes():
    assert parse("a: 1").sha256 != parse("a:  1").sha256
    assert parse("a: 1").sha256 == parse("a: 1").sha256


# -- clock ---------------------------------------------------------------------------------------


def test_a_virtual_clock_is_a_function_of_its_seed_and_never_steps_back():
    one, same, other = VirtualClock(1), VirtualClock(1), VirtualClock(2)
    one.advance_to(5)
    same.advance_to(5)
    assert one.stamp() == same.stamp()
    assert one.stamp().boot_id != other.stamp().boot_id
    assert one.stamp().utc_ns == VIRTUAL_EPOCH_NS + 5
    with pytest.raises(ValueError, match="step back"):
        one.advance_to(4)
    assert one.now_ns == 5


@given(st.integers(0, 400 * 86_400 * 10**9))
def test_a_stamp_reads_as_rfc_3339_with_milliseconds(ns):
    text = VirtualClock(1).at(ns).rfc3339()
    assert len(text) == len("2026-01-05T08:00:00.100+00:00")
    assert text.endswith("+00:00")
    assert text[20:23] == f"{ns // 10**6 % 1000:03d}"


def test_the_machines_clock_gives_stamps_in_order():
    clock = RealClock()
    first, second = clock.stamp(), clock.stamp()
    assert first.mono_ns <= second.mono_ns
    assert first.boot_id == second.boot_id


# -- events --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_every_declared_event_can_be_made_and_worded_from_its_fields(name):
    kind = EVENTS[name]
    event = Event(name, STAMP, data=dict.fromkeys(kind.fields, "x"))
    assert event.words()
    assert event.severity in Severity


@pytest.mark.parametrize("data", [
    {"row": "1", "scan": 3}, {"row": "1", "title": "t", "scan": 3, "more": 1}, {},
])  # fmt: skip
def test_an_event_with_other_fields_than_declared_cannot_be_made(data):
    with pytest.raises(ValueError, match=r"cause\.reset"):
        Event("cause.reset", STAMP, data=data)


def test_an_undeclared_event_cannot_be_made():
    with pytest.raises(ValueError, match="unknown event"):
        Event("cause.resett", STAMP)


@pytest.mark.parametrize("value", [
    1.5, float("nan"), 2**53, -(2**53), "x" * (MAX_TEXT + 1), object(), b"x", {"a": 0.5}, [0.5],
    [[[[[1]]]]], ["x"] * 2000,
])  # fmt: skip
def test_a_value_the_record_cannot_hold_exactly_is_refused(value):
    with pytest.raises(ValueError, match=r"bypass\.lapsed"):
        Event("bypass.lapsed", STAMP, data={"row": value, "scan": 1})


def test_a_reason_is_limited():
    with pytest.raises(ValueError, match="reason"):
        Event("bypass.lapsed", STAMP, reason="x" * (MAX_TEXT + 1), data={"row": "1", "scan": 1})


# -- signal and errors ---------------------------------------------------------------------------


def test_only_a_finite_value_of_good_quality_is_good():
    assert Reading(1.0, Quality.GOOD, Reason.NONE, 0).good
    assert not Reading(float("nan"), Quality.GOOD, Reason.NONE, 0).good
    assert not Reading(1.0, Quality.UNCERTAIN, Reason.DEVICE, 0).good
    assert Reading(1.0, Quality.GOOD, Reason.NONE, 5).age_ns(12) == 7


@pytest.mark.parametrize("limits", [(1, 1), (2, 1), (float("nan"), 1), (0, float("inf"))])
def test_a_tag_needs_a_finite_range(limits):
    with pytest.raises(ValueError, match="not a range"):
        Tag("T", "degC", *limits)


def test_every_reason_has_words_for_people():
    assert all(reason.words for reason in Reason)


def test_an_error_says_what_where_what_it_means_and_what_to_do():
    error = CellwrightError("it broke", where=Place("f.yaml", 3, 4), means="no batch", do="mend it")
    assert str(error) == "f.yaml:3:4: it broke\n  no batch\n  mend it"


def test_a_hint_names_the_nearest_or_the_first_names():
    assert nearest("TT10l", ["TT101", "PT101"]) == "Did you mean 'TT101'?"
    assert nearest("zzz", ["b", "a"]) == "Known: a, b."
    assert nearest("zzz", []) == ""
