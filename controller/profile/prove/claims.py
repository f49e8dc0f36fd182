"""A property's text becomes comparisons of signals and demands on actuators, by the unit's names.

In `whenever` an actuator is what the scan before released, as rows see it; in `then` and `never` it
is what this scan releases. A comparison holds only of a tag whose quality is not bad.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import z3

from controller.core.errors import nearest
from controller.core.quantity import parse, unit_factor
from controller.profile.compile import Profile
from controller.profile.plan import CompareOp
from controller.profile.prove.model import PropertyModel
from controller.profile.prove.scan import Scan
from controller.profile.prove.terms import Term, all_of, distance, real

_TEXT = re.compile(r"^(.+?)\s*(?:(>=|<=|=|>|<)\s*(\S.*)|(?<![\w.])(is bad))$")
_OPS = {">": CompareOp.ABOVE, "<": CompareOp.BELOW}
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """One comparison. `output` of what this scan releases, else -1; `op` as it is written."""

    text: str
    signal: int
    output: int
    op: str
    limit: float

    def holds(self, scan: Scan) -> Term:
        """Of a signal, as the causes see it; of an output, as it is released."""
        if self.output >= 0:
            return self._released(scan)
        # Its quality as rows see it: after the plausibility rows had their say.
        bad = scan.causes.bad(self.signal, len(scan.profile.plan.causes))
        if self.op == "is bad":
            return bad
        compared = scan.signals.compared(self.signal, _OPS[self.op], real(self.limit))
        return z3.And(z3.Not(bad), compared)

    def _released(self, scan: Scan) -> Term:
        found, limit = scan.gate[self.output], real(self.limit)
        half = real(scan.profile.plan.outputs[self.output]["resolution"]) / 2
        there = {
            "=": distance(found.value, limit) <= half,
            "<=": found.value <= limit + half,
            ">=": found.value >= limit - half,
            "<": found.value < limit,
            ">": found.value > limit,
        }[self.op]
        # What still waits to be read back releases nothing: no value can be claimed of it.
        return z3.And(there, z3.Not(found.adopting))

    def met(self, value: float, resolution: float) -> bool:
        """Whether a value that the kernel released meets it; NaN meets nothing."""
        return {
            "=": abs(value - self.limit) <= resolution / 2,
            "<=": value <= self.limit + resolution / 2,
            ">=": value >= self.limit - resolution / 2,
            "<": value < self.limit,
            ">": value > self.limit,
        }[self.op]


@dataclass(frozen=True, slots=True)
class Claim:
    """One property of one unit. `never` claims that not all of its comparisons hold at once."""

    id: str
    title: str
    premise: tuple[Asked, ...]
    demands: tuple[Asked, ...]
    never: bool
    within_ns: int
    bypassed: frozenset[int]
    read_back: frozenset[int]

    def given(self, scan: Scan) -> Term:
        """The premise, and what the property says of outputs over a restart."""
        taken = [z3.Not(scan.state.output(output).adopting) for output in sorted(self.read_back)]
        return all_of([asked.holds(scan) for asked in self.premise] + taken)

    def wanted(self, scan: Scan) -> Term:
        """What must be so."""
        found = [asked.holds(scan) for asked in self.demands]
        return z3.Not(all_of(found)) if self.never else all_of(found)

    @property
    def outputs(self) -> list[int]:
        """The outputs it speaks of."""
        return sorted({asked.output for asked in self.demands})

    def words(self) -> str:
        """The property as one line."""
        if self.never:
            return "never " + " and ".join(a.text for a in (*self.premise, *self.demands))
        start = " and ".join(asked.text for asked in self.premise)
        end = ", ".join(asked.text for asked in self.demands)
        return f"whenever {start}: {end} within {self.within_ns / 1e9:g} s"


def claims(profile: Profile) -> list[Claim]:
    """Every property of the unit file; raises BadInput at the first wrong one."""
    found: list[Claim] = []
    for place, model in enumerate(profile.model.properties):
        if model.id in {claim.id for claim in found}:
            raise profile.document.error(f"duplicate id {model.id!r}", "properties", place, "id")
        found.append(_claim(profile, model, ("properties", place)))
    return found


def _claim(profile: Profile, model: PropertyModel, path: Path) -> Claim:
    premise: list[Asked] = []
    demands: list[Asked] = []
    if model.never:
        for place, text in enumerate(model.never):
            asked = _asked(profile, text, (*path, "never", place), released=True)
            (demands if asked.output >= 0 else premise).append(asked)
    else:
        for place, text in enumerate(model.whenever):
            premise.append(_asked(profile, text, (*path, "whenever", place), released=False))
        for place, text in enumerate(model.then):
            where = (*path, "then", place)
            asked = _asked(profile, text, where, released=True)
            if asked.output < 0:
                raise profile.document.error(f"{text!r} names no actuator", *where)
            demands.append(asked)
    if not demands:
        raise profile.document.error("no actuator is named: nothing is claimed", *path)
    rows = [cause.row for cause in profile.causes]
    return Claim(
        model.id, model.title, tuple(premise), tuple(demands), bool(model.never),
        _duration(profile, model.within, (*path, "within")),
        frozenset(_bypassed(profile, rows, name, (*path, "bypassed")) for name in model.bypassed),
        frozenset(_known(profile, list(profile.outputs), name, (*path, "read_back"))
                  for name in model.read_back),
    )  # fmt: skip


def _duration(profile: Profile, text: str, path: Path) -> int:
    try:
        value, dimension = parse(text)
    except ValueError as error:
        raise profile.document.error(str(error), *path) from None
    if dimension != "time" or value < 0:
        raise profile.document.error(f"{text!r} is not a time", *path)
    return round(value * 1e9)


def _known(profile: Profile, names: list[str], name: str, path: Path) -> int:
    if name not in names:
        raise profile.document.error(f"unknown {name!r}. {nearest(name, names)}", *path)
    return names.index(name)


def _bypassed(profile: Profile, rows: list[str], name: str, path: Path) -> int:
    found = _known(profile, rows, name, path)
    if profile.plan.causes[found]["bypassable"] == 0:
        raise profile.document.error(f"row {name} can never be bypassed", *path)
    return found


def _asked(profile: Profile, text: str, path: Path, *, released: bool) -> Asked:
    match, error = _TEXT.match(text.strip()), profile.document.error
    if match is None:
        raise error(f"{text!r} is not `TAG > VALUE UNIT`, `<`, `TAG is bad` or `actuator = VALUE`",
                    *path)  # fmt: skip
    name, op, right = match[1], match[2] or match[4], match[3]
    signal = _known(profile, list(profile.signals), name, path)
    output = profile.outputs.index(name) if released and name in profile.outputs else -1
    if op == "is bad":
        if output >= 0:
            raise error(f"{name} is an actuator: compare it with a value", *path)
        return Asked(text, signal, -1, op, 0.0)
    if output < 0 and op not in _OPS:
        raise error(f"a tag is compared by > or <: {text!r}", *path)
    limit = _number(profile, signal, right, path)
    if output >= 0:
        low, high = profile.model.actuators[name].range
        if not low <= limit <= high:
            raise error(f"{limit:g} is outside the range {low:g} to {high:g} of {name}", *path)
    return Asked(text, signal, output, op, limit)


def _number(profile: Profile, signal: int, text: str, path: Path) -> float:
    """A limit in the tag's canonical unit; an actuator's may stand without its unit."""
    tag = profile.tags[signal]
    try:
        return float(text)
    except ValueError:
        pass
    try:
        value, found = parse(text)
        wanted = unit_factor(tag.unit)[0]
    except ValueError as error:
        raise profile.document.error(str(error), *path) from None
    if found != wanted:
        raise profile.document.error(
            f"{text!r} is a {found}, but {tag.name} is a {wanted} in {tag.unit}", *path
        )
    return value
