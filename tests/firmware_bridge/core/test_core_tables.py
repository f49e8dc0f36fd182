"""A table runs only whole, under its digest, and if every count, index and range in it is right."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from board_alone import CHANNELS, Host, channel, condition, digest, plant, ready

from firmware_bridge.codes import Kind, Nak, Type
from firmware_bridge.messages import TableActivate, TableBegin, TableData
from firmware_bridge.table import Table

GOOD = plant()
ROWS = {"signals": 16, "conditions": 48, "causes": 132, "effects": 204, "channels": 216,
        "analog": 312}  # fmt: skip


def loaded(table: bytes) -> tuple[Nak | None, int]:
    """What a fresh board says to a table."""
    host = Host()
    host.open()
    said = host.load(table)
    assert (host.arm(table) is None) == (said[0] is None)
    return said


def with_row(rows_of: str, place: int, **wrong: Any) -> bytes:
    """The good table with one field of one row changed."""
    rows = list(getattr(GOOD, rows_of))
    rows[place] = replace(rows[place], **wrong)
    return replace(GOOD, **{rows_of: tuple(rows)}).join()


def test_the_good_table_is_taken_and_lies_as_the_tests_count() -> None:
    assert loaded(GOOD.join()) == (None, 0)
    assert len(GOOD.join()) == 348


def test_the_largest_table_is_taken() -> None:
    many = Table(
        GOOD.signals * 6, (condition(0),) * 32, (replace(GOOD.causes[0], group=3),) * 16,
        GOOD.effects[:1] * 32, CHANNELS, GOOD.analog * 4, 32, 4,
    )  # fmt: skip
    assert len(many.join()) == 1_856
    assert loaded(many.join()) == (None, 0)


@pytest.mark.parametrize(
    ("kind", "number", "wrong", "offset"),
    [
        ("signals", 0, {"source": 3}, 0), ("signals", 1, {"number": 4}, 1),
        ("signals", 2, {"number": 1}, 1), ("signals", 0, {"zero": 1}, 2),
        ("conditions", 0, {"signal": 4}, 0), ("conditions", 1, {"op": 3}, 1),
        ("conditions", 1, {"bad": 3}, 2), ("conditions", 1, {"zero": 1}, 3),
        ("conditions", 0, {"limit": math.nan}, 12), ("conditions", 0, {"limit": math.inf}, 12),
        ("conditions", 0, {"hysteresis": -1.0}, 20),
        ("conditions", 0, {"hysteresis": math.nan}, 20),
        ("causes", 0, {"kind": 1}, 0), ("causes", 0, {"kind": 4}, 0),
        ("causes", 1, {"first_condition": 4}, 1), ("causes", 1, {"first_condition": 255}, 1),
        ("causes", 0, {"n_conditions": 0}, 2), ("causes", 2, {"n_conditions": 2}, 2),
        ("causes", 0, {"votes": 0}, 3), ("causes", 0, {"votes": 2}, 3),
        ("causes", 0, {"valid_signal": 4}, 16), ("causes", 0, {"valid_when": 2}, 17),
        ("causes", 0, {"first_effect": 4}, 18), ("causes", 0, {"n_effects": 4}, 19),
        ("causes", 0, {"n_effects": 255}, 19), ("causes", 0, {"bypassable": 2}, 20),
        ("causes", 0, {"group": 1}, 21), ("causes", 0, {"zero": 1}, 22),
        ("effects", 0, {"channel": 8}, 0), ("effects", 0, {"zero": 1}, 1),
        ("effects", 1, {"value": 2}, 2),
        ("channels", 0, {"kind": 1}, 0), ("channels", 7, {"kind": 0}, 0),
        ("channels", 0, {"keep": 2}, 1), ("channels", 0, {"latch": 2}, 2),
        ("channels", 0, {"retain": 2}, 3), ("channels", 0, {"higher_wins": 2}, 4),
        ("channels", 0, {"zero": 1}, 5), ("channels", 0, {"lapse": 2}, 6),
        ("channels", 7, {"lapse": 1001}, 6), ("channels", 0, {"start": 2}, 8),
        ("channels", 0, {"lease_ms_max": 0}, 10),
        ("analog", 0, {"low_raw": 4001}, 2), ("analog", 0, {"scale": math.nan}, 4),
        ("analog", 0, {"offset": math.inf}, 12), ("analog", 0, {"low": math.nan}, 20),
        ("analog", 0, {"high": math.nan}, 28), ("analog", 0, {"low": 71.0}, 28),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_by_its_offset_and_nothing_runs(
    kind: str, number: int, wrong: dict[str, Any], offset: int
) -> None:
    size = len(getattr(GOOD, kind)[number].pack())
    assert loaded(with_row(kind, number, **wrong)) == (
        Nak.TABLE_BAD, ROWS[kind] + number * size + offset,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("at", "byte", "offset"),
    [(0, 0x44, 0), (4, 25, 4), (5, 33, 5), (6, 17, 6), (7, 33, 7), (8, 9, 8), (9, 5, 9),
     (10, 33, 10), (11, 5, 11), (12, 0, 12), (4, 3, 12), (14, 1, 14)],
)  # fmt: skip
def test_a_wrong_header_is_named_by_its_offset(at: int, byte: int, offset: int) -> None:
    table = bytearray(GOOD.join())
    table[at] = byte
    assert loaded(bytes(table)) == (Nak.TABLE_BAD, offset)


@pytest.mark.parametrize("size", [1, 4, 15])
def test_a_table_shorter_than_its_header_is_none(size: int) -> None:
    assert loaded(GOOD.join()[:size]) == (Nak.TABLE_BAD, 0)


def test_a_table_too_large_or_data_beyond_its_size_is_refused() -> None:
    host = Host()
    host.open()
    begin = TableBegin(1_857, bytes(32)).pack()
    assert host.answer(Type.TABLE_BEGIN, begin) == (Nak.TABLE_SIZE, 1_856)
    assert host.answer(Type.TABLE_DATA, TableData(0, b"x").pack()) == (Nak.TABLE_SIZE, 0)
    assert host.ask(Type.TABLE_BEGIN, TableBegin(100, bytes(32))) is None
    assert host.answer(Type.TABLE_DATA, TableData(99, b"xy").pack()) == (Nak.TABLE_SIZE, 100)
    assert host.answer(Type.TABLE_DATA, TableData(65_535, b"x").pack()) == (Nak.TABLE_SIZE, 100)


def test_only_the_bytes_under_the_digest_named_twice_are_activated() -> None:
    host, table = Host(), GOOD.join()
    host.open()
    activate = TableActivate(digest(table)).pack()
    assert host.answer(Type.TABLE_ACTIVATE, activate) == (Nak.TABLE_DIGEST, 0), "nothing staged"
    assert host.ask(Type.TABLE_BEGIN, TableBegin(len(table), digest(table))) is None
    assert host.answer(Type.TABLE_ACTIVATE, activate) == (Nak.TABLE_DIGEST, 0), "not there yet"
    host.load(table)
    host.open()
    assert host.answer(Type.TABLE_ACTIVATE, activate) == (Nak.TABLE_DIGEST, 0), "gone at OPEN"
    spoiled = bytearray(table)
    spoiled[100] ^= 1
    assert host.ask(Type.TABLE_BEGIN, TableBegin(len(table), digest(table))) is None
    for at in range(0, len(table), 200):
        host.ask(Type.TABLE_DATA, TableData(at, bytes(spoiled[at : at + 200])))
    assert host.answer(Type.TABLE_ACTIVATE, activate) == (Nak.TABLE_DIGEST, 0)
    assert host.answer(Type.TABLE_ACTIVATE, digest(bytes(spoiled))) == (Nak.TABLE_DIGEST, 0)


def test_a_refused_table_leaves_the_active_one_running() -> None:
    host = ready()
    host.open()
    assert host.load(with_row("causes", 0, kind=1))[0] is Nak.TABLE_BAD
    host.board.set_digital(0, True)
    host.board.passes(3)
    assert host.board.row(0)[0] == 3
    assert host.arm(GOOD.join()) is None


def test_rows_of_the_active_table_go_on_while_another_is_staged_and_none_is_armed() -> None:
    host = ready()
    host.open()
    host.ask(Type.TABLE_BEGIN, TableBegin(100, bytes(32)))
    host.board.set_digital(0, True)
    host.board.passes(3)
    assert host.board.row(0)[0] == 3


def test_a_table_without_rows_or_channels_is_one() -> None:
    empty = Table((), (), (), (), (), (), 0, 0)
    assert loaded(empty.join()) == (None, 0)
    assert loaded(Table((), (), (), (), (channel(),), (), 0, 0).join()) == (None, 0)
    assert int(Kind.PROTECT) == GOOD.causes[0].kind
