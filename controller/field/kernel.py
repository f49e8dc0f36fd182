"""One scan: commands -> sense -> blocks -> causes -> effects -> loops -> gate.

The scan allocates nothing, calls no Python and logs nothing (law 7). Its parts stand in sense,
blocks, matrix, effects, loops and gate; this file is the order in which they run.
"""

from __future__ import annotations

import math

from controller.core.signal import Quality
from controller.field import atomic, blocks, effects, gate, loops, matrix
from controller.field.hint import rare
from controller.field.image import COMMAND_CAPACITY, Image
from controller.field.jit import kernel
from controller.field.ring import (
    COMMAND_HEAD,
    COMMAND_TAIL,
    HOLD_WORD,
    LOCK,
    EventKind,
    Why,
    emit,
)
from controller.field.sense import sense
from controller.field.verbs import Verb
from controller.field.views import Handles, image_at, plan_at
from controller.profile.plan import BlockOp, Mode, Plan, SignalKind

GOOD, BAD = int(Quality.GOOD), int(Quality.BAD)
FLAG = int(SignalKind.FLAG)
OFF, MANUAL = int(Mode.OFF), int(Mode.MANUAL)
AUTO, CASCADE = int(Mode.AUTO), int(Mode.CASCADE)
APPLIED, REFUSED = int(EventKind.APPLIED), int(EventKind.REFUSED)
BYPASS_SET = int(EventKind.BYPASS_SET)
SET_SP, SET_MODE, SET_OP = int(Verb.SET_SP), int(Verb.SET_MODE), int(Verb.SET_OP)
SET_OUTPUT, SET_FLAG = int(Verb.SET_OUTPUT), int(Verb.SET_FLAG)
RESET, BYPASS = int(Verb.RESET), int(Verb.BYPASS)
LATCH, SET_TOTAL = int(Verb.LATCH), int(Verb.SET_TOTAL)
LOCK_OUTPUT = int(Verb.LOCK)
TOTAL = int(BlockOp.TOTAL)
EXPIRED, REPEATED = int(Why.EXPIRED), int(Why.ALREADY_APPLIED)
UNKNOWN, RANGE = int(Why.UNKNOWN_TARGET), int(Why.OUT_OF_RANGE)
ALIVE, IMPOSSIBLE = int(Why.KEEPS_CELLS_ALIVE), int(Why.NOT_POSSIBLE)
BYPASS_S_MAX = 3_600.0


@kernel
def guarded(plan: Plan, image: Image) -> bool:
    """Whether cells may depend on heat, stirring and oxygen now (safety.md: batch open)."""
    flag = plan.unit[0].guard_flag
    return bool(flag >= 0 and image.signals[flag].value > 0.5)


@kernel
def drives_environment(plan: Plan, loop: int) -> bool:
    """Whether a loop drives, or is the master of one that drives, heat, stirring or oxygen."""
    for index in range(len(plan.loops)):
        if index != loop and plan.loops[index].master != loop:
            continue
        first = plan.loops[index].first_segment
        for place in range(first, first + plan.loops[index].n_segments):
            if plan.outputs[plan.segments[place].output].environment == 1:
                return True
    return False


@kernel
def starves(plan: Plan, index: int, demand: float) -> bool:
    """Whether a loop's demand turns off everything that heats, stirs or brings oxygen in it."""
    loop = plan.loops[index]
    if loop.n_segments == 0:
        return bool(demand <= loop.low and drives_environment(plan, index))
    found = False
    for place in range(loop.first_segment, loop.first_segment + loop.n_segments):
        output = plan.outputs[plan.segments[place].output]
        if output.environment == 1:
            found = True
            value = loops.segment_value(plan, place, demand)
            if gate.quantised(value, output.resolution) >= output.keep:
                return False
    return found


@kernel
def unlock(plan: Plan, image: Image, index: int) -> None:
    """A new command to a loop gives free what a reset left where it was."""
    for other in range(len(plan.loops)):
        if other != index and plan.loops[other].master != index:
            continue
        first = plan.loops[other].first_segment
        for place in range(first, first + plan.loops[other].n_segments):
            image.outputs[plan.segments[place].output].locked = 0


@kernel
def set_mode(plan: Plan, image: Image, target: int, value: float, now_ns: int) -> int:
    """Changes a loop's mode without a bump; 0 or why not."""
    loop = plan.loops[target]
    state = image.loops[target]
    mode = int(value)
    if mode < OFF or mode > CASCADE or float(mode) != value:
        return RANGE
    if mode == CASCADE and (loop.master < 0 or image.loops[loop.master].mode == OFF):
        return IMPOSSIBLE
    if mode != OFF and loops.awaits_readback(plan, image, target):
        return IMPOSSIBLE  # it would start from nothing what the device still does
    demand = loops.shown(plan, image, target)
    if (
        guarded(plan, image)
        and drives_environment(plan, target)
        and (mode == OFF or (mode == MANUAL and starves(plan, target, demand)))
    ):
        return ALIVE
    unlock(plan, image, target)
    if state.mode == mode:
        return 0
    known = image.signals[loop.pv].quality != BAD
    if mode == CASCADE and state.mode == OFF and known:
        # Nobody gave it a setpoint: it starts where its process value is, and its master there.
        state.sp = loops.clip(image.signals[loop.pv].value, loop.sp_low, loop.sp_high)
    loops.begin(plan, image, target, demand, now_ns)
    if mode == OFF:
        for place in range(loop.first_segment, loop.first_segment + loop.n_segments):
            output = plan.segments[place].output
            gate.ask(plan, image, output, image.outputs[output].released)
    if loop.master >= 0:
        image.loops[loop.master].track = 0
        if mode == CASCADE and (state.mode != OFF or known):
            master = plan.loops[loop.master]
            wish = loops.clip(state.sp, master.low, master.high)
            loops.begin(plan, image, loop.master, wish, now_ns)
    state.mode = mode
    image.signals[loop.auto_signal].value = 1.0 if mode >= AUTO else 0.0
    return 0


@kernel
def set_loop(plan: Plan, image: Image, verb: int, target: int, value: float, now_ns: int) -> int:
    """Applies a setpoint, mode or demand; 0 or why not."""
    if target < 0 or target >= len(plan.loops):
        return UNKNOWN
    loop = plan.loops[target]
    state = image.loops[target]
    if verb == SET_MODE:
        return set_mode(plan, image, target, value, now_ns)
    if verb == SET_SP:
        if state.mode == CASCADE:
            return IMPOSSIBLE
        if not (loop.sp_low <= value <= loop.sp_high):
            return RANGE
        state.sp = value
        image.signals[loop.sp_signal].value = value
        return 0
    if not (loop.low <= value <= loop.high):
        return RANGE
    if state.mode != MANUAL:
        return IMPOSSIBLE
    if guarded(plan, image) and starves(plan, target, value):
        return ALIVE
    unlock(plan, image, target)
    state.op = value
    return 0


@kernel
def set_output(plan: Plan, image: Image, target: int, value: float) -> int:
    """Applies a direct request to an actuator; 0 or why not."""
    if target < 0 or target >= len(plan.outputs):
        return UNKNOWN
    limits = plan.outputs[target]
    if not (limits.low <= value <= limits.high):
        return RANGE
    if limits.loop >= 0 and image.loops[limits.loop].mode != OFF:
        return IMPOSSIBLE
    off = gate.quantised(value, limits.resolution) < limits.keep
    if off and limits.environment == 1 and guarded(plan, image):
        return ALIVE
    gate.ask(plan, image, target, value)
    image.outputs[target].locked = 0
    return 0


@kernel
def carry_out(plan: Plan, image: Image, place: int, now_ns: int) -> int:
    """Applies one command of the ring; 0 or why not."""
    order = image.commands[place]
    target, value = order.target, order.value
    if order.id <= image.head[0].last_command_id:
        return REPEATED
    image.head[0].last_command_id = order.id
    if now_ns > order.valid_until_ns:
        return EXPIRED
    if not math.isfinite(value):
        return RANGE
    if order.verb == SET_SP or order.verb == SET_MODE or order.verb == SET_OP:
        return set_loop(plan, image, order.verb, target, value, now_ns)
    if order.verb == SET_OUTPUT:
        return set_output(plan, image, target, value)
    if order.verb == SET_FLAG:
        if target < 0 or target >= len(plan.signals) or plan.signals[target].kind != FLAG:
            return UNKNOWN
        if value != 0.0 and value != 1.0:
            return RANGE
        if target == plan.unit[0].held_flag and value < image.signals[target].value:
            for output in range(len(plan.outputs)):
                image.outputs[output].locked = 0
        image.signals[target].value = value
        return 0
    if order.verb == SET_TOTAL:
        if target < 0 or target >= len(plan.blocks) or plan.blocks[target].op != TOTAL:
            return UNKNOWN
        image.signals[plan.blocks[target].target].value = value
        return 0
    if order.verb == LOCK_OUTPUT:
        if target < 0 or target >= len(plan.outputs):
            return UNKNOWN
        image.outputs[target].locked = 1
        return 0
    if target < 0 or target >= len(plan.causes):
        return UNKNOWN
    if order.verb == LATCH:
        return 0 if matrix.latch(plan, image, target, now_ns) else IMPOSSIBLE
    if order.verb == RESET:
        return 0 if matrix.reset(plan, image, target) else IMPOSSIBLE
    if order.verb == BYPASS and plan.causes[target].bypassable == 1:
        if not 0.0 <= value <= BYPASS_S_MAX:
            return RANGE
        image.causes[target].bypass_until_ns = now_ns + int(value * 1e9)
        emit(image, BYPASS_SET, target, value, 0.0)
        return 0
    return IMPOSSIBLE


@kernel
def take_commands(plan: Plan, image: Image, now_ns: int) -> None:
    """Applies every queued command once, at the scan boundary, and answers each."""
    head = image.head[0]
    end = atomic.load(image.head, COMMAND_HEAD)
    while head.command_tail < end:
        place = head.command_tail % COMMAND_CAPACITY
        why = carry_out(plan, image, place, now_ns)
        kind = APPLIED if why == 0 else REFUSED
        emit(image, kind, image.commands[place].id, float(why), image.commands[place].value)
        atomic.store(image.head, COMMAND_TAIL, head.command_tail + 1)


@kernel
def take_hold(plan: Plan, image: Image, pressed: int) -> None:
    """A Hold is protective: it waits for no record, and no command of this scan undoes it."""
    image.head[0].holds_seen = pressed
    if plan.unit[0].held_flag >= 0:
        image.signals[plan.unit[0].held_flag].value = 1.0


# Each part of the scan is a function of its own, for the compiler keeps more of one loop in
# registers than of six. They take addresses: tables would cost two hundred arguments a call.


@kernel
def sense_at(handles: Handles, now_ns: int, seconds: float) -> None:
    """Samples and blocks."""
    plan, image = plan_at(handles), image_at(handles)
    sense(plan, image, now_ns)
    blocks.compute(plan, image, now_ns, seconds)


@kernel
def evaluate_at(handles: Handles, now_ns: int) -> None:
    """Causes."""
    matrix.evaluate(plan_at(handles), image_at(handles), now_ns)


@kernel
def apply_at(handles: Handles, now_ns: int) -> None:
    """Effects."""
    effects.apply(plan_at(handles), image_at(handles), now_ns)


@kernel
def run_loops_at(handles: Handles, now_ns: int) -> None:
    """Loops."""
    loops.run_loops(plan_at(handles), image_at(handles), now_ns)


@kernel
def release_at(handles: Handles, now_ns: int) -> None:
    """The gate."""
    gate.release(plan_at(handles), image_at(handles), now_ns)


@kernel
def take_commands_at(handles: Handles, now_ns: int) -> None:
    """Commands."""
    take_commands(plan_at(handles), image_at(handles), now_ns)


@kernel
def scan_at(handles: Handles, now_ns: int) -> int:
    """One whole scan at `now_ns`; returns 1 if it put an event that is not modulating.

    The image is written under the sequence lock: odd while a scan is under way.
    """
    image = image_at(handles)
    head = image.head[0]
    atomic.store(image.head, LOCK, head.lock + 1)
    atomic.fence_release()
    seconds = (now_ns - head.now_ns) * 1e-9
    head.now_ns = now_ns
    head.scan += 1
    head.urgent = 0
    if rare(head.command_tail < atomic.load(image.head, COMMAND_HEAD)):
        take_commands_at(handles, now_ns)
    pressed = atomic.load(image.head, HOLD_WORD)
    if rare(pressed != head.holds_seen):
        take_hold(plan_at(handles), image, pressed)
    sense_at(handles, now_ns, seconds)
    evaluate_at(handles, now_ns)
    apply_at(handles, now_ns)
    run_loops_at(handles, now_ns)
    release_at(handles, now_ns)
    atomic.store(image.head, LOCK, head.lock + 1)
    return int(head.urgent)


@kernel
def initialise_at(handles: Handles, now_ns: int, restarted: bool = False) -> None:
    """Gives the signals that are not measured their first, good value.

    With `restarted` a batch is open: the unit's flag says so, and what keeps the cells alive is
    not known until it was read back; nothing is written to it before.
    """
    plan, image = plan_at(handles), image_at(handles)
    for index in range(len(plan.signals)):
        kind = plan.signals[index].kind
        if kind != 0 and kind != 1:
            image.signals[index].quality = GOOD
            image.signals[index].reason = 0
            image.signals[index].sample_ns = now_ns
        if kind == FLAG:
            image.signals[index].value = plan.signals[index].start
    for index in range(len(plan.loops)):
        image.signals[plan.loops[index].sp_signal].value = image.loops[index].sp
    for output in range(len(plan.outputs)):
        gate.ask(plan, image, output, image.outputs[output].request)
        if restarted and plan.outputs[output].read_back == 1:
            gate.begin_adopting(plan, image, output)
        image.signals[plan.outputs[output].signal].value = image.outputs[output].released
    if restarted and plan.unit[0].restarted_flag >= 0:
        image.signals[plan.unit[0].restarted_flag].value = 1.0


@kernel
def let_go_at(handles: Handles, now_ns: int) -> None:
    """The last releases of a field that ends in order.

    With a batch open only what does not keep the cells alive goes to its start value: heat,
    stirring and gas stay as they are, and their devices keep them. Without one everything does.
    """
    plan, image = plan_at(handles), image_at(handles)
    stays = guarded(plan, image)
    if plan.unit[0].restarted_flag >= 0:
        stays = stays or image.signals[plan.unit[0].restarted_flag].value > 0.5
    for output in range(len(plan.outputs)):
        if stays and plan.outputs[output].read_back == 1:
            continue
        image.outputs[output].adopting = 0
        gate.put(image, output, plan.outputs[output].start, -1, 1, now_ns)
