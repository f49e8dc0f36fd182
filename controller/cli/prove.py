"""`cellwright prove`: what a unit promises, proved; each counter-example run on the real kernel."""

from __future__ import annotations

import json
import math
from typing import Any

from rich.console import Console
from rich.table import Table

from controller.profile.compile import Profile
from controller.profile.plan import SignalKind
from controller.profile.prove.case import Case
from controller.profile.prove.claims import Asked
from controller.profile.prove.prover import Result
from controller.profile.prove.report import counterexample, read_tags
from controller.profile.prove.run import Proof, prove
from controller.units import find_unit, load_unit

CLOSE = 1.001  # steps: half of one may be rounded either way


def prove_unit(name: str, as_json: bool) -> int:
    """Proves a unit by name or path and prints it; 1 if something does not hold."""
    profile, _ = load_unit(find_unit(name))
    proof = prove(profile)
    confirmed = {r.id: confirm(profile, r) for r in proof.results if r.case is not None}
    if as_json:
        print_json(profile, proof, confirmed)
    else:
        print_text(profile, proof, confirmed)
    return 0 if proof.good else 1


def confirm(profile: Profile, result: Result) -> bool:
    """Whether the kernel does from that state what the model says, and so breaks the claim."""
    from controller.field.replay import replay

    if result.case is None:
        return False
    case, outcome = result.case, replay(profile.plan, result.case)
    for output, value in case.released.items():
        size = float(profile.plan.outputs[output]["resolution"])
        if outcome.waiting[output] != case.waiting[output]:
            return False
        if not case.waiting[output] and abs(outcome.released[output] - value) > CLOSE * size:
            return False
    if result.claim is None:
        return True
    met = [_met(profile, asked, outcome.released[asked.output], outcome.waiting[asked.output])
           for asked in result.claim.demands]  # fmt: skip
    stands = all(_stands(profile, asked, outcome.image, case) for asked in result.claim.premise)
    return stands and (all(met) if result.claim.never else not all(met))


def _met(profile: Profile, asked: Asked, released: float, waiting: bool) -> bool:
    size = float(profile.plan.outputs[asked.output]["resolution"])
    return not waiting and math.isfinite(released) and asked.met(released, size)


def _stands(profile: Profile, asked: Asked, image: Any, case: Case) -> bool:
    """Whether the kernel saw that part of the premise; an actuator as it was before the scan."""
    if profile.plan.signals[asked.signal]["kind"] == SignalKind.OUTPUT:
        found = case.signals[asked.signal]
        value, bad = float(found["value"]), bool(found["bad"])
    else:
        signal = image.signals[asked.signal]
        value, bad = float(signal["value"]), bool(signal["quality"] == 2)
    if asked.op == "is bad":
        return bad
    return not bad and (value > asked.limit if asked.op == ">" else value < asked.limit)


def print_json(profile: Profile, proof: Proof, confirmed: dict[str, bool]) -> None:
    """One object: every property, and the seconds it all took."""
    found = [
        {"id": r.id, "holds": r.holds, "vacuous": r.vacuous,
         "counterexample": counterexample(profile, r, confirmed.get(r.id))}
        for r in proof.results
    ]  # fmt: skip
    Console(soft_wrap=True, highlight=False, markup=False).print(
        json.dumps({"properties": found, "seconds": round(proof.seconds, 3)}, indent=1)
    )


def print_text(profile: Profile, proof: Proof, confirmed: dict[str, bool]) -> None:
    """A table of what the unit promises, a line of what is always asked, each counter-example."""
    console = Console()
    table = Table(title=f"What unit {profile.id} promises", title_justify="left")
    for name in ("property", "says", ""):
        table.add_column(name, overflow="fold")
    asked = [r for r in proof.results if r.id.startswith("always.")]
    for result in proof.results:
        if result not in asked or not result.holds:
            table.add_row(result.id, result.words, _verdict(result))
    console.print(table)
    good = sum(result.holds for result in asked)
    console.print(f"Asked of every unit: {good} of {len(asked)} hold.", highlight=False)
    for result in proof.results:
        if not result.holds:
            _print_counterexample(console, profile, result, confirmed.get(result.id))
    broken = len(proof.results) - sum(result.holds for result in proof.results)
    console.print(
        f"{len(proof.results)} properties, {broken or 'none'} broken, in {proof.seconds:.1f} s: "
        f"{'NOT PROVED' if broken else 'proved'}", highlight=False,
    )  # fmt: skip


def _verdict(result: Result) -> str:
    if result.holds:
        return "holds"
    return "VACUOUS" if result.vacuous else "DOES NOT HOLD"


def _print_counterexample(
    console: Console, profile: Profile, result: Result, confirmed: bool | None
) -> None:
    found = counterexample(profile, result, confirmed) or {}
    console.print(f"\n[bold]{result.id}[/bold]: {result.title}. {result.words}", highlight=False)
    if result.why:
        console.print(f"  {result.why}.", highlight=False)
    if result.case is None:
        return
    said = "confirmed: the kernel does it" if confirmed else (
        "not confirmed: the model is coarser than the kernel here"
    )  # fmt: skip
    after = f"after {found['stood_s']:g} s of the premise, " if found["stood_s"] else ""
    console.print(f"  Counter-example, {after}{said}.", highlight=False)
    first = read_tags(profile, result)
    found["tags"] = [line for line in found["tags"] if line["tag"] in first]
    for title, key in (("Tags", "tags"), ("Rows", "rows"), ("Actuators", "actuators")):
        if found[key]:
            console.print(_table(title, found[key]))


def _table(title: str, lines: list[dict[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in lines[0]:
        table.add_column(name.replace("_", " "))
    for line in lines:
        table.add_row(*(_cell(value) for value in line.values()))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
