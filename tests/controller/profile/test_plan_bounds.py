"""No plan that the kernel would read beyond its tables is ever run."""

from __future__ import annotations

import numpy as np
import pytest

from controller.core.errors import BrokenInvariant
from controller.profile.bounds import INDICES, RANGES, check_bounds
from controller.profile.compile import load_profile
from controller.profile.plan import TABLES
from equipment_profiles import DEVICES, UNITS

PLAN = load_profile(UNITS / "perfusion_2l.yaml", DEVICES).plan
COLUMNS = [(name, column, target, none) for name, columns in INDICES.items()
           for column, (target, none) in columns.items()]  # fmt: skip
# Columns that are numbers, not places.
PLAIN = {
    "signals": {"kind", "start", "max_age_ns"},
    "blocks": {"op", "first_term", "n_terms", "window", "bucket_ns", "lag"},
    "conditions": {"op", "bad", "on_delay_ns", "off_delay_ns"},
    "causes": {"kind", "first_condition", "n_conditions", "votes", "on_delay_ns", "bad_delay_ns",
               "off_delay_ns", "valid_when", "first_effect", "n_effects", "action",
               "action_delay_ns", "bypassable", "bad_window_ns", "group"},
    "effects": {"op", "output", "confirm_op", "confirm_ns"},
    "loops": {"first_segment", "n_segments", "period_ns", "fallback", "bad_hold_ns"},
    "outputs": {"interval_ns", "environment", "higher_wins", "read_back"},
    "unit": {"period_ns"},
}  # fmt: skip


def changed(name, column, place, value):
    table = getattr(PLAN, name).copy()
    table[column][place] = value
    return PLAN._replace(**{name: table})


def test_every_whole_number_of_every_table_is_known_to_be_an_index_or_none():
    for name, dtype in TABLES.items():
        whole = {field for field in dtype.names or () if dtype[field] == np.dtype("i8")}
        assert whole == set(INDICES.get(name, {})) | PLAIN.get(name, set()), name


def test_the_shipped_unit_points_nowhere_wrong():
    check_bounds(PLAN)


@pytest.mark.parametrize(("name", "column", "target", "none"), COLUMNS)
def test_an_index_beyond_its_table_or_below_none_is_refused(name, column, target, none):
    for wrong in (len(getattr(PLAN, target)), -2, *(() if none else (-1,))):
        with pytest.raises(BrokenInvariant, match=f"{name}.{column} points nowhere"):
            check_bounds(changed(name, column, -1, wrong))


@pytest.mark.parametrize("name", [*RANGES, "effects"])
def test_a_range_of_rows_that_ends_beyond_its_table_is_refused(name):
    where = {"effects": ("causes", "first_effect", "n_effects")}.get(
        name, (name, *RANGES.get(name, ("", "", ""))[:2])
    )
    table, first, count = where
    place = int(np.flatnonzero(getattr(PLAN, table)[count] > 0)[-1])
    for wrong in (10_000, -1):
        with pytest.raises(BrokenInvariant, match=f"{table}.{first} points nowhere"):
            check_bounds(changed(table, first, place, wrong))


@pytest.mark.parametrize(
    ("table", "column", "which"),
    [
        ("blocks", "a", lambda t: t["op"] == 0),
        ("blocks", "b", lambda t: t["b"] >= 0),
        ("blocks", "window", lambda t: t["window"] >= 0),
        ("loops", "other_pv", lambda t: t["other_pv"] >= 0),
        ("outputs", "readback", lambda t: t["read_back"] == 1),
    ],
)
def test_a_row_that_needs_an_index_and_has_none_is_refused(table, column, which):
    place = int(np.flatnonzero(which(getattr(PLAN, table)))[0])
    with pytest.raises(BrokenInvariant, match="points nowhere"):
        check_bounds(changed(table, column, place, -1))


def test_an_effect_on_an_output_that_is_not_there_is_refused():
    with pytest.raises(BrokenInvariant, match=r"effects\.output"):
        check_bounds(changed("effects", "output", 0, len(PLAN.outputs) + len(PLAN.signals)))
