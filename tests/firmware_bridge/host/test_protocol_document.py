"""PROTOCOL.md says what the code does: types, sizes, codes, limits, times, states, examples."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

import firmware_bridge
from firmware_bridge import codes, messages, outbox, session, states, table
from firmware_bridge.codes import Nak, Type
from firmware_bridge.frames import Decoder, Frame, encode
from firmware_bridge.layout import Counted, Number, Part, Rest, Wire, layout

TEXT = (Path(firmware_bridge.__file__).parent / "PROTOCOL.md").read_text()
EXAMPLES = TEXT[TEXT.index("## Examples") :]


def rows(text: str, columns: int) -> list[list[str]]:
    """The cells of every table row with so many columns."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == columns and not set(line) <= set("|- "):
            found.append(cells)
    return found


def section(title: str) -> str:
    begin = TEXT.index(f"## {title}\n")
    end = TEXT.find("\n## ", begin + 3)
    return TEXT[begin : end if end > 0 else None]


def said(value: object) -> str:
    """A value as the examples write it."""
    if isinstance(value, bytes):
        if len(value) > 1 and len(set(value)) == 1:
            return f"0x{value[0]:02x} x {len(value)}"
        return value.hex() or "none"
    if isinstance(value, tuple):
        return "[" + "; ".join(map(said, value)) + "]"
    if isinstance(value, Wire):
        parts = [f"{f.name} {said(getattr(value, f.name))}" for f in fields(value)]  # type: ignore[arg-type]
        return ", ".join(parts) or "-"
    return str(value)


@pytest.mark.parametrize("row", rows(EXAMPLES, 5)[1:], ids=lambda row: f"{row[0]} {row[2]}")
def test_the_bytes_of_an_example_are_its_words(row: list[str]) -> None:
    name, number, sequence, payload, line = row
    (frame,) = Decoder().feed(bytes.fromhex(line))
    assert isinstance(frame, Frame)
    message = messages.MESSAGES[Type[name]].unpack(frame.payload)
    assert (frame.type, frame.session, frame.sequence) == (
        Type[name], int(number, 16), int(sequence),
    )  # fmt: skip
    assert said(message) == payload
    assert encode(frame.type, frame.session, frame.sequence, message.pack()).hex(" ") == line


def test_the_examples_say_hello_with_this_versions_schema() -> None:
    assert len(rows(EXAMPLES, 5)) > 12
    assert EXAMPLES.count(f"schema {messages.SCHEMA.hex()}") == 2


def test_every_type_stands_in_the_document_with_its_number() -> None:
    text = section("Messages")
    listed = [cells for cells in rows(text, 4) + rows(text, 3) if cells[0].startswith("0x")]
    told = {cells[1]: int(cells[0], 16) for cells in listed}
    assert told == {each.name: int(each) for each in Type}


SIZES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "f64": 8}


def sizes_of(parts: tuple[tuple[str, Part], ...]) -> list[int]:
    """Sizes of the fields in order; rows of a counted part follow its count."""
    found: list[int] = []
    for _, part in parts:
        if isinstance(part, Number):
            found.append(part.size)
        elif isinstance(part, Counted):
            found.append(1)
            found += [1] if part.row is None else sizes_of(layout(part.row).parts)
    return found


def test_the_fields_of_every_message_are_the_declared_ones_in_their_order() -> None:
    text = section("Messages")
    for cells in rows(text, 4) + rows(text, 3):
        if not cells[0].startswith("0x"):
            continue
        payload = re.sub(r"\d+ to \d+", "", cells[2])
        words = re.findall(r"(?<=\w )(u8|u16|u32|u64|f64|8|32)\b", payload)
        told = [SIZES.get(word) or int(word) for word in words]
        assert told == sizes_of(layout(messages.MESSAGES[Type[cells[1]]]).parts), cells[1]


def test_every_code_of_a_refusal_stands_in_the_document() -> None:
    told = {cells[1]: int(cells[0]) for cells in rows(section("Messages"), 3) if cells[0].isdigit()}
    assert told == {each.name: int(each) for each in Nak}


def test_the_rows_of_a_table_have_the_bytes_that_the_document_says() -> None:
    text = section("The table")
    assert "Header, 16 bytes" in text
    assert layout(table.Header).fixed == 16
    names = ("signal", "condition", "cause", "effect", "channel", "analog")
    kinds = dict(zip(names, table.ROWS[1:], strict=True))
    told = [cells for cells in rows(text, 3) if cells[0] in kinds]
    assert {cells[0] for cells in told} == set(kinds)
    for name, size, parts in told:
        assert layout(kinds[name]).fixed == int(size)
        types = [SIZES[word] for word in re.findall(r"(?<=\w )(u8|u16|u32|f64)\b", parts)]
        assert types == sizes_of(layout(kinds[name]).parts), name


def test_limits_and_times_are_the_codes() -> None:
    c = codes
    for words in (
        f"{c.SIGNALS_MAX} signals, {c.CONDITIONS_MAX} conditions, {c.CAUSES_MAX} causes, "
        f"{c.EFFECTS_MAX} effects, {c.CHANNELS_MAX} channels, {c.ANALOG_MAX} analog, "
        f"{c.DIGITAL_MAX} digital, {c.GROUPS_MAX} groups",
        f"0 to {c.PAYLOAD_MAX} |",
        f"12 to {c.FRAME_MAX} bytes",
        f"reaches {c.ENCODED_MAX} without",
        f"outputs | {c.PASS_US} us",
        f"every {c.STATUS_MS} ms; {c.STATUS_CHANGE_US // 1_000} ms after a change",
        f"after a change, {c.STATUS_GAP_MS} ms after the one before",
        f"BEAT | every {c.BEAT_MS} ms",
        f"`progress` | {c.BEAT_ALIVE_MS} ms",
        f"an attempt | {c.RETRY_MS} ms, then up to {c.RETRIES} repetitions",
        f"session | {session.REST_NS // 1_000_000} ms",
        f"the last {c.EVENTS_KEPT} are kept",
        f"An EVENTS request every {outbox.PROBE_NS // 10**9} s",
        f"{session.CHUNK_NOISY} after a silence",
        f"{c.CHUNK_MAX} bytes each",
        "after 60, 120, 240, then each 480 ms",
    ):
        assert words in TEXT, words
    assert [wait // 1_000_000 for wait in session.HELLO_WAITS_NS] == [60, 120, 240, 480]
    assert session.LOADS_MAX == 3


def test_the_hosts_states_are_those_of_the_code() -> None:
    told = [cells[0] for cells in rows(section("States of the host"), 5)[1:]]
    assert sorted(told) == sorted(phase.name for phase in states.Phase)
    for name, _, answered, refused, silent in rows(section("States of the host"), 5)[1:]:
        phase = states.Phase[name]
        for turn, cell in (
            (states.Turn.ANSWER, answered), (states.Turn.REFUSED, refused),
            (states.Turn.SILENT, silent), (states.Turn.LAST, answered),
            (states.Turn.SAME, answered), (states.Turn.DIFFERS, answered),
            (states.Turn.DUE, answered),
        ):  # fmt: skip
            if (phase, turn) in states.NEXT:
                assert states.NEXT[phase, turn].name in cell, (name, turn)


def test_a_message_without_a_count_has_no_more_than_its_rest() -> None:
    for kind in messages.MESSAGES.values():
        parts = [part for _, part in layout(kind).parts]
        assert not any(isinstance(part, Rest) for part in parts[:-1])
