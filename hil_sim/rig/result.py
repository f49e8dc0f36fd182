"""What a virtual run comes to: one object of figures, the truth beside what the log proves."""

from __future__ import annotations

from typing import Any

from controller.record.verify import verify
from hil_sim.rig.rig import Rig


def result_of(rig: Rig, wall_s: float) -> dict[str, Any]:
    """The figures of a finished or interrupted run; verifies its log."""
    report = verify(rig.log_dir, expect_sealed=rig.closed)
    virtual_s = rig.clock.now_ns / 1e9
    truth = rig.at_harvest or rig.plant.truth()
    used, formed = truth["glucose_used_mmol"], truth["lactate_formed_mmol"]
    band = rig.bands[0]
    seconds = int(band["seconds"])
    return {
        "batch_id": rig.batch_id,
        "seed": rig.seed,
        "fidelity": rig.fidelity,
        "virtual_s": round(virtual_s, 1),
        "wall_s": round(wall_s, 3),
        "speed": round(virtual_s / wall_s, 1),
        "scans": rig.station.board.scan,
        "log_records": report.records,
        "log_root": report.root,
        "verified": report.ok,
        "state": rig.final_state,
        "trips": list(rig.trips),
        "holds": rig.holds,
        "final": {
            "vcd_e6_per_ml": round(truth["vcd_e6_per_ml"], 4),
            "viability_pct": round(truth["viability_pct"], 3),
            "volume_l": round(truth["volume_l"], 4),
            "lactate_mm": round(truth["lactate_mm"], 3),
            "glucose_mm": round(truth["glucose_mm"], 3),
            "lactate_per_glucose": round(formed / used, 4) if used > 0 else None,
            "base_total_ml": round(truth["base_total_ml"], 2),
            "perfused_l": round(truth["perfused_ml"] / 1000.0, 3),
            "harvested_e9_cells": round(rig.plant.truth()["harvested_e9_cells"], 3),
        },
        "in_band_pct": {
            name: round(100.0 * int(band[key]) / seconds, 3) if seconds else None
            for name, key in (("t_in_band_pct", "t_in"), ("do_in_band_pct", "do_in"),
                              ("ph_in_band_pct", "ph_in"))
        },  # fmt: skip
        "config_digests": rig.station.config_digests(),
    }
