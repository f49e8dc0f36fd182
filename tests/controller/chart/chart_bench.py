"""The shipped unit and changed copies of it, compiled, with their charts."""

from __future__ import annotations

from functools import cache

from controller.chart.build import build
from controller.chart.model import Chart
from controller.chart.risk import Analysis, load_analysis
from controller.core.yamltext import parse
from controller.profile.compile import Profile, compile_unit
from controller.units import find_unit, load_unit
from equipment_profiles import DEVICES
from hil_sim.qualification.coverage import covered
from hil_sim.qualification.requirements import find_requirements, load_requirements

UNIT = find_unit("perfusion_2l")
REQUIRED = find_requirements("perfusion_2l")
FMEA = REQUIRED.with_name("perfusion_2l_fmea.yaml")


@cache
def shipped() -> Profile:
    return load_unit(UNIT)[0]


@cache
def analysis() -> Analysis:
    return load_analysis(FMEA, shipped())


@cache
def chart() -> Chart:
    """The shipped chart with its risks and its tests."""
    return build(shipped(), analysis(), covered(shipped(), load_requirements(REQUIRED)))


def changed(before: str, after: str) -> Profile:
    """The shipped unit with one text replaced, which must be there once."""
    text = UNIT.read_text()
    assert text.count(before) == 1, before
    return compile_unit(parse(text.replace(before, after).encode(), "unit.yaml"), DEVICES)
