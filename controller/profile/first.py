"""Renders, when a unit is compiled, what each serial line is sent before field has started.

No batch open: every output's start value. A batch open: what the rows on the `restarted` flag shut,
at its safe value, and nothing else, because heat, stirring and gas go on as their devices stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controller.core.clock import NS_PER_S
from controller.core.yamltext import Document
from controller.profile.frames import FirstFrame, FirstFrames, FirstLine, frames, raw_value
from controller.profile.link_plan import DevicePlan, LinkPlan, WritePlan
from controller.profile.plan import CauseKind, CompareOp, EffectOp, Plan

GRID_SLACK = 1e-6  # of a resolution
_BITS = {"N": 2, "E": 3, "O": 3}  # start, parity and the first stop bit


def first_frames(
    plan: Plan, links: Sequence[LinkPlan], outputs: Sequence[str], document: Document
) -> dict[str, FirstFrames]:
    """The first frames of every serial link that writes; `outputs` are the actuators' names.

    Raises BadInput at the actuator whose value is beyond its device or between two of its steps.
    """
    shut = shut_at_restart(plan)
    found = {}
    for link in links:
        writes = [(d, w) for d in link.devices for w in d.writes if link.kind == "serial"]
        if not writes:
            continue
        cold: list[FirstFrame] = []
        opened: list[FirstFrame] = []
        for device, write in writes:
            name = outputs[write.output]
            for key, part in (("start", cold), ("safe", opened)):
                if key == "safe" and write.output not in shut:
                    continue
                value = _on_grid(plan, write.output, name, key, document)
                raw = raw_value(write, value)
                if raw is None:
                    raise document.error(
                        f"{key} {value:g} is outside the range of {device.name}",
                        "actuators", name, key,
                    )  # fmt: skip
                part += _spoken(link, device, write, value, frames(write, raw))
        found[link.name] = FirstFrames(
            FirstLine(link.baud, link.format, tuple(cold)),
            FirstLine(link.baud, link.format, tuple(opened)),
        )
    return found


def shut_at_restart(plan: Plan) -> frozenset[int]:
    """Outputs that a set `restarted` flag alone forces to their safe value."""
    flag = int(plan.unit[0]["restarted_flag"])
    found = set()
    for cause in plan.causes:
        first, count = int(cause["first_condition"]), int(cause["n_conditions"])
        conditions = plan.conditions[first : first + count]
        raised = any(c["signal"] == flag and c["op"] == CompareOp.ABOVE for c in conditions)
        acts = int(cause["kind"]) in (CauseKind.INTERLOCK, CauseKind.PROTECT)
        if flag < 0 or not raised or not acts or int(cause["votes"]) != 1:
            continue
        first, count = int(cause["first_effect"]), int(cause["n_effects"])
        for effect in plan.effects[first : first + count]:
            output = int(effect["output"])
            safe = plan.outputs[output]["safe"]
            if int(effect["op"]) == EffectOp.FORCE and effect["value"] == safe:
                found.add(output)
    return frozenset(found)


def _on_grid(plan: Plan, output: int, name: str, key: str, document: Document) -> float:
    """The value as the gate would release it: a whole number of resolutions."""
    value, step = float(plan.outputs[output][key]), float(plan.outputs[output]["resolution"])
    if abs(round(value / step) * step - value) > GRID_SLACK * step:
        raise document.error(
            f"{key} {value:g} of {name} lies between two steps of its resolution {step:g}",
            "actuators", name, key,
            do=f"Give it as a multiple of the resolution, e.g. {round(value / step) * step:g}.",
        )  # fmt: skip
    return value


def _spoken(
    link: LinkPlan, device: DevicePlan, write: WritePlan, value: float, parts: Iterable[bytes]
) -> list[FirstFrame]:
    bits = int(link.format[0]) + int(link.format[2]) + _BITS[link.format[1]] - 1
    found = []
    for part in parts:
        line_ns = len(part) * bits * NS_PER_S // link.baud
        until = {"none": b"", "echo": part}.get(write.reply, device.eol_rx)
        skip = len(part) if device.echo and write.reply not in ("none", "echo") else 0
        wait_ns = line_ns + (device.timeout_ns if until else 0)
        found.append(FirstFrame(device.name, write.output, value, part, until, skip, wait_ns,
                                device.gap_ns))  # fmt: skip
    return found
