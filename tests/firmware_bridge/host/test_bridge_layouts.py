"""One declaration for two languages: messages come back, and the committed C header is current."""

from __future__ import annotations

import math
import re
import subprocess
from dataclasses import fields
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core import signal
from controller.profile.plan import BadRule, CauseKind, CompareOp
from firmware_bridge import codes, header, messages, table
from firmware_bridge.layout import Counted, LayoutError, Number, Part, Rest, Wire, layout

ROOT = Path(header.FOLDER)
ALL = (*messages.MESSAGES.values(), *table.ROWS)
INTEGERS = {"B": 8, "H": 16, "I": 32, "Q": 64}


def some(part: Part) -> st.SearchStrategy[object]:
    """Values that fit a part."""
    if isinstance(part, Number):
        if part.code == "d":
            return st.floats(allow_nan=False)
        if part.code.endswith("s"):
            return st.binary(min_size=part.size, max_size=part.size)
        return st.integers(0, 2 ** INTEGERS[part.code] - 1)
    if isinstance(part, Rest) or part.row is None:
        return st.binary(min_size=part.least, max_size=part.most)
    return st.lists(wires(part.row), min_size=part.least, max_size=part.most).map(tuple)


def wires(kind: type[Wire]) -> st.SearchStrategy[Wire]:
    """Messages of one kind."""
    return st.tuples(*(some(part) for _, part in layout(kind).parts)).map(lambda v: kind(*v))


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_message_comes_back_and_no_other_length_is_taken(kind: type[Wire]) -> None:
    @given(wires(kind))
    def check(message: Wire) -> None:
        data = message.pack()
        assert layout(kind).least <= len(data) <= layout(kind).most
        assert kind.unpack(data) == message
        if not any(isinstance(part, Rest) for _, part in layout(kind).parts):
            for wrong in (data + b"\0", data[:-1]):
                if wrong != data:
                    with pytest.raises(LayoutError):
                        kind.unpack(wrong)

    check()


def test_no_message_is_larger_than_a_payload() -> None:
    assert max(layout(kind).most for kind in messages.MESSAGES.values()) <= codes.PAYLOAD_MAX


@pytest.mark.parametrize(
    "wrong",
    [
        messages.Reset(256),
        messages.Reset(-1),
        messages.Hello(bytes(7)),
        messages.Command(()),
        messages.Command((messages.Write(0, 0, 1),) * 9),
        messages.TableData(0, b""),
        messages.TableData(0, bytes(201)),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_its_field_never_leaves(wrong: Wire) -> None:
    with pytest.raises(LayoutError):
        wrong.pack()


def test_not_a_number_keeps_being_not_a_number() -> None:
    given_ = messages.Given(1, 2, 3, 4, math.nan)
    assert math.isnan(messages.Given.unpack(given_.pack()).value)


def test_the_committed_header_is_made_from_the_declarations() -> None:
    assert (ROOT / "protocol.h").read_text() == header.text()
    assert (ROOT / "schema.h").read_text() == header.schema_text()


def test_the_schema_in_hello_is_the_digest_of_the_committed_header() -> None:
    committed = sha256((ROOT / "protocol.h").read_bytes()).digest()[:8]
    assert committed == messages.SCHEMA, f"write {committed.hex()} into messages.SCHEMA"


def test_no_name_of_the_header_stands_for_two_numbers() -> None:
    names = re.findall(r"#define (\w+)|^    (CW_\w+) =", header.text(), re.MULTILINE)
    flat = [first or second for first, second in names]
    assert len(flat) == len(set(flat)) > 250


def test_c_reads_the_offsets_that_python_writes(tmp_path: Path) -> None:
    """Each field is filled with its own byte and looked up by its name in the header."""
    checks = []
    for kind in ALL:
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).upper()
        name = "REPLY_NAK" if kind is messages.NakReply else name
        name = f"T_{name}" if kind in table.ROWS else name
        at = 0
        for field, (_, part) in zip(fields(kind), layout(kind).parts, strict=True):  # type: ignore[arg-type]
            count = "_COUNT" if isinstance(part, Counted) else ""
            checks.append(f'_Static_assert(CW_{name}_{field.name.upper()}{count} == {at}, "");')
            if not isinstance(part, Number):
                break
            at += part.size
        else:
            checks.append(f'_Static_assert(CW_SIZEOF_{name} == {at}, "");')
    source = tmp_path / "check.c"
    head = '#include "protocol.h"\n#include "schema.h"\n'
    source.write_text(head + "\n".join(checks) + "\nint main(void) { return 0; }\n")
    command = ["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", f"-I{ROOT}"]
    subprocess.run([*command, "-fsyntax-only", str(source)], check=True)


def test_numbers_that_the_kernel_has_too_are_the_kernels() -> None:
    for ours, theirs in (
        (codes.Quality, signal.Quality),
        (codes.Reason, signal.Reason),
        (codes.Op, CompareOp),
        (codes.Bad, BadRule),
    ):
        for member in ours:
            same = [each for each in theirs if int(each) == int(member)]
            assert same, f"{ours.__name__}.{member.name}"
    assert {m.name: int(m) for m in codes.Quality} == {m.name: int(m) for m in signal.Quality}
    assert {m.name: int(m) for m in codes.Reason} == {m.name: int(m) for m in signal.Reason}
    assert (int(codes.Op.ABOVE), int(codes.Op.BAD)) == (CompareOp.ABOVE, CompareOp.IS_BAD)
    assert (int(codes.Bad.TRIP), int(codes.Bad.DEGRADE)) == (BadRule.TRIP, BadRule.DEGRADE)
    assert (int(codes.Kind.INTERLOCK), int(codes.Kind.PROTECT)) == (
        CauseKind.INTERLOCK, CauseKind.PROTECT,
    )  # fmt: skip


def test_every_refusal_has_words() -> None:
    for code in codes.Nak:
        assert code.words


def tables() -> st.SearchStrategy[table.Table]:
    rows = (table.Signal, table.Condition, table.Cause, table.Effect, table.Channel)
    lists = (st.lists(wires(kind), max_size=6).map(tuple) for kind in (*rows, table.AnalogInput))
    return st.builds(table.Table, *lists, st.integers(0, 32), st.integers(0, 4))


@given(tables())
def test_a_table_comes_apart_as_it_was_joined(whole: table.Table) -> None:
    data = whole.join()
    assert table.Table.split(data) == whole
    for wrong in (data[:-1], data + b"\0", b"XWT1" + data[4:]):
        with pytest.raises(LayoutError):
            table.Table.split(wrong)
