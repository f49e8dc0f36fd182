"""Samples become signals: drained from the input rings, judged, aged.

Law 3: a value without quality and age is not a value; not finite is bad. A bad sample never
overwrites the last value, it only takes its quality away.
"""

from __future__ import annotations

import math

from controller.core.signal import Quality, Reason
from controller.field import atomic
from controller.field.hint import rare
from controller.field.image import INPUT_CAPACITY, Image
from controller.field.jit import at, inlined
from controller.field.ring import BEAT_WORD, RING_BYTES, RING_HEAD, RING_TAIL, EventKind, emit
from controller.profile.plan import Plan, SignalKind

GOOD, UNCERTAIN, BAD = int(Quality.GOOD), int(Quality.UNCERTAIN), int(Quality.BAD)
NONE, TOO_OLD, NOT_FINITE = int(Reason.NONE), int(Reason.TOO_OLD), int(Reason.NOT_FINITE)
OUT_OF_RANGE, TOO_FAST = int(Reason.OUT_OF_RANGE), int(Reason.TOO_FAST)
COMMUNICATION, DRIVER = int(Reason.COMMUNICATION), int(Reason.DRIVER)
STUCK, DEVICE = int(Reason.STUCK), int(Reason.DEVICE)
INPUT, LINK_AGE = int(SignalKind.INPUT), int(SignalKind.LINK_AGE)
EV_QUALITY = int(EventKind.QUALITY)


@inlined
def set_quality(image: Image, index: int, quality: int, reason: int) -> None:
    """Changes a signal's quality; a change of the quality itself is an event."""
    signal = image.signals[at(index)]
    if rare(signal.quality != quality):
        emit(image, EV_QUALITY, index, float(signal.quality), float(quality * 100 + reason))
    signal.quality = quality
    signal.reason = reason


@inlined
def judge(plan: Plan, image: Image, index: int, value: float, sample_ns: int, now_ns: int) -> int:
    """The reason why a sample of device quality good must not be believed, or NONE."""
    limits = plan.signals[at(index)]
    signal = image.signals[at(index)]
    if rare(now_ns - sample_ns > limits.max_age_ns):
        return TOO_OLD
    if rare(not math.isfinite(value)):
        return NOT_FINITE
    if rare(value < limits.low or value > limits.high):
        return OUT_OF_RANGE
    if limits.rate_max > 0.0 and signal.quality == GOOD and sample_ns > signal.sample_ns:
        seconds = (sample_ns - signal.sample_ns) * 1e-9
        if rare(abs(value - signal.value) > limits.rate_max * seconds):
            return TOO_FAST
    return NONE


@inlined
def accept(plan: Plan, image: Image, row_index: int, link: int, now_ns: int) -> None:
    """Takes one queued sample into the image.

    A link is as fresh as the newest sample it brought: a server that answers with yesterday's
    values is silent. A good sample older than the one we hold is no news.
    """
    row = image.inputs[at(link), at(row_index)]
    index = row.point
    if rare(index < 0 or index >= len(plan.signals) or plan.signals[at(index)].kind != INPUT):
        return
    signal = image.signals[at(index)]
    quality, reason = row.quality, row.reason
    if rare(quality != GOOD and quality != UNCERTAIN and quality != BAD):
        quality, reason = BAD, DEVICE
    # A device's clock may run ahead: no sample is from the future, or it would never grow old.
    sample_ns = min(row.sample_ns, now_ns)
    came = reason != COMMUNICATION and reason != DRIVER
    if came and sample_ns > image.links[at(link)].last_good_ns:
        image.links[at(link)].last_good_ns = sample_ns
    if quality != BAD:
        found = judge(plan, image, index, row.value, sample_ns, now_ns)
        if rare(found != NONE):
            quality, reason = BAD, found
        elif signal.quality != BAD and sample_ns < signal.sample_ns:
            return
    if quality != BAD:
        signal.value = row.value
        signal.sample_ns = sample_ns
        if signal.forced_bad == 0:
            signal.suspect_ns = sample_ns
    if rare(signal.forced_bad == 1):
        quality, reason = BAD, STUCK
    set_quality(image, index, quality, reason)


@inlined
def sense(plan: Plan, image: Image, now_ns: int) -> None:
    """Drains every link's ring, then ages every input, link and the supervisor."""
    for link in range(len(plan.links)):
        place = image.input_rings[at(link)].tail
        end = atomic.load(image.input_rings, link * RING_BYTES + RING_HEAD)
        while place < end:
            accept(plan, image, place % INPUT_CAPACITY, link, now_ns)
            place += 1
        atomic.store(image.input_rings, link * RING_BYTES + RING_TAIL, place)
        age = image.signals[at(plan.links[at(link)].age_signal)]
        age.value = (now_ns - image.links[at(link)].last_good_ns) * 1e-9
        age.quality = GOOD
        age.reason = NONE
        age.sample_ns = now_ns
    supervisor = plan.unit[0].supervisor_signal
    if supervisor >= 0:
        silent_ns = now_ns - atomic.load(image.head, BEAT_WORD)
        image.signals[at(supervisor)].value = max(silent_ns, 0) * 1e-9
        image.signals[at(supervisor)].sample_ns = now_ns
    for index in range(len(plan.signals)):
        if plan.signals[at(index)].kind != INPUT:
            continue
        signal = image.signals[at(index)]
        if rare(
            signal.quality != BAD and now_ns - signal.sample_ns > plan.signals[at(index)].max_age_ns
        ):
            set_quality(image, index, BAD, TOO_OLD)
