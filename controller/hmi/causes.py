"""The rows of the chart as the screen shows them: which are in force, what each needs, which sleep.

Runs in the supervisor's thread many times a second: what does not change is worked out once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.core.clock import NS_PER_S
from controller.core.signal import Quality, Reason
from controller.field.image import Image
from controller.hmi.reading import held_outputs
from controller.profile.compile import Profile
from controller.profile.plan import CauseKind, CompareOp

STANDS = "its cause stands"
COMES_BACK = "its cause is there again, its delay runs"
Data = dict[str, Any]


class Causes:
    """Reads the causes of images of one profile."""

    def __init__(self, profile: Profile) -> None:
        plan = profile.plan
        self._profile = profile
        self._holds = held_outputs(profile)
        self._groups = {row.id: row.first_out for row in profile.model.rows}
        self._compared: list[list[int]] = []  # the signals of a cause, but those it wants bad
        self._guarded: list[list[int]] = []
        for row in plan.causes:
            first = int(row["first_condition"])
            rows = plan.conditions[first : first + int(row["n_conditions"])]
            self._guarded.append([int(each["signal"]) for each in rows])
            self._compared.append(
                [int(each["signal"]) for each in rows if int(each["op"]) != CompareOp.IS_BAD]
            )

    def in_force(self, image: Image, now_ns: int, measures: Mapping[str, str]) -> list[Data]:
        """What stands, is latched or bypassed, in the order it came.

        `place` is its place in its first-out group, 0 first, -1 without one; `bypass_s` what is
        left of a bypass, -1 without one; `missing` what keeps a latched row from being reset.
        """
        table = image.causes
        bypassed = table["bypass_until_ns"] > now_ns
        places = ((table["active"] != 0) | (table["latched"] != 0) | bypassed).nonzero()[0]
        places = sorted(places.tolist(), key=lambda i: (int(table["order"][i]), i))
        qualities = image.signals["quality"]
        found = []
        for i in places:
            info, state = self._profile.causes[i], table[i]
            group = int(self._profile.plan.causes[i]["group"])
            on = bool(state["active"] or state["latched"])
            place = int(state["place"]) if on and group >= 0 else -1
            left_ns = int(state["bypass_until_ns"]) - now_ns if bypassed[i] else -1
            found.append({
                "row": info.row, "title": info.title, "kind": info.kind, "action": info.action,
                "active": bool(state["active"]), "latched": bool(state["latched"]),
                "bypassed": bool(bypassed[i]), "first_out": place == 0, "place": place,
                "group": self._groups.get(info.row, ""), "order": int(state["order"]),
                "bad": any(int(qualities[s]) == Quality.BAD for s in self._guarded[i]),
                "holds": self._holds[info.row], "valid": not state["invalid"],
                "bypass_s": -1 if left_ns < 0 else -(-left_ns // NS_PER_S),
                "measure": measures.get(info.row, "") if bypassed[i] else "",
                "missing": self._missing(image, i) if state["latched"] else [],
            })  # fmt: skip
        return found

    def not_valid(self, image: Image) -> list[dict[str, str]]:
        """Rows that do not apply in this phase or mode, each with why."""
        plan, found = self._profile.plan, []
        for i in image.causes["invalid"].nonzero()[0].tolist():
            info, row = self._profile.causes[i], plan.causes[i]
            flag = self._profile.signals[int(row["valid_flag"])]
            why = f"applies only in {flag}" if row["valid_when"] else f"does not apply in {flag}"
            found.append({"row": info.row, "title": info.title, "why": why})
        return found

    def _missing(self, image: Image, cause: int) -> list[str]:
        """Why field would refuse a reset now; see `field.matrix.reset`."""
        state, found = image.causes[cause], []
        if state["active"]:
            found.append(STANDS)
        elif state["raw"]:
            found.append(COMES_BACK)
        if int(self._profile.plan.causes[cause]["kind"]) == CauseKind.PLAUSIBILITY:
            return found  # a reset finds out whether its signal lives again
        for signal in dict.fromkeys(self._compared[cause]):
            read = image.signals[signal]
            if int(read["quality"]) == Quality.BAD:
                why = Reason(int(read["reason"])).words
                found.append(f"{self._profile.signals[signal]} is bad: {why}")
        return found
