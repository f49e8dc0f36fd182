"""The executed protocol as PDF: folded from the record to one canonical JSON, rendered by typst.

A module because the JSON is the record's face and the PDF only its picture: the same JSON gives the
same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from controller.report.render import render
from hil_sim.qualification import record
from hil_sim.qualification.matrix import NOT_RUN, traced
from hil_sim.qualification.record import History, canonical_bytes
from hil_sim.qualification.requirements import Requirements
from hil_sim.qualification.runner import all_cases, required

TEMPLATE = Path(__file__).with_name("report.typ")


def write_report(out: Path, stage: str, unit: str, given: Path | None = None) -> list[Path]:
    """Writes `out/STAGE-report.json` and `.pdf`; returns both. Raises BadInput without a record."""
    requirements = required(unit, given)
    history = record.read_history(out)
    data = canonical_bytes(document(history, stage, requirements))
    pdf = render(data, TEMPLATE)
    return [record.keep_copy(out, f"{stage}-report.json", data),
            record.keep_copy(out, f"{stage}-report.pdf", pdf)]  # fmt: skip


def document(history: History, stage: str, requirements: Requirements) -> dict[str, Any]:
    """Everything the report shows. Incomplete unless every case of the stage has a result."""
    latest = history.latest(stage)
    rows, orphans = traced(requirements, history, (stage,))
    cases = []
    for case in all_cases(stage, requirements):
        done = latest.get(case.id)
        runs = [{"run": run.id, "verdict": run.executed[case.id]["verdict"]}
                for run in history.of(stage) if case.id in run.executed]  # fmt: skip
        base = {"case": case.id, "title": case.title, "requirements": list(case.requirements)}
        cases.append({**base, **(done or {"verdict": NOT_RUN}), "executions": runs})
    counts = {word: sum(c["verdict"] == word for c in cases) for word in ("pass", "fail", NOT_RUN)}
    runs_ = [{
        "run": run.id, "executor": run.executor, "began": run.began,
        "ended": run.ended or "interrupted", "selection": run.selection or "all",
        "cases": len(run.cases), "executed": len(run.executed), "config": run.config,
    } for run in history.of(stage)]  # fmt: skip
    of_stage = {run.id for run in history.of(stage)}
    deviations = [{**dev, "again": _again(history, stage, dev)} for dev in history.deviations
                  if dev["run"] in of_stage]  # fmt: skip
    return {
        "stage": stage, "unit": requirements.unit, "unit_title": requirements.title,
        "simulated": True, "complete": counts[NOT_RUN] == 0, "counts": counts, "cases": cases,
        "runs": runs_, "deviations": deviations, "matrix": rows, "orphans": orphans,
        "reviews": [r for r in history.reviews if r["stage"] == stage],
        "requirements": {"version": requirements.version, "sha256": requirements.sha256,
                         "approved_by": requirements.approved_by or "nobody"},
    }  # fmt: skip


def _again(history: History, stage: str, deviation: dict[str, str]) -> str:
    """What became of a failed case in later runs."""
    seen = False
    found = "not executed again"
    for run in history.of(stage):
        if seen and deviation["case"] in run.executed:
            found = f"executed again in {run.id}: {run.executed[deviation['case']]['verdict']}"
        seen = seen or run.id == deviation["run"]
    return found
