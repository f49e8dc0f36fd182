"""What causes, votes, effects and first-out mean, in plain Python: an executable specification.

Written from the safety concept and the meaning of the Plan's fields, not from the kernel: one thing
after the other, states as people speak of them. `reference_gate` is the other half: what leaves.
The kernel, compiled or interpreted, must agree with it in every state (test_reference_*).
"""

from __future__ import annotations

from typing import Any

from reference_gate import Output, mean_until, release
from reference_plan import (
    ABOVE,
    AT_LEAST,
    AT_MOST,
    BAD,
    BELOW,
    BLIND,
    DEGRADE,
    FORCE,
    GOOD,
    IS_BAD,
    MEAN,
    NEVER,
    NO,
    PERMIT,
    PLAUSIBILITY,
    PROTECT,
    SIGNAL_BAD,
    STUCK,
    TRIP,
    TRUE,
    Comparison,
    Group,
    Model,
    Row,
    Signal,
    Wish,
    sense,
)

from controller.field.ring import EventKind as Event
from controller.field.ring import Why
from controller.field.verbs import Verb
from controller.profile.plan import Mode, SignalKind

BYPASS_S_MAX = 3600.0
OFF, FLAG = int(Mode.OFF), int(SignalKind.FLAG)
Told = tuple[int, int, float, float]  # an event: kind, index, a, b


class Reference:
    """One unit. `scan` returns its events; loops are the caller's: modes and what they want."""

    def __init__(self, model: Model, now_ns: int, restarted: bool = False) -> None:
        self.model, self.now, self.beat_ns = model, now_ns, now_ns  # of a supervisor, the last
        self.told: list[Told] = []
        self.history: list[tuple[int, int, float]] = []
        self.signals = [Signal(sample_ns=now_ns) for _ in model.signals]
        self.fresh_ns = [now_ns for _ in model.links]
        self.comparisons = [Comparison() for _ in model.conditions]
        self.rows = [Row() for _ in model.causes]
        self.wishes = [Wish() for _ in model.effects]
        self.groups = [Group() for _ in range(model.n_groups)]
        self.modes = [OFF for _ in model.loops]
        self.outputs = [Output(limits, now_ns) for limits in model.outputs]
        self.orders = self.last_id = 0
        for signal, row in zip(self.signals, model.signals, strict=True):
            if row.kind > int(SignalKind.BLOCK):
                signal.quality, signal.reason = GOOD, 0
            if row.kind == FLAG:
                signal.value = row.start
        for loop in model.loops:
            self.signals[loop.sp_signal].value = min(max(0.0, loop.sp_low), loop.sp_high)
        if restarted and model.unit.restarted_flag >= 0:
            self.signals[model.unit.restarted_flag].value = 1.0
        for output, limits in zip(self.outputs, model.outputs, strict=True):
            self.asked(output, output.request)
            if restarted and limits.read_back:
                output.begin_adopting()
                shown = self.signals[limits.signal]
                shown.quality, shown.reason = BAD, 1
            self.signals[limits.signal].value = output.released

    def scan(self, now_ns: int, samples: Any = (), commands: Any = ()) -> list[Told]:
        """Commands, samples, causes, effects, the gate; the events in their order."""
        self.now, self.told, self.history = now_ns, [], []
        for order in commands:
            why = self.carry_out(*order)
            self.tell(Event.REFUSED if why else Event.APPLIED, order[0], float(why), order[3])
        sense(self, samples)
        for index in range(len(self.rows)):
            self.judge(index)
        self.apply()
        for index in range(len(self.outputs)):
            release(self, index)
        return self.told

    def tell(self, kind: int, index: int, a: float = 0.0, b: float = 0.0) -> None:
        """One event."""
        self.told.append((int(kind), index, a, b))

    def set_quality(self, index: int, quality: int, reason: int) -> None:
        """A change of a signal's quality is an event."""
        signal = self.signals[index]
        if signal.quality != quality:
            self.tell(Event.QUALITY, index, float(signal.quality), float(quality * 100 + reason))
        signal.quality, signal.reason = quality, reason

    # -- causes -----------------------------------------------------------------------------

    def compare(self, place: int) -> bool:
        """Whether a condition with a signal that is not bad counts, after its delays."""
        condition, state = self.model.conditions[place], self.comparisons[place]
        signal = self.signals[condition.signal]
        back = condition.hysteresis if state.true else 0.0
        true = {
            ABOVE: signal.value > condition.limit - back,
            BELOW: signal.value < condition.limit + back,
            IS_BAD: signal.quality == BAD,
        }[condition.op]
        if true:
            if not state.true:
                state.since_ns = self.now
            state.last_ns = self.now
            if self.now - state.since_ns >= condition.on_delay_ns:
                state.counts = 1
        elif self.now - state.last_ns >= condition.off_delay_ns:
            state.counts = 0
        state.true = int(true)
        return state.counts == 1

    def vote(self, cause: Any) -> int:
        """M out of N. A bad signal trips, leaves the vote, or says nothing; what it said last
        stands for the cause's `bad_after`, unless it was stuck: then it never said it."""
        true = bad = left = 0
        for place in range(cause.first_condition, cause.first_condition + cause.n_conditions):
            condition = self.model.conditions[place]
            signal = self.signals[condition.signal]
            left += 1
            if signal.quality != BAD or condition.op == IS_BAD:
                true += self.compare(place)
            elif condition.bad == TRIP:
                bad += 1
            elif (
                self.comparisons[place].counts
                and signal.reason != STUCK
                and self.now - signal.sample_ns <= cause.bad_delay_ns
            ):
                true += 1
            elif condition.bad == DEGRADE:
                left -= 1
        if left == 0:
            return BLIND
        needed = min(cause.votes, left)
        if true >= needed:
            return TRUE
        return BLIND if true + bad >= needed else NO

    def reached(self, index: int) -> int:
        """The vote, where the row is valid and, if blind, its devices have said what they do."""
        cause, row = self.model.causes[index], self.rows[index]
        found = self.vote(cause)
        if self.told_by_board(cause):
            found = TRUE
        if cause.valid_flag >= 0:
            set_ = self.signals[cause.valid_flag].value > 0.5
            valid = set_ if cause.valid_when == 1 else not set_
            if valid == bool(row.invalid):
                row.invalid = int(not valid)
                self.tell(Event.VALIDITY, index, float(valid))
            if not valid:
                return NO
        unread = any(self.outputs[effect.output].adopting for effect in self.actuating(index))
        return NO if found == BLIND and unread else found

    def told_by_board(self, cause: Any) -> bool:
        """Whether the board that runs the row, too, says that it stands there."""
        if cause.told < 0:
            return False
        return self.signals[cause.told].quality != BAD and self.signals[cause.told].value > 0.5

    def actuating(self, index: int) -> list[Any]:
        """The effects of a cause that act on outputs."""
        return self.model.actuating[index]

    def stands(self, index: int) -> bool:
        """Whether a cause stands: its vote held for its delay, or its off-delay runs."""
        cause, row = self.model.causes[index], self.rows[index]
        row.reached = self.reached(index)
        if row.reached == NO:
            row.true_since = NEVER
        elif row.reached == TRUE and row.true_since == NEVER:
            row.true_since = self.now
        if row.reached != BLIND:
            row.blind_since = NEVER
        elif row.blind_since == NEVER:
            row.blind_since = self.now
        if row.bypass_until > 0:
            if self.now < row.bypass_until:
                return False
            row.bypass_until = 0
            self.tell(Event.BYPASS_LAPSED, index)
        long_true = row.true_since != NEVER and self.now - row.true_since >= cause.on_delay_ns
        long_blind = row.reached == BLIND and self.now - row.blind_since >= cause.bad_delay_ns
        told = self.told_by_board(cause)
        if row.reached != NO and (row.stands or long_true or long_blind or told):
            row.stood_ns = self.now
            return True
        return row.stands == 1 and self.now - row.stood_ns < cause.off_delay_ns

    def judge(self, index: int) -> None:
        """One cause: its edges are events, a protect latches, first-out is kept."""
        cause, row = self.model.causes[index], self.rows[index]
        stands = self.stands(index)
        if stands and not row.stands:
            if not row.in_force:
                row.order = self.orders
                self.orders += 1
                self.enter(index)
            row.stands, row.asked, row.tripped_ns = 1, 0, self.now
            if cause.kind in (PROTECT, PLAUSIBILITY):
                row.latched = 1
            self.tell(Event.CAUSE_ACTIVE, index, float(row.place), float(row.reached))
            self.spoil(index)
        elif row.stands and not stands:
            row.stands = 0
            self.tell(Event.CAUSE_CLEARED, index, float(row.latched))
            if not row.latched:
                self.leave(index)
        waits = self.now - row.tripped_ns < cause.action_delay_ns
        unless = [self.signals[f].value > 0.5 for f in (cause.unless_a, cause.unless_b) if f >= 0]
        if row.in_force and not (row.asked or waits or any(unless)) and cause.action != 0:
            row.asked = 1
            self.tell(Event.ACTION, index, float(cause.action))

    def enter(self, index: int) -> None:
        """The next place of the row's first-out group; where nothing stood the order starts."""
        number = self.model.causes[index].group
        if number >= 0:
            group = self.groups[number]
            group.places = group.places if group.standing else 0
            self.rows[index].place = group.places
            group.places += 1
            group.standing += 1

    def leave(self, index: int) -> None:
        """The row neither stands nor is latched any more."""
        if self.model.causes[index].group >= 0:
            self.groups[self.model.causes[index].group].standing -= 1

    def spoiled(self, index: int) -> list[int]:
        """The signals whose quality a plausibility takes."""
        return self.model.spoiled[index]

    def spoil(self, index: int) -> None:
        """A plausibility's signals are bad, and suspect since its window began."""
        cause = self.model.causes[index]
        if cause.kind == PLAUSIBILITY:
            for place in self.spoiled(index):
                self.signals[place].stuck = 1
                self.signals[place].suspect_ns = self.now - cause.bad_window_ns
                self.set_quality(place, BAD, STUCK)

    # -- commands ---------------------------------------------------------------------------

    def carry_out(self, id_: int, verb: int, target: int, value: float) -> int:
        """One command; 0 or why not."""
        if id_ <= self.last_id:
            return Why.ALREADY_APPLIED
        self.last_id = id_
        if value - value != 0.0:  # not finite
            return Why.OUT_OF_RANGE
        if verb == Verb.SET_OUTPUT:
            return self.request(target, value)
        if verb == Verb.SET_FLAG:
            if value not in (0.0, 1.0):
                return Why.OUT_OF_RANGE
            if target == self.model.unit.held_flag and value < self.signals[target].value:
                for output in self.outputs:  # the end of a Hold gives free what resets left
                    output.locked = 0
            self.signals[target].value = value
            return 0
        if verb == Verb.LOCK:
            self.outputs[target].locked = 1
            return 0
        if verb == Verb.BYPASS and self.model.causes[target].bypassable:
            if not 0.0 <= value <= BYPASS_S_MAX:
                return Why.OUT_OF_RANGE
            self.rows[target].bypass_until = self.now + int(value * 1e9)
            self.tell(Event.BYPASS_SET, target, value)
            return 0
        done = (verb == Verb.LATCH and self.latch(target)) or (
            verb == Verb.RESET and self.reset(target)
        )
        return 0 if done else Why.NOT_POSSIBLE

    def request(self, target: int, value: float) -> int:
        """A person or a recipe wants an output somewhere."""
        limits, output = self.model.outputs[target], self.outputs[target]
        guard = self.model.unit.guard_flag
        if not limits.low <= value <= limits.high:
            return Why.OUT_OF_RANGE
        if limits.loop >= 0 and self.modes[limits.loop] != OFF:
            return Why.NOT_POSSIBLE
        guarded = guard >= 0 and self.signals[guard].value > 0.5
        if guarded and limits.environment and output.step(value) * limits.resolution < limits.keep:
            return Why.KEEPS_CELLS_ALIVE
        output.locked = 0
        self.asked(output, value)
        return 0

    def asked(self, output: Output, value: float) -> None:
        """What a command asks of an output, and the signal that shows it."""
        output.request = value
        if output.limits.asked >= 0:
            self.signals[output.limits.asked].value = value

    def reset(self, index: int) -> bool:
        """Cause gone and its signals good: the latch comes off, and nothing starts."""
        cause, row = self.model.causes[index], self.rows[index]
        places = range(cause.first_condition, cause.first_condition + cause.n_conditions)
        read = [self.model.conditions[place] for place in places]
        blind = cause.kind != PLAUSIBILITY and any(
            self.signals[c.signal].quality == BAD for c in read if c.op != IS_BAD
        )
        if blind or row.reached != NO or row.stands:
            self.tell(Event.RESET_REFUSED, index)
            return False
        if row.latched:
            row.latched = 0
            self.leave(index)
            held = {place for other, its in enumerate(self.rows) if its.latched
                    for place in self.spoiled(other)}  # fmt: skip
            for place in self.spoiled(index):
                self.signals[place].stuck = int(place in held)
            self.tell(Event.CAUSE_RESET, index)
        row.resets += 1
        return True

    def latch(self, index: int) -> bool:
        """A latch that a field before this one held: no new trip, nothing is asked again."""
        row = self.rows[index]
        if self.model.causes[index].kind not in (PROTECT, PLAUSIBILITY):
            return False
        if not row.latched:
            self.enter(index)
            row.latched, row.asked = 1, 1
            self.spoil(index)
        return True

    # -- effects ----------------------------------------------------------------------------

    def apply(self) -> None:
        """What every cause in force asks of the outputs."""
        for output in self.outputs:
            output.ask_nothing()
        for effect, wish in zip(self.model.effects, self.wishes, strict=True):
            if effect.op == SIGNAL_BAD:
                continue
            if not self.rows[effect.cause].in_force:
                wish.on = wish.proof = wish.second = 0
            elif self.model.causes[effect.cause].kind == PERMIT:
                output = self.outputs[effect.output]
                if abs(output.released - effect.value) <= 0.5 * output.limits.resolution:
                    output.ask(FORCE, effect.value, effect.cause)
            elif effect.op != MEAN or not self.outputs[effect.output].adopting:
                self.act(effect, wish)

    def act(self, effect: Any, wish: Wish) -> None:
        """One interlock's or protect's effect: it is written anew when it begins."""
        cause, output = self.model.causes[effect.cause], self.outputs[effect.output]
        begins = wish.on == 0
        if begins:
            wish.on, wish.since_ns = 1, self.now
            known = cause.bad_signal < 0
            until_ns = self.now if known else self.signals[cause.bad_signal].suspect_ns
            wish.mean = mean_until(output, until_ns)
            output.reassert = 1
        value = wish.mean if effect.op == MEAN else effect.value
        if begins:
            self.tell(Event.EFFECT_ON, effect.number, value)
        output.ask(FORCE if effect.op == MEAN else effect.op, value, effect.cause)
        if cause.kind == PROTECT and effect.op not in (AT_MOST, AT_LEAST):
            output.locked = 1  # until somebody commands it anew
        if effect.confirm_signal >= 0:
            self.confirm(effect, wish)

    def confirm(self, effect: Any, wish: Wish) -> None:
        """Feedback newer than the effect proves it, again and again; without it in time the second
        final element acts, and goes on until the cause is gone."""
        signal = self.signals[effect.confirm_signal]
        there = (
            signal.value < effect.confirm_limit if effect.confirm_op == BELOW
            else signal.value > effect.confirm_limit
        )  # fmt: skip
        if there and signal.quality != BAD and signal.sample_ns > wish.since_ns:
            if wish.proof != 1:
                self.tell(Event.CONFIRMED, effect.number, effect.value)
            wish.proof, wish.since_ns = 1, signal.sample_ns
        elif wish.proof != 2 and self.now - wish.since_ns > effect.confirm_ns:
            wish.proof, wish.second = 2, int(effect.second_output >= 0)
            if wish.second:
                self.outputs[effect.second_output].reassert = 1
            self.tell(Event.NOT_CONFIRMED, effect.number, effect.value, signal.value)
        if wish.second:
            second = self.outputs[effect.second_output]
            second.locked = 1
            second.ask(FORCE, effect.second_value, effect.cause)
