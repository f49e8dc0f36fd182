"""Requirement, case, result: which requirement has no case, which case no requirement.

A module because an orphan on either side is a hole in a qualification, and must fail it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hil_sim.qualification import record
from hil_sim.qualification.record import STAGES, History
from hil_sim.qualification.requirements import Requirements
from hil_sim.qualification.runner import all_cases, required

NOT_RUN = "not run"


def traced(
    requirements: Requirements, history: History, stages: tuple[str, ...] = STAGES
) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows requirement -> cases -> results, and the orphans in words."""
    cases = {case.id: (stage, case) for stage in stages for case in all_cases(stage, requirements)}
    latest = {id_: done for stage in stages for id_, done in history.latest(stage).items()}
    rows: list[dict[str, Any]] = []
    orphans: list[str] = []
    known: set[str] = set()
    for id_, title, traces in requirements.tested():
        known.add(id_)
        backed = [case_id for case_id, (_, case) in cases.items() if id_ in case.requirements]
        if not backed and stages == STAGES:
            orphans.append(f"requirement {id_} ({title}) has no case")
        for case_id in backed:
            done = latest.get(case_id)
            rows.append({
                "user": list(traces), "requirement": id_, "title": title, "case": case_id,
                "result": done["verdict"] if done else NOT_RUN,
                "run": done["run"] if done else "", "deviation": done["deviation"] if done else "",
            })  # fmt: skip
    for case_id, (_, case) in cases.items():
        unknown = [name for name in case.requirements if name not in known]
        if not case.requirements:
            orphans.append(f"case {case_id} backs no requirement")
        orphans += [f"case {case_id} backs {name}, which nobody required" for name in unknown]
    used = {trace for _, _, traces in requirements.tested() for trace in traces}
    orphans += [f"user requirement {item.id} ({item.title}) is met by nothing"
                for item in requirements.user if item.id not in used]  # fmt: skip
    return rows, orphans


def matrix(out: Path, unit: str, given: Path | None = None) -> tuple[list[str], list[str]]:
    """The matrix as lines of text, orphans last; the record may not be there yet."""
    requirements = required(unit, given)
    history = record.read_history(out) if (out / "log").is_dir() else History()
    rows, orphans = traced(requirements, history)
    lines = [f"{','.join(row['user']):<18} {row['requirement']:<12} {row['case']:<24} "
             f"{row['result']:<8} {row['run']:<7} {row['deviation']}" for row in rows]  # fmt: skip
    lines += [f"ORPHAN: {words}" for words in orphans]
    found = [row["result"] for row in rows]
    words_ = [f"{word} {found.count(word)}" for word in ("pass", "fail", NOT_RUN)]
    lines.append(", ".join([*words_, f"orphans {len(orphans)}"]))
    return lines, orphans
