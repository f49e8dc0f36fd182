"""OQ: rows whose causes are permits, windows of minutes, totals, a Hold, or a program's silence."""

from __future__ import annotations

from hil_sim.qualification.bench import LIVE, PUMP_ADDRESS, VIRTUAL, Bench
from hil_sim.qualification.cases.oq_routes import by_product
from hil_sim.qualification.excite import LINE_UP, Excited, excited
from hil_sim.qualification.plant_state import G_PER_L, NORMAL, OUTPUTS, TARE_G, VOLUME_L
from hil_sim.qualification.plugin import Case, Context, case, cases
from hil_sim.qualification.protocol import CaseProtocol, Measurement, Step
from hil_sim.qualification.requirements import Requirements, Rule
from hil_sim.qualification.trips import (
    effects_at_device,
    evidence,
    planned,
    take_effect,
    trip_rows,
    trip_time,
)
from hil_sim.qualification.virtual_bench import VirtualBench

SMOKE = frozenset({"hold.gas", "hold.n2"})
KEEPS_S = 6.0  # a pump's request is written after 5 s at most
TEN_MIN_S = 600.0
BUCKET_S = 25.0  # a window of ten minutes is seen in parts of ten seconds
WEIGHT_G = TARE_G + VOLUME_L * G_PER_L
WEIGHT_PART_G = 12.0  # below what a step of the weight trips at


def permits(required: Requirements) -> list[Case]:
    """A case for every permit."""
    return [Case(f"OQ-INT-{r.row}", f"Permit: {r.title}", (r.id,), VIRTUAL, r)
            for r in required.rules if r.kind == "permit"]  # fmt: skip


@cases(permits)
def oq_permit(subject: Rule, protocol: CaseProtocol, bench: Bench, context: Context) -> None:
    """Each condition of a permit: inside its limit the output follows, beyond it stays safe."""
    (effect,), items = subject.effects, excited(bench, subject)
    output, wanted = effect.output, OUTPUTS[effect.output]
    plans = []
    for item in items:
        inside = protocol.step(f"{item.condition.text} does not hold; {output} is asked for")
        follows = inside.measure(f"{output} at the device").within(0.97 * wanted, 1.03 * wanted)
        beyond = protocol.step(f"{output} is at its safe value, {item.condition.text}, and "
                               f"{output} is asked for")  # fmt: skip
        recorded = beyond.measure("permit withdrawn, recorded").equals("yes")
        stays = beyond.measure(f"{output} at the device").within(
            effect.value - 1e-3, effect.value + 1e-3
        )
        plans.append((inside, follows, beyond, recorded, stays))
    for item, (inside, follows, beyond, recorded, stays) in zip(items, plans, strict=True):
        with inside:
            at_ns = bench.now_ns
            _to_safe(bench, output)
            _others(subject, items, item)
            item.inside()
            _again(bench, output)
            bench.until(lambda: abs(bench.at_device(output) - wanted) < 0.02 * wanted, KEEPS_S)
            follows.take(bench.at_device(output), **evidence(bench, at_ns))
        with beyond:
            _to_safe(bench, output)
            _others(subject, items, item)
            at_ns = item.beyond()
            trip_time(bench, subject, at_ns, 4.0)
            _again(bench, output)
            bench.wait(KEEPS_S if output in PUMP_ADDRESS else 3.0)
            recorded.take("yes" if trip_rows(bench, subject, at_ns) else "no")
            stays.take(bench.at_device(output), **evidence(bench, at_ns))
        bench.normal()


def _others(rule: Rule, items: list[Excited], item: Excited) -> None:
    """A permit that is withdrawn only when all of several stand: the others do."""
    if rule.vote == "all":
        for other in items:
            if other is not item:
                other.beyond()


def _to_safe(bench: Bench, output: str) -> None:
    """The output at its safe value. Heat cannot be asked off with a batch open: row 2 takes it."""
    if output == "heater":
        bench.force(TT103=46.0)
    else:
        bench.answer("set_output", output, "0")
    bench.until(lambda: bench.at_device(output) < 1e-3, 8.0)


def _again(bench: Bench, output: str) -> None:
    if output == "heater":
        bench.force(TT103=NORMAL["TT103"])
    else:
        bench.answer("set_output", output, f"{OUTPUTS[output]:g}")


def holds(required: Requirements) -> list[Case]:
    """A case for what a Hold asks of outputs."""
    return [Case(f"OQ-INT-{r.row}", f"{r.title}", (r.id,),
                 VIRTUAL if r.delay_s > 60.0 else LIVE, r, r.row in SMOKE)
            for r in required.rules if r.row.startswith("hold.")]  # fmt: skip


@cases(holds)
def oq_hold(subject: Rule, protocol: CaseProtocol, bench: Bench, context: Context) -> None:
    """Running: nothing; Held: the effects, after the rule's delay; Restart: they are gone."""
    rule, required = subject, context.requirements
    running = protocol.step("The procedure is Running")
    none = running.measure("the rule stands").equals(0)
    held = protocol.step("A person asks for Hold" + (
        f"; {rule.delay_s:g} s pass" if rule.delay_s else ""))
    time = held.measure("time until the rule stands").within(
        max(0.0, rule.delay_s - 0.2), rule.delay_s + required.response_s, unit="s")
    effects = [planned(held, e) for e in rule.effects]
    again = protocol.step("A person restarts the procedure, with a reason")
    gone = again.measure("procedure").equals("Running")
    with running:
        at_ns = bench.now_ns
        for effect in rule.effects:
            if effect.op == ">=" and effect.output == "air":
                bench.answer("set_output", "air", "25")
        if any(condition.signal == LINE_UP for condition in rule.conditions):
            by_product(bench, "perfusate")
        bench.wait(1.0)
        none.take(len(trip_rows(bench, rule, at_ns)))
    before = {e.output: bench.at_device(e.output) for e in rule.effects}
    with held:
        at_ns = bench.now_ns
        bench.answer("hold", "procedure")
        seconds = trip_time(bench, rule, at_ns, rule.delay_s + 10.0)
        time.take(seconds, **evidence(bench, at_ns))
        values = effects_at_device(bench, rule.effects, before, 3.0)
        for effect, measure in zip(rule.effects, effects, strict=True):
            take_effect(measure, effect, values[effect.output], before[effect.output])
    with again:
        bench.until(lambda: bench.procedure == "Held", 5.0)
        bench.answer("restart", "procedure", "", "qualification")
        bench.until(lambda: bench.procedure == "Running", 5.0)
        gone.take(bench.procedure)


@case("OQ-INT-4", requirements=["FR-4"], title="Row 4: Heater on and not heating", bench=VIRTUAL)
def oq_heater_deaf(protocol: CaseProtocol, bench: Bench, context: Context) -> None:
    """The heater at 59 %, then 61 %, for ten minutes, with a vessel that stays cold."""
    rule = context.requirements.rule("4")
    low = protocol.step("Heater 59 % for 12 min, TT101 2 K below its setpoint and still")
    none = low.measure("trips of the row").equals(0)
    rise = protocol.step("Heater 61 % for 12 min, TT101 rises 0.6 K in 10 min")
    heats = rise.measure("trips of the row").equals(0)
    high = protocol.step("Heater 61 %, TT101 2 K below its setpoint and still")
    time = high.measure("time to trip").within(TEN_MIN_S - BUCKET_S, TEN_MIN_S + BUCKET_S, unit="s")
    effects = [planned(high, e) for e in rule.effects]
    with low:
        bench.answer("set_sp", "TIC101", "37")
        at_ns = bench.force(TT101=35.0, TT102=35.0)
        bench.answer("set_output", "heater", "59")
        bench.wait(720.0)
        none.take(len(trip_rows(bench, rule, at_ns)), **evidence(bench, at_ns))
    with rise:
        at_ns = bench.now_ns
        bench.answer("set_output", "heater", "61")
        for _ in range(12):
            now = bench._shown["TT101"] + 0.06
            bench.force(TT101=now, TT102=now)
            bench.wait(60.0)
        heats.take(len(trip_rows(bench, rule, at_ns)), **evidence(bench, at_ns))
    with high:
        bench.answer("set_output", "heater", "50")
        bench.force(TT101=35.0, TT102=35.0)
        bench.wait(660.0)
        at_ns = bench.now_ns
        bench.answer("set_output", "heater", "61")
        before = {e.output: bench.at_device(e.output) for e in rule.effects}
        time.take(trip_time(bench, rule, at_ns, 700.0), **evidence(bench, at_ns))
        values = effects_at_device(bench, rule.effects, before, context.requirements.confirm_s)
        for effect, measure in zip(rule.effects, effects, strict=True):
            take_effect(measure, effect, values[effect.output], before[effect.output])


@case("OQ-INT-9", requirements=["FR-9"], title="Row 9: Weight does not agree with the pumps",
      bench=VIRTUAL)  # fmt: skip
def oq_weight(protocol: CaseProtocol, bench: Bench, context: Context) -> None:
    """A step of the weight below and above 20 g, then a creep below and above 50 g in 10 min."""
    rule = context.requirements.rule("9")
    plans: list[tuple[float, bool, Step, Measurement, list[Measurement]]] = []
    for grams, creeping in ((18.0, False), (22.0, False), (-18.0, False), (-22.0, False),
                            (47.0, True), (53.0, True), (-47.0, True), (-53.0, True)):  # fmt: skip
        trips = abs(grams) > (50.0 if creeping else 20.0)
        step = protocol.step(f"The weight {'creeps' if creeping else 'steps'} by {grams:+g} g" + (
            " within 8 min" if creeping else ""))
        measure = step.measure("trips of the row").equals(1 if trips else 0)
        effects = [planned(step, e) for e in rule.effects
                   if grams == 22.0]  # fmt: skip
        plans.append((grams, creeping, step, measure, effects))
    for grams, creeping, step, measure, effects in plans:
        bench.normal()
        bench.wait(700.0)
        with step:
            before = {e.output: bench.at_device(e.output) for e in rule.effects}
            at_ns = bench.now_ns
            parts = round(abs(grams) / WEIGHT_PART_G) + 1 if creeping else 1
            for part in range(parts):
                bench.show({"WT101": WEIGHT_G + grams * (part + 1) / parts})
                bench.wait(90.0 if creeping else 3.0)
            measure.take(len(trip_rows(bench, rule, at_ns)), **evidence(bench, at_ns))
            values = effects_at_device(bench, rule.effects, before, 2.0) if effects else {}
            for effect, one in zip(rule.effects, effects, strict=False):
                take_effect(one, effect, values[effect.output], before[effect.output])
            bench._shown["WT101"] = WEIGHT_G + grams


@case("OQ-INT-12.total", requirements=["FR-12T"], title="Row 12.total: Base above the batch total",
      bench=VIRTUAL)  # fmt: skip
def oq_base_total(protocol: CaseProtocol, bench: Bench, context: Context) -> None:
    """The totaliser is given 399 mL as after a restart; the pump adds the rest."""
    if not isinstance(bench, VirtualBench):
        raise TypeError("only in virtual time can a totaliser be preset")
    rule = context.requirements.rule("12.total")
    below = protocol.step("Totaliser preset to 399 mL; base runs at 4.2 mL/h for 10 min")
    none = below.measure("trips of the row").equals(0)
    above = protocol.step("Base goes on at 4.2 mL/h past 400 mL")
    time = above.measure("time to trip").within(3.0 * 60.0, 6.0 * 60.0, unit="s")
    effects = [planned(above, e) for e in rule.effects]
    with below:
        bench.preset("BASE_TOTAL", 0.399)
        at_ns = bench.now_ns
        bench.wait(TEN_MIN_S)
        none.take(len(trip_rows(bench, rule, at_ns)), **evidence(bench, at_ns))
    with above:
        before = {e.output: bench.at_device(e.output) for e in rule.effects}
        at_ns = bench.now_ns
        time.take(trip_time(bench, rule, at_ns, 900.0), **evidence(bench, at_ns))
        values = effects_at_device(bench, rule.effects, before, context.requirements.confirm_s)
        for effect, measure in zip(rule.effects, effects, strict=True):
            take_effect(measure, effect, values[effect.output], before[effect.output])
        bench.preset("BASE_TOTAL", 0.0)
        bench.wait(1.0)


def stuck_probe(required: Requirements) -> list[Case]:
    """A case for each way to find that DO does not move."""
    return [Case(f"OQ-INT-{r.row}", r.title, (r.id,), VIRTUAL, r)
            for r in required.rules if r.spoils == "AT102"]  # fmt: skip


@cases(stuck_probe)
def oq_stuck_probe(subject: Rule, protocol: CaseProtocol, bench: Bench, context: Context) -> None:
    """DO that moves a little is good; DO that stands still turns bad after its window."""
    if not isinstance(bench, VirtualBench):
        raise TypeError("windows of minutes are for virtual time")
    window_s = 1800.0 if subject.row == "p.do_still" else TEN_MIN_S
    deaf = subject.row == "p.do_deaf"
    word = " while its loop's demand moves by 20 %" if deaf else ""
    lives = protocol.step(f"AT102 moves by 0.5 % a minute for {window_s / 60 + 2:g} min{word}")
    none = lives.measure("AT102 turned bad").equals(0)
    still = protocol.step(f"AT102 stands still{word}")
    time = still.measure("time until AT102 is bad").within(
        window_s * (0.5 if deaf else 0.93), window_s * 1.1 + 60.0, unit="s")
    with lives:
        at_ns = bench.now_ns
        for minute in range(round(window_s / 60) + 2):
            _demand(bench, deaf, minute)
            bench.wait(60.0)
        none.take(len(bench.since(at_ns, "quality.changed", tag="AT102", new="bad")))
    with still:
        bench.still = frozenset({"AT102"})
        bench.show({"AT102": NORMAL["AT102"]})
        at_ns, found = bench.now_ns, []
        for minute in range(round(window_s * 1.1 / 60) + 2):
            _demand(bench, deaf, minute)
            found = bench.until(
                lambda: bench.since(at_ns, "quality.changed", tag="AT102", new="bad"), 60.0, 1.0)
            if found:
                break
        seconds = (int(found[0]["mono_ns"]) - at_ns) / 1e9 if found else None
        time.take(seconds, **evidence(bench, at_ns))
        bench.still = frozenset()


def _demand(bench: Bench, moves: bool, minute: int) -> None:
    if moves:
        if minute == 0:
            bench.answer("set_mode", "DIC101", "auto")
            bench.spent = True  # with a batch open nobody may take the loop off again
        bench.answer("set_sp", "DIC101", "60" if minute % 4 < 2 else "40")


def silences(required: Requirements) -> list[Case]:
    """A case for each row about the supervisor's silence."""
    return [Case(f"OQ-INT-{r.row}", f"Row {r.row}: {r.title}", (r.id,),
                 VIRTUAL if r.conditions[0].limit > 60.0 else LIVE, r)
            for r in required.rules if r.conditions[0].signal == "supervisor.age"]  # fmt: skip


@cases(silences)
def oq_supervisor_silent(
    subject: Rule, protocol: CaseProtocol, bench: Bench, context: Context
) -> None:
    """Silent for less than the limit: nothing. For longer: the effects, and they are recorded."""
    limit_s, response_s = subject.conditions[0].limit, context.requirements.response_s
    short = protocol.step(f"The supervisor is stopped for {limit_s - 2.0:g} s")
    none = short.measure("trips of the row").equals(0)
    long = protocol.step(f"The supervisor is stopped for {limit_s + response_s + 1.0:g} s")
    time = long.measure("time to trip").within(limit_s - 1.2, limit_s + response_s, unit="s")
    names = long.measure("effects applied").equals(
        ", ".join(sorted({e.output for e in subject.effects})))
    with short:
        at_ns = bench.now_ns
        bench.silence_supervisor(limit_s - 2.0)
        bench.wait(1.5)
        none.take(len(trip_rows(bench, subject, at_ns)), **evidence(bench, at_ns))
    with long:
        at_ns = bench.now_ns
        bench.silence_supervisor(limit_s + response_s + 1.0)
        seconds = trip_time(bench, subject, at_ns, 5.0)
        time.take(seconds, **evidence(bench, at_ns))
        applied = bench.since(at_ns, "effect.applied", row=subject.row)
        names.take(", ".join(sorted({row["data"]["output"] for row in applied})) or "none")
