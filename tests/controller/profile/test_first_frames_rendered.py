"""What lines are sent first is rendered and refused at `check`, by the code that writes later."""

from __future__ import annotations

from pathlib import Path

import pytest

import equipment_profiles
from controller.cli.check import check_files
from controller.core.errors import BadInput
from controller.core.yamltext import parse
from controller.field.links.machine import SerialLink
from controller.profile.compile import compile_unit, load_profile
from controller.profile.first import shut_at_restart

SHIPPED = Path(equipment_profiles.__file__).parent
UNIT, DEVICES = SHIPPED / "units" / "perfusion_2l.yaml", SHIPPED / "devices"
TEXT = UNIT.read_text()
ROW = next(line for line in TEXT.splitlines() if "{id: restart," in line)


def compiled(text=TEXT):
    return compile_unit(parse(text.encode(), "unit.yaml"), DEVICES)


def bytes_of(profile, start):
    return {name: [frame.frame for frame in getattr(first, start).frames]
            for name, first in profile.first.items()}  # fmt: skip


def changed(*pairs):
    text = TEXT
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    return compiled(text)


def test_with_a_batch_open_the_liquids_and_nitrogen_are_shut_and_nothing_else():
    assert bytes_of(compiled(), "open") == {
        "gas_bus": [b"DS 0.0\r"], "pump_bus": [b"1ST\r", b"2ST\r", b"3ST\r"],
    }  # fmt: skip


def test_without_a_batch_every_serial_output_gets_its_start_value():
    assert bytes_of(compiled(), "cold") == {
        "gas_bus": [b"AS 0.0\r", b"BS 0.0\r", b"CS 0.0\r", b"DS 0.0\r"],
        "pump_bus": [b"1ST\r", b"2ST\r", b"3ST\r"],
    }  # fmt: skip


def test_a_start_value_of_two_steps_is_two_frames_in_order():
    profile = changed(("every: 5 s, start: 0, safe: 0, proof: ST_FEED",
                       "every: 5 s, start: 9, safe: 0, proof: ST_FEED"))  # fmt: skip
    assert bytes_of(profile, "cold")["pump_bus"][:2] == [b"1SP10.0\r", b"1GO\r"]
    assert bytes_of(profile, "open")["pump_bus"][0] == b"1ST\r"


@pytest.mark.parametrize("row", [
    ROW.replace("restarted > 0.5", "restarted < 0.5"),
    ROW.replace('any: ["restarted > 0.5"]', 'all: ["restarted > 0.5", PT101 > 1 mbar]'),
    ROW.replace("restarted > 0.5", "unit_held > 0.5"),
])  # fmt: skip
def test_only_a_row_that_the_flag_alone_trips_is_sent_first(row):
    assert row != ROW
    profile = changed((ROW, row))
    nitrogen = list(profile.outputs).index("n2")  # by its own row
    assert shut_at_restart(profile.plan) == {nitrogen}
    assert bytes_of(profile, "open") == {"gas_bus": [b"DS 0.0\r"], "pump_bus": []}


def test_a_unit_without_the_flag_shuts_nothing_by_it():
    head = next(line for line in TEXT.splitlines() if line.startswith("  restarted: restarted"))
    profile = changed((head + "\n", ""))
    assert profile.plan.unit[0]["restarted_flag"] == -1
    assert bytes_of(profile, "open") == {"gas_bus": [], "pump_bus": []}


def test_the_frames_are_those_the_link_writes():
    profile = load_profile(UNIT, DEVICES)

    class Nowhere:
        def push(self, *sample):
            return True

    for link in profile.links:
        for frame in profile.first[link.name].cold.frames if link.name in profile.first else ():
            machine = SerialLink(link, Nowhere(), 0)
            machine.write(frame.output, frame.value, True, 0)
            assert machine.take_tx(0) == frame.frame


@pytest.mark.parametrize(("old", "new", "says"), [
    ("every: 5 s, start: 0, safe: 0, proof: ST_FEED",
     "every: 5 s, start: 0.1, safe: 0, proof: ST_FEED", "start 0.1 of feed lies between two steps"),
    ("every: 2 s, start: 0, safe: 0, proof: FS_N2",
     "every: 2 s, start: 0, safe: 0.04, proof: FS_N2", "safe 0.04 of n2 lies between two steps"),
])  # fmt: skip
def test_a_value_the_gate_would_not_release_is_refused_at_its_line(old, new, says):
    text = TEXT.replace("n2 = 0", "n2 = 0.04") if "0.04" in new else TEXT
    text = text.replace("all MFC 0: [air = 0, o2 = 0, co2 = 0, n2 = 0]",
                        "all MFC 0: [air = 0, o2 = 0, co2 = 0, n2 = 0.04]")  # fmt: skip
    assert old in text
    text = text.replace(old, new, 1)
    with pytest.raises(BadInput) as caught:
        compiled(text)
    assert says in caught.value.what
    assert caught.value.do
    number = int(caught.value.where.split(":")[1])
    assert new in text.splitlines()[number - 1]


def test_check_prints_every_frame_with_what_it_does(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    check_files([UNIT])
    shown = [line.split("│") for line in capsys.readouterr().out.splitlines() if "│" in line]
    rows = [[cell.strip() for cell in row[1:-1]] for row in shown]
    assert ["no batch", "gas_bus", "mfc_air", "air", "0 mL/min", r"AS 0.0\r"] in rows
    assert ["batch open", "pump_bus", "pump_feed", "feed", "0 mL/min", r"1ST\r"] in rows
    assert sum(row[0] == "no batch" for row in rows) == 7
    assert sum(row[0] == "batch open" for row in rows) == 4
