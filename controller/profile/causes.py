"""Cause-and-effect rows of a unit file become the kernel's cause, condition and effect tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from controller.core.errors import nearest
from controller.profile.conditions import Conditions, Defaults, Given
from controller.profile.plan import Action, BadRule, CauseKind, CompareOp, EffectOp
from controller.profile.scope import WINDOW_BUCKETS, Scope
from controller.profile.unit import Permit, Plausibility, Row, UnitModel

_WISH = re.compile(r"^([a-z][a-z0-9]*)\s*(=|<=|>=)\s*(\S+)$")
_OPS = {"=": EffectOp.FORCE, "<=": EffectOp.AT_MOST, ">=": EffectOp.AT_LEAST}
CONFIRM_NS = 2_000_000_000
GROUP_DEPTH_MAX = 3
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Info:
    """What people read about one compiled cause."""

    id: str
    title: str
    kind: str
    action: str
    signals: tuple[str, ...]
    safety_time_ns: int


class CauseTables:
    """Builds the three tables, plausibility first so that a stuck signal is bad in its scan."""

    def __init__(self, scope: Scope, model: UnitModel) -> None:
        self._scope, self._model = scope, model
        self.condition_rows: list[dict[str, Any]] = []
        self.cause_rows: list[dict[str, Any]] = []
        self.effect_rows: list[dict[str, Any]] = []
        self.effect_names: list[tuple[str, str]] = []
        self.infos: list[Info] = []
        self.protected: set[str] = set()
        self._ids: set[str] = set()
        self._groups: dict[str, int] = {}
        self._conditions = Conditions(scope)

    def build(self) -> None:
        """Compiles every section; raises BadInput at the first fault."""
        model = self._model
        for place, item in enumerate(model.plausibility):
            self._plausibility(item, ("plausibility", place))
        for place, permit in enumerate(model.permits):
            self._permit(permit, ("permits", place))
        for place, row in enumerate(model.rows):
            self._row(row, ("rows", place))
        for place, wish in enumerate(model.procedure):
            path: Path = ("procedure", place)
            self._cause(
                wish.id, wish.title, CauseKind.INTERLOCK, "procedure", path, wish.all,
                votes=len(wish.all), bad=BadRule.IGNORE, hysteresis=0.0, then=wish.then,
                on_delay_ns=self._scope.duration(wish.after, *path, "after"),
            )  # fmt: skip

    def _plausibility(self, item: Plausibility, path: Path) -> None:
        scope, model = self._scope, self._model
        conditions, votes = self._votes(item, path)
        if (item.signal is None) == (item.actuator is None):
            raise scope.error("give exactly one of signal, actuator", *path)
        if item.signal is not None and item.signal not in model.tags:
            hint = nearest(item.signal, list(model.tags))
            raise scope.error(f"{item.signal!r} is no measured tag. {hint}", *path, "signal")
        if item.actuator is not None:
            scope.actuator(item.actuator, *path, "actuator")
        takes = item.signal is not None and item.only is None
        if takes != (item.window is not None):
            raise scope.error(
                "`window` says since when a signal is not believed: it belongs to a cause that "
                "takes a signal's quality, and to no other", *path
            )  # fmt: skip
        valid_flag, valid_when = self._validity(item, path)
        # It is seen up to two buckets late: the mean must come from before it stuck.
        window_ns = scope.duration(item.window or "0 s", *path, "window")
        self._cause(
            item.id, item.title, CauseKind.PLAUSIBILITY if takes else CauseKind.INTERLOCK,
            "plausibility", path, conditions, votes=votes, bad=BadRule.IGNORE,
            hysteresis=item.hysteresis, then=[], action=Action[(item.only or "alarm").upper()],
            on_delay_ns=scope.delay(item.delay, *path, "delay"),
            valid_flag=valid_flag, valid_when=valid_when,
            bad_window_ns=window_ns + 2 * (window_ns // WINDOW_BUCKETS),
            bad_signal=scope.index[item.signal] if takes and item.signal else -1,
        )  # fmt: skip
        if takes and item.signal is not None:
            self.effect_rows.append(
                self._effect(EffectOp.SIGNAL_BAD, scope.index[item.signal], 0.0)
            )
            self.effect_names.append((item.id, item.signal))
            self.cause_rows[-1]["n_effects"] = 1

    def _validity(self, item: Row | Plausibility, path: Path) -> tuple[int, int]:
        """(the signal a cause is valid by or -1, the value it must have)."""
        if item.only_in and item.not_in:
            raise self._scope.error("a row is valid only in or not in a flag, not both", *path)
        key = "only_in" if item.only_in else "not_in"
        valid = item.only_in or item.not_in
        found = self._scope.validity(valid, *path, key) if valid else -1
        return found, int(item.only_in is not None)

    def _permit(self, item: Permit, path: Path) -> None:
        conditions, votes = self._votes(item, path)
        self._cause(
            item.id, item.title, CauseKind.PERMIT, "permit", path, conditions, votes=votes,
            bad=BadRule[item.bad.upper()], hysteresis=item.hysteresis, then=item.then,
        )  # fmt: skip

    def _row(self, row: Row, path: Path) -> None:
        scope = self._scope
        conditions, votes = self._votes(row, path)
        valid_flag, valid_when = self._validity(row, path)
        if valid_flag >= 0 and row.never_bypass:
            raise scope.error(
                f"row {row.id} may never be bypassed, so it is valid in every phase",
                *path, "only_in" if row.only_in else "not_in",
            )  # fmt: skip
        flags = [scope.flag(name, *path, "unless") for name in row.unless] + [-1, -1]
        safety_time_ns = scope.duration(row.safety_time, *path, "safety_time")
        if safety_time_ns == 0:
            raise scope.error("no row acts in no time: how long may the hazard develop?",
                              *path, "safety_time")  # fmt: skip
        self._cause(
            row.id, row.title, CauseKind[row.kind.upper()], row.kind, path, conditions,
            votes=votes, bad=BadRule[row.bad.upper()], hysteresis=row.hysteresis, then=row.then,
            on_delay_ns=scope.delay(row.delay, *path, "delay"),
            bad_delay_ns=scope.delay(row.bad_after, *path, "bad_after"),
            off_delay_ns=scope.delay(row.off_delay, *path, "off_delay"),
            valid_flag=valid_flag, valid_when=valid_when, action=Action[row.action.upper()],
            action_delay_ns=scope.delay(row.action_delay, *path, "action_delay"),
            unless_a=flags[0], unless_b=flags[1], bypassable=int(not row.never_bypass),
            safety_time_ns=safety_time_ns,
            group=self._groups.setdefault(row.first_out, len(self._groups)),
        )  # fmt: skip

    def _votes(self, item: Any, path: Path) -> tuple[Sequence[Given], int]:
        given = [key for key in ("any", "all", "of") if getattr(item, key)]
        if len(given) != 1:
            raise self._scope.error("give exactly one of any, all, of", *path)
        if item.vote and given[0] != "of":
            raise self._scope.error("`vote` belongs to `of`", *path, "vote")
        conditions: Sequence[Given] = getattr(item, given[0])
        votes = {"any": 1, "all": len(conditions), "of": item.vote}[given[0]]
        if not 1 <= votes <= len(conditions):
            raise self._scope.error(
                f"a vote of {votes} out of {len(conditions)} cannot be reached", *path
            )
        return conditions, votes

    def _cause(
        self, id_: str, title: str, kind: CauseKind, kind_words: str, path: Path,
        conditions: Sequence[Given], *, votes: int, bad: BadRule, hysteresis: float,
        then: list[str],
        on_delay_ns: int = 0, bad_delay_ns: int = 0, off_delay_ns: int = 0,
        valid_flag: int = -1, valid_when: int = 1, action: Action = Action.NONE,
        action_delay_ns: int = 0, unless_a: int = -1, unless_b: int = -1, bypassable: int = 0,
        bad_signal: int = -1, bad_window_ns: int = 0, safety_time_ns: int = 0, group: int = -1,
    ) -> None:  # fmt: skip
        if id_ in self._ids:
            raise self._scope.error(f"duplicate id {id_!r}", *path, "id")
        self._ids.add(id_)
        first = len(self.condition_rows)
        names = []
        places = self._scope.document.places
        key = next((k for k in ("any", "all", "of") if (*path, k) in places), "all")
        defaults = Defaults(bad, hysteresis)
        for place, given in enumerate(conditions):
            names.append(self._condition(given, defaults, (*path, key, place)))
        first_effect = len(self.effect_rows)
        if bad_signal < 0 and self.condition_rows[first]["op"] == CompareOp.IS_BAD:
            bad_signal = self.condition_rows[first]["signal"]
        self.cause_rows.append(
            {"kind": int(kind), "first_condition": first, "n_conditions": len(conditions),
             "votes": votes, "on_delay_ns": on_delay_ns, "bad_delay_ns": bad_delay_ns,
             "off_delay_ns": off_delay_ns, "valid_flag": valid_flag, "valid_when": valid_when,
             "first_effect": first_effect, "n_effects": 0, "action": int(action),
             "action_delay_ns": action_delay_ns, "unless_a": unless_a, "unless_b": unless_b,
             "bypassable": bypassable, "bad_signal": bad_signal, "bad_window_ns": bad_window_ns,
             "group": group, "told": self._scope.told.get(id_, -1)}
        )  # fmt: skip
        self.infos.append(
            Info(id_, title, kind_words, action.name.lower(), tuple(names), safety_time_ns)
        )
        for place, wish in enumerate(then):
            self._wish(wish, kind, (*path, "then", place))
        self.cause_rows[-1]["n_effects"] = len(self.effect_rows) - first_effect

    def _condition(self, given: Given, defaults: Defaults, path: Path) -> str:
        found = self._conditions.compiled(given, defaults, path)
        self.condition_rows.append(
            {"signal": found.signal, "op": int(found.op), "bad": int(found.bad),
             "limit": found.limit, "hysteresis": found.hysteresis,
             "on_delay_ns": found.on_delay_ns, "off_delay_ns": found.off_delay_ns}
        )  # fmt: skip
        return self._scope.names[found.signal]

    def _wish(self, text: str, kind: CauseKind, path: Path, depth: int = 0) -> None:
        groups = self._model.groups
        if text in groups:
            if depth >= GROUP_DEPTH_MAX:
                raise self._scope.error(f"group {text!r} holds itself or is too deep", *path)
            for part in groups[text]:
                self._wish(part, kind, path, depth + 1)
            return
        match = _WISH.match(text.strip())
        if match is None:
            known = [*groups, *self._model.actuators]
            raise self._scope.error(f"unknown effect {text!r}. {nearest(text, known)}", *path)
        output, op, value = self._value(match, path)
        actuator = self._model.actuators[match[1]]
        row = self._effect(op, output, value)
        forced_safe = op == EffectOp.FORCE and value == actuator.safe
        if kind == CauseKind.PERMIT and not forced_safe:
            safe = f"{match[1]} = {actuator.safe:g}"
            raise self._scope.error(f"a permit only keeps an actuator safe: {safe}", *path)
        if forced_safe and kind != CauseKind.PERMIT and self.infos[-1].kind != "procedure":
            self.protected.add(match[1])
            self._confirmation(row, match[1], kind)
        self.effect_rows.append(row)
        self.effect_names.append((self.infos[-1].id, match[1]))

    def _value(self, match: re.Match[str], path: Path) -> tuple[int, EffectOp, float]:
        output = self._scope.actuator(match[1], *path)
        if match[3] == "mean" and match[2] == "=":
            return output, EffectOp.MEAN, 0.0
        low, high = self._model.actuators[match[1]].range
        try:
            value = float(match[3])
        except ValueError:
            raise self._scope.error(f"{match[3]!r} is not a number", *path) from None
        if not low <= value <= high:
            raise self._scope.error(
                f"{value:g} is outside the range {low:g} to {high:g} of {match[1]}", *path
            )
        return output, _OPS[match[2]], value

    def _effect(self, op: EffectOp, output: int, value: float) -> dict[str, Any]:
        return {
            "cause": len(self.cause_rows) - 1, "op": int(op), "output": output,
            "confirm_signal": -1, "confirm_op": 0, "confirm_ns": CONFIRM_NS,
            "second_output": -1, "value": value, "confirm_limit": 0.0, "second_value": 0.0,
        }  # fmt: skip

    def _confirmation(self, row: dict[str, Any], name: str, kind: CauseKind) -> None:
        """Feedback that proves a safe value; only a protect escalates to the second element."""
        actuator = self._model.actuators[name]
        if actuator.proof is None:
            return
        where: Path = ("actuators", name, "proof")
        proof = self._conditions.compiled(actuator.proof, Defaults(BadRule.IGNORE, 0.0), where)
        if proof.op == CompareOp.IS_BAD:
            raise self._scope.error(f"{actuator.proof!r} is not `TAG < VALUE UNIT`", *where)
        row["confirm_signal"], row["confirm_op"] = proof.signal, int(proof.op)
        row["confirm_limit"] = proof.limit
        if actuator.second is None or kind != CauseKind.PROTECT:
            return
        where = ("actuators", name, "second")
        second = _WISH.match(actuator.second)
        if second is None or second[2] != "=":
            raise self._scope.error(f"{actuator.second!r} is not `actuator = value`", *where)
        row["second_output"], _, row["second_value"] = self._value(second, where)
