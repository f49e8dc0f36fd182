"""A unit file that is wrong is refused with file:line, what, and the nearest valid name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import equipment_profiles
from controller.core.errors import BadInput
from controller.core.yamltext import parse
from controller.profile.compile import compile_unit, load_profile
from controller.profile.plan import Plan, table

SHIPPED = Path(equipment_profiles.__file__).parent
UNIT = SHIPPED / "units" / "perfusion_2l.yaml"
DEVICES = SHIPPED / "devices"
TEXT = UNIT.read_text()


def refused(text: str) -> BadInput:
    with pytest.raises(BadInput) as caught:
        compile_unit(parse(text.encode(), "unit.yaml"), DEVICES)
    assert caught.value.exit_code == 2
    assert caught.value.where.startswith("unit.yaml:")
    return caught.value


def line_of(error: BadInput) -> str:
    return TEXT_LINES[int(error.where.split(":")[1]) - 1]


TEXT_LINES = TEXT.splitlines()


def test_the_shipped_unit_compiles_and_every_name_has_its_index():
    profile = load_profile(UNIT, DEVICES)
    assert profile.id == "perfusion_2l"
    assert len(profile.outputs) == len(profile.plan.outputs) == 15
    assert len(profile.causes) == len(profile.plan.causes)
    assert [profile.signals[i] for i in profile.plan.loops["sp_signal"]] == [
        f"{name}.sp" for name in profile.loops
    ]
    assert profile.index["TT101"] == profile.signal("TT101")
    assert load_profile(UNIT, DEVICES).plan_digest == profile.plan_digest


@pytest.mark.parametrize(("old", "new", "says"), [
    # the scan
    ("period: 100 ms", "period: 0.9 ms", "1 ms to 1 s"),
    ("period: 100 ms", "period: 1.001 s", "1 ms to 1 s"),
    ("period: 100 ms", "period: 0 ms", "1 ms to 1 s"),
    # units and dimensions
    ("any: [TT103 > 45 degC]", "any: [TT103 > 45 degZ]", "unknown unit 'degZ'"),
    ("any: [TT103 > 45 degC]", "any: [TT103 > 45 mbar]", "is a pressure"),
    ("any: [TT103 > 45 degC]", "any: [TT103 > 45]", "is a count"),
    ("any: [TT103 > 45 degC]", "any: [TT103 > 45 K]", "is a temperature_difference"),
    ("any: [TT103 > 45 degC]", "any: [TT103 > nan degC]", "not a number"),
    ("TT103: {unit: degC,", "TT103: {unit: mbar,", "measures TT103 in degC"),
    ("TT103: {unit: degC,", "TT103: {unit: degZ,", "unknown unit"),
    ("heater: {unit: \"%\", range: [0, 100]",
     "heater: {unit: W, range: [0, 100]",
     "takes heater in %"),
    ("feed: {unit: mL/min, range: [0, 60]",
     "feed: {unit: mL/h, range: [0, 60]",
     "give it in mL/min"),
    ("feed: {unit: mL/min, range: [0, 60]", "feed: {unit: mL/min, range: [0, 600]", "beyond what"),
    ("T_DIFF: {unit: K,", "T_DIFF: {unit: mK,", "mK"),
    # names
    ("any: [TT103 > 45 degC]", "any: [TT130 > 45 degC]", "Did you mean 'TT103'?"),
    ("then: [heater = 0]\n    action: alarm", "then: [heeter = 0]\n    action: alarm", "'heater'"),
    ("not_in: harvest", "not_in: harvst", "'harvest'"),
    ("pv: TT101\n", "pv: TT10l\n", "Did you mean 'TT10"),
    ("master: TIC101", "master: TIC105", "must be a loop above"),
    ("{profile: rtd_modbus, link", "{profile: rtd_modbas, link", "'rtd_modbus'"),
    ("link: balance, address", "link: balanse, address", "'balance'"),
    ("guard: environment", "guard: enviroment", "'environment'"),
    ("signal: AT102, window: 30 min", "signal: AT120, window: 30 min", "AT102"),
    ("signal: AT102, window: 30 min", "signal: VOL, window: 30 min", "no measured tag"),
    ("{of: feed, gain: 1}", "{of: feet, gain: 1}", "'feed'"),
    ("tags: {weight: WT101}", "tags: {wait: WT101}", "no point 'wait'"),
    # shape
    ("    hysteresis: 1\n", "    histeresis: 1\n", "'hysteresis'"),
    ("  - id: \"3\"", "  - id: \"2\"", "duplicate id '2'"),
    ("fallback: {other: TT102, after: 5 s}", "rate: 1 /s", "no fallback"),
    ("fallback: {other: TT102, after: 5 s}", "fallback: {after: 5 s}", "exactly one of"),
    ("fallback: {other: TT102, after: 5 s}", "fallback: {mean: true, after: 5 s}", "no mean"),
    ("fallback: {other: TT102, after: 5 s}", "fallback: {other: TT102, after: 61 s}", "60 s"),
    ("action: alarm\n    safety_time: 60 s", "action: alrm\n    safety_time: 60 s", "action"),
    ("kind: interlock\n    any: [TT103", "kind: interlok\n    any: [TT103", "kind"),
    # numbers
    ("any: [TT103 > 45 degC]", "any: [TT103 > 145 degC]", "could never trip"),
    ("every: 1 s, start: 0, safe: 0", "every: 1 s, start: 101, safe: 0", "start and safe must be"),
    ("resolution: 0.1, every: 1 s, start: 0, safe: 0",
     "resolution: 0, every: 1 s, start: 0, safe: 0",
     "resolution"),
    ("every: 1 s, start: 0, safe: 0", "every: 1 s, start: 0, safe: .nan", "safe"),
    ("tuning: {gain: 8, ti: 60 s}", "tuning: {gain: nan, ti: 60 s}", "finite"),
    ("tuning: {gain: 8, ti: 60 s}", "tuning: {gain: 8, ti: 60 mbar}", "is a pressure"),
    ("any: [TT103 > 45 degC]", "of: [TT103 > 45 degC]\n    vote: 2", "2 out of 1"),
    ("any: [TT103 > 45 degC]", "of: [TT103 > 45 degC]", "0 out of 1"),
    ("any: [TT103 > 45 degC]", "any: [TT103 > 45 degC]\n    vote: 1", "`vote` belongs to `of`"),
    ("any: [TT103 > 45 degC]", "any: []", "exactly one of any, all, of"),
    ("then: [heater = 0]\n    action: alarm",
     "then: [heater = 110]\n    action: alarm",
     "outside the range"),
    ("then: [heater = 0]\n    action: alarm",
     "then: [heater = x]\n    action: alarm",
     "not a number"),
    ("then: [heater <= 30]", "then: [heater ~ 30]", "unknown effect"),
    ("max_age: 30 s, title: Temperature in the pH",
     "max_age: -30 s, title: Temperature in the pH",
     "negative"),
    ("rate: 40 /s", "rate: 40 /min", "rate"),
    ("    rate: 1 /s\n    setpoint: [15, 90]", "    rate: 1 /min\n    setpoint: [15, 90]", "rate"),
    ("setpoint: [15, 90]", "setpoint: [90, 15]", "low below high"),
    ("PT101: {unit: mbar, range: [-20, 200]",
     "PT101: {unit: mbar, range: [200, -20]",
     "is not a range"),
    # sense
    ("AT101 is bad], then: [base = 0]", "AT101 is bad], then: [base <= 0.1]", "permit"),
    ("segments: [{actuator: perfusate,",
     "segments: [{actuator: heater,",
     "already driven by TIC103"),
    ("feed shut: [feed = 0, xv201 = 0]", "feed shut: [feed shut]", "holds itself"),
    ("mfc_o2: {profile: alicat_mc, link: gas_bus, address: B",
     "mfc_o2: {profile: alicat_mc, link: gas_bus, address: A",
     "same address"),
    ("setpoint: FS_O2}", "setpoint: FS_AIR}", "already read from"),
    # a restart with a batch open
    ("restarted: restarted #", "restarted: restartet #", "'restarted'"),
    ("supervisor_restart: go_on", "supervisor_restart: goon", "supervisor_restart"),
    ("restart: read_back, proof: FS_CO2", "restart: readback, proof: FS_CO2", "restart"),
    ("any: [supervisor.age > 10 s]", "any: [supervisor.aged > 10 s]", "'supervisor.age'"),
    ("      STIRRER_CMD: STIRRER_SP\n", "      STIRRER_CMD: HEATER_SP\n", "already read from"),
    ("STIRRER_SP: {unit: rpm, range: [-5, 500]", "STIRRER_SP: {unit: rpm, range: [-5, 300]",
     "is good only in -5 to 300 rpm"),
])  # fmt: skip
def test_a_fault_in_a_unit_file_is_refused_with_its_place_and_what_to_write_instead(old, new, says):
    assert old in TEXT
    error = refused(TEXT.replace(old, new, 1))
    assert says in error.what
    assert error.do


@pytest.mark.parametrize(("old", "new"), [
    ("any: [TT103 > 45 degC]", "any: [TT130 > 45 degC]"),
    ("T_DIFF: {unit: K,", "T_DIFF: {unit: mK,"),
    ("{profile: rtd_modbus, link", "{profile: rtd_modbas, link"),
    ("feed: {title: Feed pump, turning: ST_FEED > 0.1 mL/min",
     "feed: {title: Feed pump, turning: ST_FEED > 0.1 mbar"),
])  # fmt: skip
def test_the_place_of_a_fault_is_its_own_line(old, new):
    error = refused(TEXT.replace(old, new, 1))
    number = TEXT[: TEXT.index(old)].count("\n") + 1
    assert error.where.split(":")[1] == str(number)


def test_an_actuator_that_no_row_puts_to_its_safe_value_is_refused():
    text = TEXT.replace("stirrer = 0, all MFC 0", "all MFC 0")
    error = refused(text)
    assert "no row protects stirrer" in error.what
    assert line_of(error).strip().startswith("stirrer:")


@pytest.mark.parametrize(("name", "old", "new"), [
    ("co2", "tags: {flow: FT_CO2, setpoint: FS_CO2}", "tags: {flow: FS_CO2, pressure: FT_CO2}"),
    ("o2", "tags: {flow: FT_O2, setpoint: FS_O2}", "tags: {flow: FS_O2, pressure: FT_O2}"),
])  # fmt: skip
def test_an_actuator_to_be_read_back_that_no_tag_reads_back_is_refused_at_its_line(
    tmp_path, name, old, new
):
    for file in DEVICES.glob("*.yaml"):
        text = file.read_text()
        more = "points:\n  pressure: {read: frame, group: line_pressure, unit: mL/min}\n"
        (tmp_path / file.name).write_text(text.replace("points:\n", more, 1)
                                          if file.stem == "alicat_mc" else text)  # fmt: skip
    assert old in TEXT
    with pytest.raises(BadInput) as caught:
        compile_unit(parse(TEXT.replace(old, new).encode(), "unit.yaml"), tmp_path)
    assert f"{name} is to go on as it is read back" in caught.value.what
    assert line_of(caught.value).strip().startswith(f"{name}:")
    assert "restart: start" in caught.value.do


def test_an_environment_actuator_may_say_that_it_starts_anew():
    old = "start: 0, safe: 0, environment: true, keep: 60"
    assert old in TEXT
    text = TEXT.replace(old, old + ", restart: start")
    text = text.replace("      STIRRER_CMD: STIRRER_SP\n", "")
    text = "".join(x for x in text.splitlines(True) if not x.startswith("  STIRRER_SP:"))
    profile = compile_unit(parse(text.encode(), "unit.yaml"), DEVICES)
    row = profile.plan.outputs[profile.outputs.index("stirrer")]
    assert (row["read_back"], row["readback"]) == (0, -1)


def test_what_is_read_back_over_a_restart_names_its_tag():
    profile = load_profile(UNIT, DEVICES)
    found = {name: profile.signals[int(row["readback"])]
             for name, row in zip(profile.outputs, profile.plan.outputs, strict=True)
             if row["read_back"]}  # fmt: skip
    assert found == {"heater": "HEATER_SP", "km101": "KM101_CMD", "stirrer": "STIRRER_SP",
                     "xv100": "XV100_CMD", "air": "FS_AIR", "o2": "FS_O2",
                     "co2": "FS_CO2"}  # fmt: skip
    unit = profile.plan.unit[0]
    assert profile.signals[int(unit["restarted_flag"])] == "restarted"
    assert profile.signals[int(unit["supervisor_signal"])] == "supervisor.age"


def test_a_tag_that_no_device_measures_is_refused():
    line = "  WT101: {unit: g,"
    more = "  WT102: {unit: g, range: [0, 1], max_age: 3 s, title: x}\n"
    error = refused(TEXT.replace(line, more + line))
    assert "WT102 belongs to no device" in error.what


def test_a_block_that_reads_a_later_block_is_refused():
    error = refused(TEXT.replace("otherwise: [VOL_W, LT101]", "otherwise: [LEVEL, LT101]"))
    assert "LEVEL must be computed before VOL" in error.what


def test_an_alias_bomb_is_refused_before_it_is_built():
    bomb = "a: &a [x, x]\n" + "".join(
        f"{b}: &{b} [{', '.join(['*' + a] * 10)}]\n"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    error = refused(bomb)
    assert "aliases" in error.what
    assert error.where == "unit.yaml:1:4"


def test_a_file_of_100_mb_is_refused_unread(tmp_path):
    file = tmp_path / "big.yaml"
    with file.open("wb") as handle:
        handle.truncate(100_000_000)
    with pytest.raises(BadInput, match="100000000 bytes, the limit is") as caught:
        load_profile(file, DEVICES)
    assert str(file) in caught.value.where


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot read"):
        load_profile(tmp_path / "none.yaml", DEVICES)


@pytest.mark.parametrize("text", ["", "[]", "unit: 3", "- a\n- b", "unit: {id: x}", "x" * 500])
def test_a_file_of_another_shape_is_refused(text):
    assert refused(text).what


def test_a_plan_table_takes_only_rows_that_name_every_field():
    row = dict.fromkeys(("kind", "start", "max_age_ns", "low", "high", "rate_max"), 0)
    assert len(table("signals", [row, row])) == 2
    for odd in (row | {"sorce": 1}, {"kind": 0}):
        with pytest.raises(ValueError, match="signals row 0"):
            table("signals", [odd])


def test_every_number_of_the_plan_is_finite():
    plan: Plan = load_profile(UNIT, DEVICES).plan
    for name, array in zip(plan._fields, plan, strict=True):
        for field in array.dtype.names:
            assert np.isfinite(array[field]).all(), (name, field)
