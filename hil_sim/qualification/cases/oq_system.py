"""OQ: the system as a whole, live: commands, refusals, Hold, killed programs, the record."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from controller.record.verify import verify
from hil_sim.qualification.bench import LIVE, Bench
from hil_sim.qualification.live_bench import LiveBench
from hil_sim.qualification.plant_state import OUTPUTS
from hil_sim.qualification.plugin import Context, case
from hil_sim.qualification.protocol import CaseProtocol
from hil_sim.qualification.trips import evidence, planned, state_of, take_effect

ENVIRONMENT = ("heater", "km101", "stirrer", "air", "o2", "xv100")
LIQUIDS = ("feed", "perfusate", "base", "xv201", "xv202", "xv203", "xv204")
TAKES_OVER_S = 30.0


@case("OQ-SYS-COMMAND", requirements=["SR-COMMAND"], title="A command: intent, action, outcome",
      bench=LIVE, smoke=True)  # fmt: skip
def oq_command(protocol: CaseProtocol, bench: Bench, context: Context) -> None:
    """The stirrer's speed is set by a person."""
    ask = protocol.step("A person sets the stirrer to 120 rpm")
    result = ask.measure("outcome").equals("applied")
    order = ask.measure("intent recorded before the write came in at the device").equals("yes")
    once = ask.measure("outcomes of the command").equals(1)
    device = ask.measure("stirrer at the device").within(119.0, 121.0, unit="rpm")
    with ask:
        at_ns = bench.now_ns
        result.take(bench.answer("set_output", "stirrer", "120")[0])
        bench.until(lambda: abs(bench.at_device("stirrer") - 120) < 1, 4.0)
        intents = bench.since(at_ns, "command.intent", verb="set_output", target="stirrer")
        writes = [s for s in bench.sent(at_ns) if s.data.startswith("STIRRER_CMD=120")]
        good = intents and writes and int(intents[0]["mono_ns"]) <= writes[0].mono_ns
        order.take("yes" if good else "no", **evidence(bench, at_ns))
        id_ = intents[0]["data"]["id"] if intents else -1
        once.take(len(bench.since(at_ns, "command.outcome", id=id_)))
        device.take(bench.at_device("stirrer"))


@case("OQ-SYS-REFUSE", requirements=["SR-REFUSE"],
      title="Heat, stirring, oxygen cannot be asked off", bench=LIVE, smoke=True)  # fmt: skip
def oq_refusal(protocol: CaseProtocol, bench: Bench, context: Context) -> None:
    """With a batch open each is asked to 0."""
    plans = []
    for output in ENVIRONMENT:
        step = protocol.step(f"A person asks for {output} 0 with a batch open")
        plans.append((output, step, step.measure("answer").equals("refused"),
                      step.measure(f"{output} at the device").within(
                          0.97 * OUTPUTS[output], 1.03 * OUTPUTS[output])))  # fmt: skip
    for output, step, answer, stays in plans:
        with step:
            at_ns = bench.now_ns
            result, why = bench.answer("set_output", output, "0")
            answer.take(result, why)
            bench.wait(0.5)
            stays.take(bench.at_device(output), **evidence(bench, at_ns))


@case("OQ-SYS-HOLD", requirements=["SR-HOLD"], title="Hold and restart by a person", bench=LIVE)
def oq_hold_and_restart(protocol: CaseProtocol, bench: Bench, context: Context) -> None:
    """Heat, stirring and oxygen go on in between."""
    hold = protocol.step("A person asks for Hold")
    held = hold.measure("procedure").equals("Held")
    kept = hold.measure("heat, stirring and gas that changed").equals("none")
    again = protocol.step("A person restarts, with a reason")
    runs = again.measure("procedure").equals("Running")
    with hold:
        at_ns = bench.now_ns
        before = {o: bench.at_device(o) for o in ENVIRONMENT}
        bench.answer("hold", "procedure")
        bench.until(lambda: bench.procedure == "Held", 5.0)
        held.take(bench.procedure, **evidence(bench, at_ns))
        bench.wait(2.0)
        moved = [o for o in ENVIRONMENT if abs(bench.at_device(o) - before[o]) > 0.03 * before[o]]
        kept.take(", ".join(moved) or "none")
    with again:
        bench.answer("restart", "procedure", "", "qualification")
        bench.until(lambda: bench.procedure == "Running", 5.0)
        runs.take(bench.procedure)


@case("OQ-SYS-RESTART", requirements=["SR-RESTART", "FR-RST", "FR-RSTN"],
      title="Field is killed with a batch open", bench=LIVE)  # fmt: skip
def oq_field_killed(protocol: CaseProtocol, bench: Bench, context: Context) -> None:
    """kill -9 of field; the next one takes over."""
    rule, rule_n2 = (context.requirements.rule(row) for row in ("restart", "restart.n2"))
    die = protocol.step("kill -9 of the field program; the launcher starts the next")
    row = die.measure("row restart").equals("latched")
    n2 = die.measure("row restart.n2 tripped").equals("yes")
    effects = [planned(die, e) for e in (*rule.effects, *rule_n2.effects)]
    kept = die.measure("heat, stirring and gas that changed").equals("none")
    held = die.measure("procedure").equals("Held")
    reset = protocol.step("A person resets row restart and restarts the procedure, with a reason")
    runs = reset.measure("procedure").equals("Running")
    if not isinstance(bench, LiveBench):
        raise TypeError("only a live program can be killed")
    with die:
        before = {o: bench.at_device(o) for o in ENVIRONMENT}
        at_ns = bench.kill("field")
        bench.until(lambda: bench.since(at_ns, "cause.active", row="restart"), TAKES_OVER_S)
        bench.until(lambda: bench.since(at_ns, "field.restored"), TAKES_OVER_S)
        standing = bench.standing().get("restart", "not there")
        row.take("latched" if standing == "active" else standing)  # a protect row latches at once
        tripped = bench.since(at_ns, "cause.active", row="restart.n2")
        n2.take("yes" if tripped else "no")
        bench.until(lambda: all(bench.at_device(o) == 0 for o in LIQUIDS), 5.0)
        for effect, measure in zip((*rule.effects, *rule_n2.effects), effects, strict=True):
            take_effect(measure, effect, bench.at_device(effect.output), 0.0)
        moved = [f"{o} {before[o]:g} to {bench.at_device(o):g}" for o in ENVIRONMENT
                 if abs(bench.at_device(o) - before[o]) > 0.03 * before[o]]  # fmt: skip
        kept.take(", ".join(moved) or "none", **evidence(bench, at_ns))
        bench.until(lambda: bench.procedure == "Held", 5.0)
        held.take(bench.procedure)
    with reset:
        bench.until(lambda: _restart(bench), 15.0, 0.5)
        runs.take(bench.procedure)


def _restart(bench: Bench) -> bool:
    if bench.standing():
        bench.ask(*({"verb": "reset", "target": row, "reason": "looked at the vessel"}
                    for row in bench.standing()))  # fmt: skip
    else:
        bench.ask({"verb": "restart", "target": "procedure", "reason": "looked at the vessel"})
    return bench.procedure == "Running"


@case("OQ-SYS-SUPERVISOR", requirements=["SR-SUPER"], title="The supervisor is killed",
      bench=LIVE)  # fmt: skip
def oq_supervisor_killed(protocol: CaseProtocol, bench: Bench, context: Context) -> None:
    """kill -9 of the supervisor; outputs stay, the next one takes the batch up."""
    die = protocol.step("kill -9 of the supervisor; the launcher starts the next")
    gap = die.measure("batch taken up, gap recorded").equals("yes")
    kept = die.measure("outputs that changed").equals("none")
    state = die.measure("procedure").equals("Running")
    if not isinstance(bench, LiveBench):
        raise TypeError("only a live program can be killed")
    with die:
        before = state_of(bench)
        at_ns = bench.kill("supervisor")
        found = bench.until(lambda: bench.since(at_ns, "batch.attached"), TAKES_OVER_S)
        gap.take("yes" if found else "no", **evidence(bench, at_ns))
        after = state_of(bench)
        moved = [name for name, value in after.items() if abs(value - before[name]) > 1e-3]
        kept.take(", ".join(moved) or "none")
        state.take(bench.procedure)


@case("OQ-SYS-RECORD", requirements=["SR-RECORD", "SR-ALTER"],
      title="The record of this qualification's batch", bench=LIVE)  # fmt: skip
def oq_record(protocol: CaseProtocol, bench: Bench, context: Context) -> None:
    """The logs verify; a copy with one byte changed does not."""
    whole = protocol.step("Every log is verified, deeply")
    problems = whole.measure("problems found").equals("none")
    gaps = whole.measure("entries of field's rings missing or recorded twice").equals("none")
    altered = protocol.step("One byte in the middle of a copy of the batch's log is changed")
    found = altered.measure("the copy verifies").equals("no")
    with whole:
        reports = [verify(log, expect_sealed=False, deep=True) for log in bench.logs()]
        words = [f"{p.where}: {p.what}" for report in reports for p in report.problems]
        words = [w for w in words if "checkpoint" not in w]  # it is being written
        problems.take("; ".join(words) or "none")
        gaps.take("; ".join(_gaps(bench)) or "none")
    with altered, tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "log"
        shutil.copytree(bench.logs()[-1], copy)
        segment = sorted((copy / "segments").glob("*.seg"))[0]
        data = bytearray(segment.read_bytes())
        data[len(data) // 3] ^= 1
        segment.chmod(0o600)
        segment.write_bytes(bytes(data))
        found.take("yes" if verify(copy, expect_sealed=False, deep=True).ok else "no")


def _gaps(bench: Bench) -> list[str]:
    """Per generation and ring the numbers of entries are 0, 1, 2 without gap or repetition."""
    rings: dict[str, list[tuple[int, int]]] = {}
    for row in bench.rows():
        if not row.get("source"):
            continue
        name, _, number = row["source"].rpartition(".")
        if name.endswith(".h") and row["event"] != "history.chunk":
            continue
        count = int(row["data"]["rows"]) if row["event"] == "history.chunk" else 1
        rings.setdefault(name, []).append((int(number), count))
    wrong = []
    for name, entries in sorted(rings.items()):
        expected = 0
        for last, count in sorted(entries):
            if last - count + 1 != expected:
                wrong.append(f"{name} at {expected}")
            expected = last + 1
    return wrong
