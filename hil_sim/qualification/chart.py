"""The chart of the profile under test beside the one required: where they differ, file and line.

A module because a case that fails must say where an engineer has to look; what it expects comes
from the requirements alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controller.core.quantity import canonical, parse
from controller.profile.compile import Profile
from hil_sim.qualification.requirements import (
    Condition,
    Effect,
    Requirements,
    Rule,
    condition_of,
    effect_of,
)

SECTIONS = ("plausibility", "permits", "rows", "procedure")
GROUP_DEPTH_MAX = 3


def place_of(profile: Profile, row: str) -> tuple[str, int] | None:
    """Section and position of a row in the unit file."""
    for section in SECTIONS:
        for index, item in enumerate(profile.document.data.get(section, [])):
            if item.get("id") == row:
                return section, index
    return None


def said(profile: Profile, row: str, key: str) -> str:
    """What the profile says in one field of a row, and where; for people."""
    place = place_of(profile, row)
    if place is None:
        return f"The profile {profile.file} has no row {row}"
    section, index = place
    item: dict[str, Any] = profile.document.data[section][index]
    votes = [name for name in ("any", "all") if key == "conditions" and name in item]
    keys = [key] if key in item else votes
    name = keys[0] if keys else key
    where = profile.document.place(section, index, *keys[:1])
    value = item.get(name, "nothing")
    shown = "; ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"The profile says `{name}: {shown}` at {where}"


def differences(profile: Profile, required: Requirements) -> list[str]:
    """Every place where the profile's chart is not the required one; empty when they agree."""
    found: list[str] = []
    known = {rule.row for rule in required.rules}
    there = [str(item["id"]) for section in SECTIONS
             for item in profile.document.data.get(section, [])]  # fmt: skip
    found += [
        f"row {row} is required by nobody. {said(profile, row, 'title')}"
        for row in there if row not in known
    ]  # fmt: skip
    for rule in required.rules:
        if rule.row not in there:
            found.append(f"row {rule.row} ({rule.id}) is missing in {profile.file}")
            continue
        found += [f"row {rule.row} ({rule.id} v{required.version}): {words}"
                  for words in _differs(profile, rule)]  # fmt: skip
    names = {item.actuator for item in required.actuators}
    found += [f"output {name} is required by nobody" for name in profile.outputs
              if name not in names]  # fmt: skip
    for item in required.actuators:
        model = profile.model.actuators.get(item.actuator)
        if model is None:
            found.append(f"output {item.actuator} ({item.id}) is missing in {profile.file}")
            continue
        where = profile.document.place("actuators", item.actuator)
        for name, wanted, has in (
            ("start", item.start, model.start), ("safe", item.safe, model.safe),
            ("second", item.second.replace(" ", ""), (model.second or "").replace(" ", "")),
        ):  # fmt: skip
            if wanted != has:
                found.append(f"output {item.actuator} ({item.id}): {name} {wanted} is required, "
                             f"the profile says {has} at {where}")  # fmt: skip
    return found


def _differs(profile: Profile, rule: Rule) -> Iterator[str]:
    place = place_of(profile, rule.row)
    if place is None:
        return
    section, index = place
    item: dict[str, Any] = profile.document.data[section][index]
    vote = "any" if item.get("any") else "all"
    has = [condition_of(c if isinstance(c, str) else c["is"]) for c in item.get(vote, [])]
    if vote != rule.vote or [_key(c) for c in has] != [_key(c) for c in rule.conditions]:
        wanted = "; ".join(c.text for c in rule.conditions)
        yield f"{rule.vote} of {wanted} is required. {said(profile, rule.row, 'conditions')}"
    delay = canonical(item.get("delay", item.get("after", "0 s")), "time")
    if delay != rule.delay_s:
        key = "delay" if "delay" in item else "after"
        yield f"a delay of {rule.delay_s:g} s is required. {said(profile, rule.row, key)}"
    effects = _expanded(profile, item.get("then", []))
    wanted_effects = {(e.output, e.op, round(e.value, 3))
                      for e in (*rule.effects, *rule.requested)}  # fmt: skip
    if effects != wanted_effects:
        texts = ", ".join(e.text for e in (*rule.effects, *rule.requested)) or "none"
        yield f"the effects {texts} are required. {said(profile, rule.row, 'then')}"
    if section == "plausibility":
        only = item.get("only")
        for name, wanted_word, has_word in (
            ("signal", rule.spoils, "" if only else item.get("signal", "")),
            ("only", rule.action, only or "alarm"),
            ("only_in", rule.only_in, item.get("only_in", "")),
        ):  # fmt: skip
            if wanted_word != has_word:
                yield f"{name}: {wanted_word} is required. {said(profile, rule.row, name)}"
    if section != "rows":
        if section == "permits" and item.get("bad", "ignore") != rule.bad:
            yield f"bad: {rule.bad} is required. {said(profile, rule.row, 'bad')}"
        return
    for name, wanted_text, default in (
        ("kind", rule.kind, ""), ("bad", rule.bad, "ignore"), ("action", rule.action, "none"),
        ("never_bypass", rule.never_bypass, False), ("unless", list(rule.unless), []),
        ("only_in", rule.only_in, ""), ("not_in", rule.not_in, ""),
    ):  # fmt: skip
        if (item.get(name) or default) != wanted_text:
            yield f"{name}: {wanted_text} is required. {said(profile, rule.row, name)}"
    for name, seconds, default_text in (
        ("off_delay", rule.off_delay_s, "0 s"), ("action_delay", rule.hold_after_s, "0 s"),
    ):  # fmt: skip
        if canonical(item.get(name, default_text), "time") != seconds:
            yield f"{name} of {seconds:g} s is required. {said(profile, rule.row, name)}"


def _key(condition: Condition) -> tuple[str, str, float]:
    return condition.signal, condition.op, round(condition.limit, 9)


def _expanded(profile: Profile, wishes: list[str], depth: int = 0) -> set[tuple[str, str, float]]:
    """The effects of a row with its groups spelt out."""
    found: set[tuple[str, str, float]] = set()
    groups = profile.document.data.get("groups", {})
    for wish in wishes:
        if wish in groups and depth < GROUP_DEPTH_MAX:
            found |= _expanded(profile, groups[wish], depth + 1)
        else:
            effect: Effect = effect_of(wish)
            found.add((effect.output, effect.op, round(effect.value, 3)))
    return found


def quantity(text: str) -> float:
    """A quantity of a unit file, canonical."""
    return parse(text)[0]
