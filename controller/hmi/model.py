"""What does not change while a station runs: tags, loops, outputs, rows, rights and the picture.

Sent once to every page, which draws from it. Ranges and limits are in the unit the tag is shown in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from controller.hmi.consequence import ELEMENTS
from controller.hmi.reading import SHOWN, decimals, held_outputs, shown_unit
from controller.people.roles import Rights
from controller.profile.compile import Profile
from controller.profile.plan import CauseKind, CompareOp, Mode

Data = dict[str, Any]


def describe(
    profile: Profile, rights: Rights, station: str, demo: bool, recipes: Sequence[Data] = ()
) -> Data:
    """The description of one unit at one station. `recipes`: what can be opened there."""
    return {
        "unit": {
            "id": profile.id, "version": profile.version, "title": profile.title,
            "profile": profile.sha256, "period_ms": int(profile.plan.unit[0]["period_ns"]) // 10**6,
        },
        "station": station, "demo": demo,
        "tags": _tags(profile), "loops": _loops(profile), "outputs": _outputs(profile),
        "links": [link.name for link in profile.links],
        "rows": _rows(profile), "synoptic": _synoptic(profile),
        "recipes": list(recipes),
        "rules": _rules(rights), "rights": rights.digest, "element_orders": ELEMENTS,
    }  # fmt: skip


def _tags(profile: Profile) -> dict[str, Data]:
    limits = _limits(profile)
    found = {}
    for index, tag in enumerate(profile.tags):
        row = profile.plan.signals[index]
        if int(row["kind"]) not in SHOWN:
            continue
        unit, factor = shown_unit(profile, tag.name)
        known = tag.name in profile.model.tags
        found[tag.name] = {
            "title": tag.title or tag.name, "unit": unit,
            "kind": ("measured" if known else "flag" if tag.name in profile.model.flags
                     else "computed"),
            "range": [_short(tag.low / factor), _short(tag.high / factor)] if known else None,
            "decimals": decimals(profile, tag.name),
            "max_age_ms": int(row["max_age_ns"]) // 10**6,
            "limits": [{**limit, "at": _short(limit["at"] / factor)}
                       for limit in limits.get(index, [])],
        }  # fmt: skip
    return found


def _limits(profile: Profile) -> dict[int, list[Data]]:
    """Where rows act on a signal: signal -> [{at, side, row, kind}], in canonical units."""
    plan, found = profile.plan, dict[int, list[Data]]()
    for cause, info in zip(plan.causes, profile.causes, strict=True):
        if int(cause["kind"]) < CauseKind.INTERLOCK or info.kind == "procedure":
            continue
        first = int(cause["first_condition"])
        for condition in plan.conditions[first : first + int(cause["n_conditions"])]:
            if int(condition["op"]) == CompareOp.IS_BAD:
                continue
            side = "high" if int(condition["op"]) == CompareOp.ABOVE else "low"
            limit = {"at": float(condition["limit"]), "side": side, "row": info.row,
                     "kind": info.kind}  # fmt: skip
            found.setdefault(int(condition["signal"]), []).append(limit)
    return found


def _loops(profile: Profile) -> dict[str, Data]:
    found = {}
    for index, (name, model) in enumerate(profile.model.loops.items()):
        row = profile.plan.loops[index]
        modes = [Mode.OFF, Mode.MANUAL, Mode.AUTO] + [Mode.CASCADE] * (model.master is not None)
        cascaded = any(other.master == name for other in profile.model.loops.values())
        slave = next((o for o in profile.model.loops.values() if o.master == name), None)
        pv = slave.pv if slave is not None else ""
        found[name] = {
            "title": model.title, "pv": model.pv, "unit": shown_unit(profile, model.pv)[0],
            "setpoint": [float(row["sp_low"]), float(row["sp_high"])],
            "output": [float(row["low"]), float(row["high"])],
            "op_unit": shown_unit(profile, pv)[0] if cascaded else "%",
            "master": model.master or "", "modes": [mode.name.lower() for mode in modes],
            "outputs": [segment.actuator for segment in model.segments],
        }  # fmt: skip
    return found


def _outputs(profile: Profile) -> dict[str, Data]:
    found = {}
    for index, (name, model) in enumerate(profile.model.actuators.items()):
        row = profile.plan.outputs[index]
        loop, readback = int(row["loop"]), int(row["readback"])
        found[name] = {
            "title": name, "unit": model.unit, "range": list(model.range),
            "resolution": model.resolution, "start": model.start, "safe": model.safe,
            "environment": model.environment, "keep": model.keep,
            "loop": profile.loops[loop] if loop >= 0 else "",
            "proof": model.proof or "", "second": model.second or "",
            "readback": profile.signals[readback] if readback >= 0 else "",
        }  # fmt: skip
    return found


def _rows(profile: Profile) -> dict[str, Data]:
    holds, plan = held_outputs(profile), profile.plan
    return {
        info.row: {
            "title": info.title, "kind": info.kind, "action": info.action,
            "signals": list(info.signals), "holds": holds[info.row],
            "bypassable": bool(plan.causes[index]["bypassable"]),
        }
        for index, info in enumerate(profile.causes)
    }  # fmt: skip


def _synoptic(profile: Profile) -> Data:
    model = profile.model.synoptic
    if model is None:
        return {"nodes": [], "connections": []}
    return {
        "nodes": [node.model_dump() for node in model.nodes],
        "connections": [line.model_dump(by_alias=True) for line in model.connections],
    }


def _rules(rights: Rights) -> dict[str, Data]:
    found = {}
    for verb in rights.verbs:
        rule = rights.rule(verb)
        if rule is not None:
            found[verb] = {
                "roles": list(rule.roles), "signatures": rule.signatures, "reason": rule.reason,
                "meaning": rule.meaning, "second_meaning": rule.second_meaning,
                "signers": list(rule.signers), "second_roles": list(rule.second_roles),
            }  # fmt: skip
    return found


def _short(value: float) -> float:
    return float(f"{value:.6g}")
