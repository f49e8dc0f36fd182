"""Rows on the I/O board: what its table says, what the host is told of it, what is refused."""

from __future__ import annotations

import hashlib

import pytest

from controller.core.based import parse_based
from controller.core.errors import BadInput
from controller.core.signal import Quality, Reason
from controller.profile import planfile
from controller.profile.compile import UNIT_OWN, compile_unit, load_profile
from controller.profile.plan import BadRule, CauseKind, CompareOp, EffectOp, SignalKind
from equipment_profiles import DEVICES, UNITS
from firmware_bridge import codes
from firmware_bridge.native_board import NativeBoard
from firmware_bridge.table import Table

FILE = UNITS / "perfusion_2l_io.yaml"
TEXT = FILE.read_text()
ON_BOARD = ["1", "6", "9", "12.rate", "12.total", "18.lineup", "air", "19.feed_stuck",
            "19.perfusate_stuck", "19.base_stuck", "18.both"]  # fmt: skip


def compiled(text):
    return compile_unit(parse_based(text.encode(), "unit.yaml", (UNITS,), UNIT_OWN), DEVICES)


def board_of(profile):
    (board,) = [link.board for link in profile.links if link.board is not None]
    return board


def changed(*pairs):
    text = TEXT
    for old, new in pairs:
        assert text.count(old) >= 1, old
        text = text.replace(old, new, 1)
    return text


@pytest.fixture(scope="module")
def profile():
    return load_profile(FILE, DEVICES)


@pytest.fixture(scope="module")
def board(profile):
    return board_of(profile)


@pytest.fixture(scope="module")
def table(board):
    return Table.split(board.table)


def test_the_rows_of_the_unit_are_on_the_board_and_the_digest_is_of_the_bytes(board, table):
    assert [row.id for row in board.rows] == ON_BOARD
    assert [row.row for row in board.rows] == list(range(len(table.causes)))
    assert board.digest == hashlib.sha256(board.table).digest()
    assert board.installed
    assert (board.baud, board.beat_ns) == (115_200, 250_000_000)


def test_a_real_board_takes_the_table():
    profile = compiled(TEXT)
    with NativeBoard() as core:
        core.start(0)
        assert not core.load(board_of(profile).table)


def test_numbers_mean_the_same_on_both_sides():
    for ours, theirs in ((Quality, codes.Quality), (Reason, codes.Reason), (BadRule, codes.Bad)):
        assert {e.name: e.value for e in ours} == {e.name: e.value for e in theirs}
    assert [int(op) for op in CompareOp] == [int(op) for op in codes.Op]
    assert CauseKind.INTERLOCK == codes.Kind.INTERLOCK
    assert CauseKind.PROTECT == codes.Kind.PROTECT


def test_every_number_of_a_row_is_the_kernels_in_microseconds(profile, board, table):
    plan, of = profile.plan, {}
    of |= {each.board_signal: each.signal for each in board.given}
    inputs = {codes.Source.ANALOG: dict(board.analog), codes.Source.DIGITAL: dict(board.digital)}
    for number, signal in enumerate(table.signals):
        if signal.source != codes.Source.HOST:
            of[number] = inputs[signal.source][signal.number]
    for row, cause in zip(board.rows, table.causes, strict=True):
        kernel = plan.causes[row.cause]
        assert profile.causes[row.cause].row == row.id
        for ours, theirs in (("on_delay_us", "on_delay_ns"), ("bad_delay_us", "bad_delay_ns"),
                             ("off_delay_us", "off_delay_ns")):  # fmt: skip
            assert getattr(cause, ours) * 1000 == kernel[theirs]
        for key in ("kind", "votes", "n_conditions", "bypassable"):
            assert getattr(cause, key) == kernel[key]
        valid = of[cause.valid_signal] if cause.valid_signal != codes.NONE else -1
        assert (valid, cause.valid_when) == (kernel["valid_flag"], kernel["valid_when"])
        for place in range(cause.n_conditions):
            ours = table.conditions[cause.first_condition + place]
            theirs = plan.conditions[kernel["first_condition"] + place]
            assert of[ours.signal] == theirs["signal"]
            assert (ours.op, ours.bad) == (theirs["op"], theirs["bad"])
            assert (ours.limit, ours.hysteresis) == (theirs["limit"], theirs["hysteresis"])


def test_a_row_forces_on_the_board_just_what_it_forces_there_in_the_kernel(profile, board, table):
    outputs = {channel.channel: channel.output for channel in board.channels}
    for row, cause in zip(board.rows, table.causes, strict=True):
        kernel = profile.plan.causes[row.cause]
        first = int(kernel["first_effect"])
        effects = profile.plan.effects[first : first + int(kernel["n_effects"])]
        wanted = {
            (int(e["output"]), float(e["value"])) for e in effects
            if e["op"] == EffectOp.FORCE and int(e["output"]) in outputs.values()
        }  # fmt: skip
        ours = table.effects[cause.first_effect :][: cause.n_effects]
        assert {(outputs[e.channel], float(e.value)) for e in ours} == wanted
        assert wanted


def test_each_row_is_told_by_a_signal_of_its_own_and_no_other_row_is(profile, board):
    told = {row.cause: row.told for row in board.rows}
    for number, cause in enumerate(profile.plan.causes):
        assert cause["told"] == told.get(number, -1)
    for row in board.rows:
        signal = profile.plan.signals[row.told]
        assert profile.signals[row.told] == f"io.{row.id}"
        assert (signal["kind"], signal["low"], signal["high"]) == (SignalKind.INPUT, 0, 1)
        assert signal["max_age_ns"] == 2_000_000_000


def test_channels_fall_as_safety_md_says_when_nobody_renews_them(profile, board, table):
    """FR-LAPSE: liquids shut and stay shut; heat and gas stay; the annunciator sounds."""
    by_name = {channel.name: (channel, table.channels[channel.channel])
               for channel in board.channels}  # fmt: skip
    for name in ("xv201", "xv202", "xv203", "xv204"):
        channel, row = by_name[name]
        assert (row.keep, row.lapse, row.latch, row.retain, row.lease_ms_max) == (0, 0, 1, 0, 5000)
        assert channel.latch
    for name in ("xv100", "km101"):
        channel, row = by_name[name]
        assert (row.keep, row.latch, row.retain, row.lease_ms_max) == (1, 0, 1, 5000)
        assert profile.signals[channel.driven_signal] == f"{name.upper()}_CMD"
    channel, row = by_name["annunciator"]
    assert (channel.output, channel.channel, board.annunciator) == (-1, 7, 7)
    assert (row.kind, row.lapse, row.lease_ms_max) == (codes.ChannelKind.PWM, 1000, 2000)
    assert profile.signals[board.lapse_signal] == "IO_LAPSE"
    assert profile.causes[board.lapse_cause].row == "io.lapse"


@pytest.mark.parametrize(("tag", "raw", "value"), [
    ("PT101", 12_000, -2.0), ("PT101", 60_000, 20.0), ("TT102", 12_000, 0.0),
    ("TT102", 60_000, 100.0), ("BS101", 12_000, 0.0), ("BS101", 60_000, 1.0),
])  # fmt: skip
def test_analog_counts_become_canonical_values(profile, board, table, tag, raw, value):
    number = next(n for n, signal in board.analog if profile.signals[signal] == tag)
    row = table.analog[number]
    assert raw * row.scale + row.offset == pytest.approx(value, abs=1e-9)
    assert (row.low_raw, row.high_raw) == (11_400, 61_500)
    limits = profile.plan.signals[profile.index[tag]]
    assert (row.low, row.high) == (limits["low"], limits["high"])


def test_flags_and_outputs_have_no_time_of_their_own(profile, board):
    dated = {profile.signals[each.signal]: each.dated for each in board.given}
    assert not dated["lineup"]
    assert not dated["feed"]
    assert dated["TT101"]
    assert dated["BALANCE_2S"]


def test_the_plan_of_the_board_comes_back_from_its_file(profile, board, tmp_path):
    planfile.write(profile, tmp_path / "unit.plan")
    assert board_of(planfile.load(tmp_path / "unit.plan")) == board


@pytest.mark.parametrize(("pairs", "says"), [
    # rows
    ([('{id: "6", on_board: true}', '{id: "2", on_board: true}')], "row 2 moves nothing on io"),
    ([('{id: "6", on_board: true}', '{id: "6", on_board: 1.5}')], "true or false"),
    ([("delay: 1 s, off_delay: 5 s", "delay: 1.0000005 s, off_delay: 5 s")], "microseconds"),
    ([("delay: 1 s, off_delay: 5 s", "delay: 2 h, off_delay: 5 s")], "at most 71 min"),
    ([("joined: {on_board: true}", "joined: {on_board: true}\n    close_after_stop: "
       "{on_board: true}")], "unknown key 'on_board'"),
    ([("then: [feed shut], action: hold, safety_time: 20 s",
       "then: [xv201 <= 0.5], action: hold, safety_time: 20 s")], "can only force xv201"),
    ([(f'{{id: "{row}", on_board: true}}', f'{{id: "{row}", on_board: true}}\n  - {{id: "{other}", '
       "on_board: true}") for row, other in zip(["1", "6", "9", "12.rate", "12.total", "18.lineup"],
      ["7", "8", "11", "14", "15", "20.pump_bus"], strict=True)],
     "need 17 rows, a board has 16"),
    # images
    ([("    images: installed\n", "")], "says no `images`"),
    ([("images: installed", "images: [abc]")], "images"),
    ([("profile: skid_opcua_io\n", "profile: skid_opcua_io\n    images: installed\n")],
     "only our I/O board"),
    # lapse
    ([("LAPSE: IO_LAPSE", "XV201_CMD: IO_LAPSE")], "no tag shows"),
    ([("any: [IO_LAPSE > 0.5], then", "any: [IO_LAPSE < 0.5], then")], "0 protects trip on"),
    ([("any: [IO_LAPSE > 0.5], then: [feed shut, outlets shut, base shut]",
       "any: [IO_LAPSE > 0.5], then: [feed shut, outlets shut]")], "xv204 latches on io"),
    # lines
    ([("io_line: {kind: bridge, baud: 115200}", "io_line: {kind: serial, baud: 115200}")],
     "the link is serial"),
    ([("io_line: {kind: bridge, baud: 115200}", "io_line: {kind: bridge}")], "115200"),
    ([("actuators: {km101: km101, xv100", "actuators: {annunciator: stirrer, km101: km101, xv100"),
      ("actuators: {km101: null", "actuators: {stirrer: null, km101: null")], "takes annunciator"),
])  # fmt: skip
def test_what_a_board_cannot_do_is_refused_at_its_line(pairs, says):
    with pytest.raises(BadInput) as caught:
        compiled(changed(*pairs))
    assert says in str(caught.value)
    assert caught.value.where.startswith(("unit.yaml:", str(UNITS / "perfusion_2l.yaml") + ":"))


def test_a_row_for_a_board_that_is_not_there_is_refused_at_its_line():
    text = (UNITS / "perfusion_2l.yaml").read_text()
    old = "    title: Jacket over-temperature\n"
    with pytest.raises(BadInput, match="row 2 is to run on a board, but the unit") as caught:
        compiled(text.replace(old, old + "    on_board: true\n"))
    line = int(caught.value.where.split(":")[1])
    assert text.splitlines()[line - 2] == old.rstrip()


def test_a_fault_of_the_unit_it_is_based_on_is_told_in_that_file():
    text = changed(('  - {id: "6", on_board: true}\n',
                    '  - {id: "6", on_board: true}\n  - {id: "2", hysteresis: 100}\n'))  # fmt: skip
    with pytest.raises(BadInput) as caught:
        compiled(text)
    # What is wrong is the way back below the limit that stands in the other file.
    assert "it would never clear" in str(caught.value)
    assert caught.value.where.startswith(str(UNITS / "perfusion_2l.yaml") + ":")


@pytest.mark.parametrize(("old", "new", "says"), [
    ("digital: 3, unit", "digital: 4, unit", "same input"),
    ("analog: 2, unit", "analog: 3, unit", "without gaps"),
    ("analog: 2, unit", "analog: 9, unit", "analog"),
    ("analog: 2, unit", "unit", "exactly one of"),
    ("raw: [11400, 61500], factor: 0.0020", "raw: [61500, 11400], factor: 0.0020", "no range"),
    ("raw: [11400, 61500], factor: 0.0020", "factor: 0.0020", "`raw`"),
    ("driven: 5", "driven: 6", "no write has channel 6"),
    ("channel: 4,", "channel: 5,", "no write has channel 4"),
    ("XV100_CMD: {read: status, driven: 4", "XV100_CMD: {read: status, driven: 5", "same input"),
    ("lease: 5 s", "lease: 66 s", "lease"),
    ("lease: 5 s", "lease: 0 s", "lease"),
    ("lapse: 0, latch: true", "lapse: 2, latch: true", "lapse 2 is not 0 to 1"),
    ("lapse: 0, latch: true", "lapse: 0, retain: true", "cannot be retained"),
    ("lapse: 1000, start", "lapse: 1001, start", "0 to 1000"),
    ("xv100: {unit: \"1\", channel: 4,", "xv100: {unit: \"1\", steps: [x], channel: 4,", "steps"),
    ("protocol: bridge", "protocol: opcua", "node"),
])  # fmt: skip
def test_a_board_file_that_cannot_be_is_refused(tmp_path, old, new, says):
    from controller.profile.device import load_device

    text = (DEVICES / "io_board.yaml").read_text()
    assert old in text
    file = tmp_path / "io_board.yaml"
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(BadInput) as caught:
        load_device(file)
    assert says in str(caught.value)
    assert caught.value.where.startswith(str(file))


def test_keys_of_a_board_belong_to_no_other_device(tmp_path):
    from controller.profile.device import load_device

    text = (DEVICES / "skid_opcua.yaml").read_text()
    file = tmp_path / "skid.yaml"
    file.write_text(text.replace("node: LT101, unit", "node: LT101, digital: 1, unit"))
    with pytest.raises(BadInput, match="LT101: digital belongs to a device with protocol: bridge"):
        load_device(file)


@pytest.mark.parametrize(("written", "wanted", "words"), [
    ("lapse: 0, latch: true, verify: {point: XV203", "lapse: 0, verify: {point: XV203",
     "xv203 would move again without a person"),
    ("lapse: keep, retain: true, verify: {point: XV100",
     "lapse: keep, latch: true, verify: {point: XV100", "cells depend on xv100"),
])  # fmt: skip
def test_liquids_latch_and_what_keeps_cells_alive_does_not(tmp_path, written, wanted, words):
    for file in DEVICES.glob("*.yaml"):
        text = file.read_text()
        assert file.stem != "io_board" or written in text
        (tmp_path / file.name).write_text(text.replace(written, wanted))
    with pytest.raises(BadInput, match=words):
        load_profile(FILE, tmp_path)


def test_an_environment_output_may_not_lapse(tmp_path):
    for file in DEVICES.glob("*.yaml"):
        text = file.read_text()
        if file.stem == "io_board":
            text = text.replace("lapse: keep, retain: true, verify: {point: KM101",
                                "lapse: 0, verify: {point: KM101")  # fmt: skip
        (tmp_path / file.name).write_text(text)
    with pytest.raises(BadInput, match="cells depend on km101: it may not lapse"):
        load_profile(FILE, tmp_path)
