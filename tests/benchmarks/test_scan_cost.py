"""What one scan costs for 10, 100 and 1,000 tags. Measured, never asserted: `make bench`.

Units are generated as text and go through the real compiler: per ten tags one loop, one block, one
window, one interlock, one protect and one actuator.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from numba import njit

import equipment_profiles
from controller.core.yamltext import parse
from controller.field.image import INPUT, create
from controller.field.kernel import initialise_at, scan_at
from controller.field.ring import InputRing
from controller.field.views import Bound
from controller.profile.compile import Profile, compile_unit, load_profile

SHIPPED = Path(equipment_profiles.__file__).parent
PERIOD_NS = 100_000_000
PER_DEVICE = 40
SCANS = 1_000

DEVICE = {
    "profile": {"id": "bench", "version": 1, "title": "Bench", "models": ["bench"],
                "sources": ["[assumed] it exists in tests only"]},
    "line": {"protocol": "opcua", "timeout_ms": 200, "namespace": "urn:bench"},
    "reads": {"all": {"every_s": 0.5}},
    "points": {f"x{i}": {"read": "all", "node": f"X{i}", "unit": "%"} for i in range(PER_DEVICE)},
    "writes": {f"a{i}": {"unit": "%", "node": f"A{i}", "low": 0, "high": 100, "resolution": 0.1,
                         "verify": {"point": f"x{i}", "tolerance": 0.1}} for i in range(4)},
    "on_comm_loss": "nothing",
}  # fmt: skip


@njit
def many(handles, now_ns, count):
    """Scans as the field does, without Python in between."""
    for _ in range(count):
        now_ns += PERIOD_NS
        scan_at(handles, now_ns)
    return now_ns


def generated(tags: int, folder: Path) -> Profile:
    """A unit of `tags` measured tags."""
    (folder / "bench.yaml").write_text(yaml.safe_dump(DEVICE, sort_keys=False))
    groups = tags // 10
    devices = {}
    for number in range(-(-tags // PER_DEVICE)):
        own = range(number * PER_DEVICE, min(tags, (number + 1) * PER_DEVICE))
        mine = [g for g in range(groups) if g * 10 // PER_DEVICE == number]
        devices[f"d{number}"] = {
            "profile": "bench", "link": "line", "address": str(number),
            "tags": {f"x{i % PER_DEVICE}": f"T{i}" for i in own},
            "actuators": {f"a{at}": f"a{g}" for at, g in enumerate(mine)},
        }  # fmt: skip
    loop = {"title": "L", "period": "1 s", "tuning": {"gain": 2, "ti": "20 s"}, "output": [0, 100],
            "setpoint": [0, 100], "fallback": {"mean": True, "after": "60 s"}}  # fmt: skip
    data = {
        "unit": {"id": "bench", "version": 1, "title": "B", "period": "100 ms", "guard": "g",
                 "held": "h"},
        "links": {"line": {"kind": "opcua"}},
        "devices": devices,
        "tags": {f"T{i}": {"unit": "%", "range": [-1000, 1000], "max_age": "900 s", "rate": "50 /s",
                           "title": "t"} for i in range(tags)},
        "flags": {name: {"start": False, "title": name} for name in "gh"},
        "actuators": {f"a{g}": {"unit": "%", "range": [0, 100], "resolution": 0.1, "every": "1 s",
                                "start": 0, "safe": 0} for g in range(groups)},
        "blocks": {
            **{f"D{g}": {"unit": "%", "difference": [f"T{10 * g}", f"T{10 * g + 1}"]}
               for g in range(groups)},
            **{f"W{g}": {"unit": "%", "spread": {"of": f"T{10 * g}", "over": "10 min"}}
               for g in range(min(groups, 120))},
        },
        "loops": {f"L{g}": loop | {"pv": f"T{10 * g}", "segments": [
            {"actuator": f"a{g}", "demand": [0, 100], "value": [0, 100]}]}
            for g in range(min(groups, 60))},
        "rows": [row for g in range(groups) for row in (
            {"id": f"i{g}", "title": "i", "kind": "interlock", "then": [f"a{g} <= 50"],
             "safety_time": "60 s", "of": [f"T{10 * g + k} > 900 %" for k in range(2, 5)],
             "vote": 2, "delay": "1 s", "hysteresis": 5},
            {"id": f"p{g}", "title": "p", "kind": "protect", "then": [f"a{g} = 0"],
             "safety_time": "60 s", "any": [f"D{g} > 900 %", f"T{10 * g + 9} > 950 %"],
             "bad": "trip"})],
    }  # fmt: skip
    return compile_unit(parse(json.dumps(data).encode(), "bench.yaml"), folder)


def warm(profile: Profile) -> tuple[Bound, int]:
    """An image with every tag read once and every loop in automatic."""
    image = create(profile.plan, 0)
    bound = Bound(profile.plan, image)
    initialise_at(bound.handles, 0)
    for link, plan in enumerate(profile.links):
        points = [p.signal for d in plan.devices for r in d.reads for p in r.points]
        points = [signal for signal in points if signal >= 0]
        for start in range(0, len(points), 500):
            ring = InputRing(image, link)
            for signal in points[start : start + 500]:
                ring.push(signal, 20.0, 0, 0, 0)
            scan_at(bound.handles, start + 1)
    image.loops["mode"] = 2
    return bound, int(many(bound.handles, 1_000, 10))


@pytest.mark.benchmark
@pytest.mark.parametrize("tags", [10, 100, 1_000])
def test_cost_of_a_thousand_scans_by_number_of_tags(benchmark, tmp_path, tags):
    bound, now = warm(generated(tags, tmp_path))
    benchmark.extra_info["tags"] = tags
    end = benchmark(many, bound.handles, now, SCANS)
    assert end == now + SCANS * PERIOD_NS


@pytest.mark.benchmark
def test_cost_of_a_thousand_scans_of_the_shipped_unit(benchmark):
    unit = SHIPPED / "units" / "perfusion_2l.yaml"
    bound, now = warm(load_profile(unit, SHIPPED / "devices"))
    assert benchmark(many, bound.handles, now, SCANS) == now + SCANS * PERIOD_NS


@pytest.mark.benchmark
def test_cost_of_taking_a_thousand_samples(benchmark, tmp_path):
    profile = generated(1_000, tmp_path)
    bound, now = warm(profile)
    rows = np.zeros(1_000, INPUT)
    rows["point"] = [profile.index[f"T{i}"] for i in range(1_000)]
    rows["value"], rows["sample_ns"] = 20.0, now
    image = bound.image

    def deliver():
        head = int(image.input_rings["head"][0])
        image.inputs[0][(head + np.arange(1_000)) % len(image.inputs[0])] = rows
        image.input_rings["head"][0] = head + 1_000
        return scan_at(bound.handles, now)

    benchmark(deliver)
    assert bound.image.signals["sample_ns"][profile.index["T999"]] == now
