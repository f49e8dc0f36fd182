"""A counter-example as people read it: tags with value, unit and quality, rows, outputs, timers."""

from __future__ import annotations

from typing import Any

from controller.profile.compile import Profile
from controller.profile.plan import SignalKind
from controller.profile.prove.case import Case, Values
from controller.profile.prove.prover import Result

Line = dict[str, Any]
NS = 1e9


def counterexample(profile: Profile, result: Result, confirmed: bool | None) -> Line | None:
    """The object of the JSON form; None for what holds. `confirmed` by the kernel, or no case."""
    if result.holds:
        return None
    found: Line = {"claim": result.words, "why": result.why, "confirmed": confirmed}
    if result.case is not None:
        case = result.case
        found |= {
            "stood_s": case.stood_ns / NS, "tags": tags(profile, case), "rows": rows(profile, case),
            "actuators": actuators(profile, result),
        }  # fmt: skip
    return found


def tags(profile: Profile, case: Case) -> list[Line]:
    """Every signal of the case, in their order; an actuator that rows read is one as it was."""
    return [
        {"tag": tag.name, "value": _shown(values["value"]), "unit": tag.unit,
         "quality": _quality(values), "age_s": _shown(values["age"] / NS)}
        for index, values in sorted(case.signals.items())
        for tag in [profile.tags[index]]
        if not _is_asked(profile, case, index)
    ]  # fmt: skip


def _is_asked(profile: Profile, case: Case, signal: int) -> bool:
    """Whether it is an actuator of the question itself, which has a table of its own."""
    if profile.plan.signals[signal]["kind"] != SignalKind.OUTPUT:
        return False
    return profile.outputs.index(profile.signals[signal]) in case.released


def read_tags(profile: Profile, result: Result) -> set[str]:
    """The tags a person looks at first: of the premise, and of the rows whose vote runs or acts."""
    found = {asked.signal for asked in result.claim.premise} if result.claim else set()
    case, plan = result.case, profile.plan
    shown = {line["row"] for line in rows(profile, case)} if case is not None else set()
    for index, info in enumerate(profile.causes):
        if info.row in shown:
            first = int(plan.causes[index]["first_condition"])
            count = int(plan.causes[index]["n_conditions"])
            found |= {int(s) for s in plan.conditions[first : first + count]["signal"]}
    if case is not None:
        found |= {i for i in case.signals if plan.signals[i]["kind"] == SignalKind.OUTPUT}
    return {profile.signals[index] for index in found}


def rows(profile: Profile, case: Case) -> list[Line]:
    """Every row whose vote runs or that acts: for how long before, and whether it acts after."""
    found = []
    for index, values in sorted(case.causes.items()):
        after = case.acting.get(index, {"active": values["active"], "latched": values["latched"]})
        runs = values["raw_on"] or values["bad_on"]
        if not (runs or any(after.values()) or values["active"] or values["bypassed"]):
            continue
        info = profile.causes[index]
        found.append({
            "row": info.row, "title": info.title, "acts": bool(after["active"] or after["latched"]),
            "stands": bool(after["active"]), "latched": bool(after["latched"]),
            "bypassed": bool(values["bypassed"]),
            "true_for_s": _shown(values["raw_age"] / NS) if values["raw_on"] else None,
            "bad_for_s": _shown(values["bad_age"] / NS) if values["bad_on"] else None,
        })  # fmt: skip
    return found


def actuators(profile: Profile, result: Result) -> list[Line]:
    """What each actuator was at, what was asked of it, what leaves, and what was demanded."""
    case = result.case
    if case is None:
        return []
    demands = result.claim.demands if result.claim is not None else ()
    found = []
    for index, released in sorted(case.released.items()):
        values = case.outputs[index]
        said = ", ".join(asked.text for asked in demands if asked.output == index)
        if result.claim is not None and result.claim.never and said:
            said = f"never {said}"
        found.append({
            "actuator": profile.outputs[index], "unit": profile.model.actuators[
                profile.outputs[index]].unit,
            "before": None if values["adopting"] else _shown(values["released"]),
            "wanted": None if values["lost"] else _shown(values["wanted"]),
            "locked": bool(values["locked"]),
            "released": None if case.waiting[index] else _shown(released), "demanded": said,
        })  # fmt: skip
    return found


def _quality(values: Values) -> str:
    if values["stuck"]:
        return "bad (stuck)"
    if values["bad"]:
        return "bad"
    return "good" if values["fair"] else "uncertain"


def _shown(value: float) -> float:
    """A number without what only the solver needs of it."""
    return float(f"{value:.9g}")
