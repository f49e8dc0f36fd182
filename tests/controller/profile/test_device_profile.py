"""Device files: what is in the tree loads, and what is wrong is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

import equipment_profiles
from controller.core.errors import BadInput
from controller.profile.device import LinkSettings, load_device
from controller.profile.link_compile import BoundDevice, compile_link

DEVICES = Path(equipment_profiles.__file__).parent / "devices"
FILES = sorted(DEVICES.glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_device_file_loads_and_names_its_sources(file):
    profile = load_device(file)
    assert profile.profile.sources
    assert profile.on_comm_loss


@pytest.mark.parametrize(("old", "new", "says"), [
    ("timeout_ms: 150", "timeout: 150", "timeout_ms"),
    ("unit: mL/min}", "unit: mL/minute_of_arc}", "unit"),
    ("group: mass_flow", "group: mass_flaw", "no group"),
    ("read: frame, group: setpoint", "read: frane, group: setpoint", "frame"),
    ('"{addr}S {v:.1f}"', '"{addr}{v:.0f}"', "never"),
    ('"{addr}S {v:.1f}"', '"{addr}S {w:.1f}"', "may only hold"),
    ("verify: {point: setpoint", "verify: {point: setpont", "setpoint"),
    ("(?P<gas>", "(?P<gas", "regular expression"),
    ("high: 500", "high: 0", "not below"),
])  # fmt: skip
def test_a_fault_in_a_device_file_is_refused_with_its_place(tmp_path, old, new, says):
    text = (DEVICES / "alicat_mc.yaml").read_text()
    assert old in text
    file = tmp_path / "bad.yaml"
    file.write_text(text.replace(old, new))
    with pytest.raises(BadInput) as caught:
        load_device(file)
    assert says in str(caught.value)
    assert caught.value.where.startswith(str(file) + ":")


def bound(profile, address, signals, outputs=None, calibration=None):
    return BoundDevice(address or "x", load_device(DEVICES / f"{profile}.yaml"), address, signals,
                       outputs or {}, calibration or {})  # fmt: skip


@pytest.mark.parametrize(("settings", "devices", "says"), [
    (LinkSettings(kind="serial"), [("alicat_mc", "A", {"flaw": 0})], "flow"),
    (LinkSettings(kind="serial", baud=9600), [("alicat_mc", "A", {"flow": 0})], "19200"),
    (LinkSettings(kind="opcua"), [("alicat_mc", "A", {"flow": 0})], "opcua"),
    (LinkSettings(kind="serial"), [("alicat_mc", "A", {}), ("alicat_mc", "A", {})], "address"),
    (LinkSettings(kind="serial", format="8N2"), [("rtd_modbus", "300", {})], "247"),
    (LinkSettings(kind="serial", baud=9600, format="8N2"),
     [("watson_marlow_520", "1", {"rate": 0})], "calibration"),
    (LinkSettings(kind="serial"), [], "devices"),
])  # fmt: skip
def test_devices_that_do_not_fit_their_line_are_refused(settings, devices, says):
    with pytest.raises(BadInput) as caught:
        compile_link("line", settings, [bound(*device) for device in devices])
    assert says in str(caught.value)


def test_units_become_canonical_once_and_calibration_scales_both_ways():
    pump = bound("watson_marlow_520", "1", {"rate": 3}, {"rate": 5}, {"rate": 0.9})
    plan = compile_link("line", LinkSettings(kind="serial", baud=9600, format="8N2"), [pump])
    (read,), (write,) = plan.devices[0].reads, plan.devices[0].writes
    assert (read.points[0].signal, read.points[0].scale) == (3, 0.9)
    assert (write.output, write.scale) == (5, 0.9)
    assert write.resolution == pytest.approx(0.09)
    skid = bound("skid_opcua", "", {"PT101": 0})
    points = compile_link("skid", LinkSettings(kind="opcua"), [skid]).devices[0].reads[0].points
    assert {point.name: point.scale for point in points}["PT101"] == 0.1


def test_polls_of_one_line_are_spread_over_their_period():
    devices = [bound("alicat_mc", unit, {"flow": at}) for at, unit in enumerate("ABCD")]
    plan = compile_link("gas", LinkSettings(kind="serial"), devices)
    phases = [device.reads[0].phase_ns for device in plan.devices]
    assert phases == [0, 250_000_000, 500_000_000, 750_000_000]
