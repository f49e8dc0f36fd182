"""Process safety time: every shipped row acts within half of it, and the sum is right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import equipment_profiles
from controller.core.errors import BadInput
from controller.core.yamltext import load, parse
from controller.profile.check import check_profile, safety_times
from controller.profile.compile import compile_unit

SHIPPED = Path(equipment_profiles.__file__).parent
UNIT = SHIPPED / "units" / "perfusion_2l.yaml"
DEVICES = SHIPPED / "devices"
S, MS = 1_000_000_000, 1_000_000


def times(text: str | None = None):
    """Row -> its time, of the shipped unit or of a changed copy."""
    raw = (text or UNIT.read_text()).encode()
    return {row.row: row for row in safety_times(compile_unit(parse(raw, str(UNIT)), DEVICES))}


def test_every_row_of_the_shipped_unit_acts_within_half_its_process_safety_time():
    check_profile(compile_unit(load(UNIT), DEVICES))
    found = times()
    profile = compile_unit(load(UNIT), DEVICES)
    assert set(found) == {row.id for row in profile.model.rows}, "the derived ones too"
    for row in found.values():
        assert row.ok
        assert row.total_ns == row.sensor_age_ns + row.delay_ns + row.scan_ns + row.line_ns
        assert row.total_ns <= row.allowed_ns


def test_the_sum_of_row_5_is_poll_and_retries_delay_scan_and_its_four_writes_in_a_row():
    row = times()["5"]
    # PT101 on the skid: every 0.5 s, three attempts of 1 s; row 5 waits 1 s; 10 scans a second.
    assert (row.sensor_age_ns, row.delay_ns, row.scan_ns) == (3_500 * MS, 1 * S, 100 * MS)
    # Gas bus: an exchange in flight times out after 150 ms, then four frames of at most 128 bytes.
    four = 4 * (128 * 12 * S // 19_200)
    assert row.line_ns == 150 * MS + four
    assert row.allowed_ns == 15 * S


def test_a_window_that_must_be_full_before_it_speaks_counts_as_age():
    assert times()["4"].sensor_age_ns > 600 * S


def test_a_signal_whose_loss_makes_the_row_act_counts_with_its_age_and_bad_after():
    row = times()["9"]
    assert (row.sensor_age_ns, row.delay_ns) == (3 * S, 5 * S), "the balance is bad after 3 + 5 s"


def test_a_silent_link_counts_for_as_long_as_its_limit():
    assert times()["20.pump_bus"].sensor_age_ns == 2 * S


@pytest.mark.parametrize("change", [
    ("safety_time: 15 s", "safety_time: 10 s"), ("delay: 0.5 s", "delay: 4 s"),
])  # fmt: skip
def test_a_row_that_cannot_act_in_time_is_refused_at_its_line(change):
    text = UNIT.read_text()
    head, tail = text.split('  - id: "6"', 1)
    text = head + '  - id: "6"' + tail.replace(*change, 1)
    profile = compile_unit(parse(text.encode(), "unit.yaml"), DEVICES)
    with pytest.raises(BadInput, match="row 6 may take") as caught:
        check_profile(profile)
    line = int(re.match(r"unit\.yaml:(\d+):", caught.value.where)[1])
    assert "safety_time" in text.splitlines()[line - 1]
    assert caught.value.do


def test_a_slower_poll_moves_the_sum(tmp_path):
    for file in DEVICES.glob("*.yaml"):
        (tmp_path / file.name).write_text(file.read_text().replace("every_s: 0.5", "every_s: 5"))
    slow = {r.row: r for r in safety_times(compile_unit(load(UNIT), tmp_path))}
    assert slow["6"].sensor_age_ns == times()["6"].sensor_age_ns + 4_500 * MS
    assert not slow["6"].ok
