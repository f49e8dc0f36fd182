"""A file based on another one: what it says, what it takes, and where each fault is."""

from __future__ import annotations

import hashlib

import pytest

from controller.core.based import SEAM, load_based, parse_based
from controller.core.errors import BadInput

BASE = """\
head: {name: base, version: 1}
limits:
  warm: {high: 38, low: 30}
  cold: {high: 8}
words: [one, two]
rows:
  - {id: a, title: First, then: [x = 0, y = 0]}
  - {id: b, title: Second}
  - {id: c, title: Third}
lines:
  - {from: p, to: q, kind: gas}
  - {from: q, to: r, kind: gas}
"""
OWN = (("head", "name"),)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "base.yaml").write_text(BASE)
    return tmp_path


def merged(folder, text):
    file = folder / "own.yaml"
    file.write_text("based_on: base\nhead: {name: own}\n" + text)
    return load_based(file, own=OWN)


def refused(folder, text):
    with pytest.raises(BadInput) as caught:
        merged(folder, text)
    return str(caught.value)


def test_what_a_file_does_not_say_is_taken_and_what_it_says_replaces(folder):
    data = merged(folder, "limits: {warm: {high: 39}, hot: {high: 60}}\nwords: [three]\n").data
    assert data["head"] == {"name": "own", "version": 1}
    assert data["limits"] == {"warm": {"high": 39, "low": 30}, "cold": {"high": 8},
                              "hot": {"high": 60}}  # fmt: skip
    assert data["words"] == ["three"]
    assert [row["id"] for row in data["rows"]] == ["a", "b", "c"]


def test_null_takes_a_key_away(folder):
    assert list(merged(folder, "limits: {cold: null}\n").data["limits"]) == ["warm"]


def test_entries_with_an_id_are_changed_where_they_stand_removed_and_added(folder):
    text = "rows: [{id: d, title: New}, {id: b, removed: true}, {id: a, then: [x = 1]}]\n"
    assert merged(folder, text).data["rows"] == [
        {"id": "a", "title": "First", "then": ["x = 1"]},
        {"id": "c", "title": "Third"},
        {"id": "d", "title": "New"},
    ]


def test_entries_with_two_ends_are_told_apart_by_them(folder):
    text = "lines: [{from: q, to: r, removed: true}, {from: r, to: s, kind: gas}]\n"
    assert [(each["from"], each["to"]) for each in merged(folder, text).data["lines"]] == [
        ("p", "q"), ("r", "s"),
    ]  # fmt: skip


def test_each_node_keeps_the_file_and_line_it_came_from(folder):
    found = merged(folder, "rows: [{id: b, removed: true}, {id: a, title: Mine}]\n")
    assert str(found.place("rows", 0, "title")) == f"{folder / 'own.yaml'}:3:40"
    assert str(found.place("rows", 0, "then", 1)) == f"{folder / 'base.yaml'}:7:41"
    assert str(found.place("rows", 1)) == f"{folder / 'base.yaml'}:9:5"
    assert str(found.place("limits", "cold")) == f"{folder / 'base.yaml'}:4:3"


@pytest.mark.parametrize(("text", "says", "line"), [
    ("limits: {cald: null}\n", "there is no 'cald' to take away. Did you mean 'cold'?", 3),
    ("rows: [{id: d, removed: true}]\n", "there is no d to remove", 3),
    ("rows: [{id: a, removed: perhaps}]\n", "nothing else can be said with it", 3),
    ("rows: [{title: x}]\n", "needs the `id`", 3),
    ("rows:\n  - {id: a}\n  - {id: a}\n", "a is changed twice", 5),
    ("rows: {a: 1}\n", "has a list in", 3),
    ("limits: 3\n", "has keys in", 3),
])  # fmt: skip
def test_a_change_of_nothing_is_refused_at_its_line(folder, text, says, line):
    said = refused(folder, text)
    assert says in said
    assert said.startswith(f"{folder / 'own.yaml'}:{line}:")


def test_one_step_only(folder):
    merged(folder, "")
    (folder / "third.yaml").write_text("based_on: own\nhead: {name: third}\n")
    with pytest.raises(BadInput, match=r"third\.yaml:1:1: own is itself based on another file"):
        load_based(folder / "third.yaml")


def test_a_base_that_is_not_there_names_the_nearest(folder):
    (folder / "third.yaml").write_text("based_on: bass\n")
    with pytest.raises(BadInput, match=r"there is no 'bass' to base it on. Did you mean 'base'\?"):
        load_based(folder / "third.yaml")


def test_what_a_file_says_of_itself_is_never_taken(folder):
    (folder / "third.yaml").write_text("based_on: base\nhead: {version: 2}\n")
    with pytest.raises(BadInput, match=r"third\.yaml:2:1: head\.name is missing here"):
        load_based(folder / "third.yaml", own=OWN)


def test_the_bytes_hold_both_files_and_mean_the_same_without_the_second(folder, tmp_path):
    """SR-PROFILE: the digest in a log covers all that was compiled, and the log holds it."""
    found = merged(folder, "rows: [{id: a, title: Mine}]\n")
    assert found.raw.endswith(SEAM + BASE.encode())
    assert found.sha256 == hashlib.sha256(found.raw).hexdigest()
    alone = parse_based(found.raw, "blob")
    assert (alone.data, alone.raw, alone.sha256) == (found.data, found.raw, found.sha256)
    # Its places are lines of the text that holds both.
    line = alone.place("limits", "cold").line
    assert found.raw.decode().splitlines()[line - 1] == "  cold: {high: 8}"
    (folder / "base.yaml").write_text(BASE.replace("high: 8", "high: 9"))
    assert merged(folder, "rows: [{id: a, title: Mine}]\n").sha256 != found.sha256


def test_a_file_that_is_based_on_none_is_itself(folder):
    found = load_based(folder / "base.yaml")
    assert found.raw == BASE.encode()
    with pytest.raises(BadInput, match="another file follows"):
        parse_based(BASE.encode() + SEAM + BASE.encode(), "x.yaml")
