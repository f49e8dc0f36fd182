"""One end of every ring, in a process of its own: `ring_stress.py ROLE PLAN REGION CONTROL JOBS`.

ROLE is `put` or `take`, JOBS is `CASE=COUNT,...`. The n-th message is number n and carries a
checksum over all its fields. The taking end counts what is torn (wrong checksum) and what is lost,
repeated or out of order (wrong number). CONTROL is a small file of shared words that keeps the two
ends in step. Cases named `mutant_...` break one rule of the memory model on purpose.
"""

from __future__ import annotations

import json
import mmap
import sys
import time
from pathlib import Path

import numpy as np
from ring_events import (
    RESTS,
    give_way,
    mix,
    put_events,
    put_events_head_first,
    sum_of,
    take_events,
    take_events_tail_first,
)

from controller.field import atomic
from controller.field.image import (
    COMMAND_CAPACITY,
    HEAD,
    HISTORY_CAPACITY,
    INPUT_CAPACITY,
    NOTE_BYTES,
    NOTE_CAPACITY,
    attach,
    snapshot_of,
)
from controller.field.jit import kernel
from controller.field.ring import (
    COMMAND_HEAD,
    COMMAND_TAIL,
    HISTORY_HEAD,
    HISTORY_TAIL,
    LOCK,
    RING_BYTES,
    RING_HEAD,
    RING_TAIL,
    copy_locked,
    put_command,
    put_note,
    put_sample,
    remember,
)
from controller.field.views import Bound, image_at
from controller.profile.planfile import complete, open_file

CONTROL_WORDS = 64
PUTTING, TAKING, DONE = 0, 16, 32  # words of CONTROL: each end's last job begun; the job done
LINK = 1  # whose input ring and note ring are used
HEAD_WORDS = HEAD.itemsize // 8
STRIDE = 0x9E3779B97F4A7C1


# -- history ----------------------------------------------------------------------------------


@kernel
def put_history(handles, count):
    image = image_at(handles)
    head = image.head[0]
    for number in range(count):
        while head.history_head - atomic.load(image.head, HISTORY_TAIL) >= HISTORY_CAPACITY:
            give_way()
        head.scan = number
        output, cause = mix(number) & 0xFFFF, mix(number) >> 20
        remember(image, output, float(sum_of(number, output, cause, 0)), cause)
    return head.history_lost


@kernel
def take_history(handles, count, bad):
    image = image_at(handles)
    place = atomic.load(image.head, HISTORY_TAIL)
    while place < count:
        end = atomic.load(image.head, HISTORY_HEAD)
        if end == place:
            give_way()
        while place < end:
            row = image.history[place % HISTORY_CAPACITY]
            bad[0] += int(row.value != float(sum_of(row.scan, row.output, row.cause, 0)))
            bad[1] += int(row.scan != place)
            place += 1
        atomic.store(image.head, HISTORY_TAIL, place)


# -- samples ----------------------------------------------------------------------------------


@kernel
def put_samples(handles, count):
    image = image_at(handles)
    rings, tail = image.input_rings, LINK * RING_BYTES + RING_TAIL
    for number in range(count):
        while rings[LINK].head - atomic.load(rings, tail) >= INPUT_CAPACITY:
            give_way()
        point, quality, reason = mix(number) >> 30, number & 3, mix(number) & 0xFF
        check = sum_of(point, quality, reason, number)
        put_sample(rings, image.inputs, LINK, point, float(check), quality, reason, number)
    return rings[LINK].lost


@kernel
def take_samples(handles, count, bad):
    image = image_at(handles)
    rings, base = image.input_rings, LINK * RING_BYTES
    place = atomic.load(rings, base + RING_TAIL)
    while place < count:
        end = atomic.load(rings, base + RING_HEAD)
        if end == place:
            give_way()
        while place < end:
            row = image.inputs[LINK, place % INPUT_CAPACITY]
            check = sum_of(row.point, row.quality, row.reason, row.sample_ns)
            bad[0] += int(row.value != float(check))
            bad[1] += int(row.sample_ns != place)
            place += 1
        atomic.store(rings, base + RING_TAIL, place)


# -- notes ------------------------------------------------------------------------------------


@kernel
def put_notes(handles, count, text):
    """`text` is u1 of 64: 8 bytes of number, 8 of checksum, the rest filled from the number."""
    image = image_at(handles)
    rings, tail = image.note_rings, LINK * RING_BYTES + RING_TAIL
    for number in range(count):
        while rings[LINK].head - atomic.load(rings, tail) >= NOTE_CAPACITY:
            give_way()
        length, check = 16 + mix(number) % 49, 0
        for index in range(16, length):
            text[index] = (number + index) & 0xFF
            check += (index + 1) * text[index]
        for index in range(8):
            text[index] = (number >> (8 * index)) & 0xFF
            text[8 + index] = (mix(number + check) >> (8 * index)) & 0xFF
        put_note(rings, image.notes, LINK, text[:length])
    return rings[LINK].lost


@kernel
def take_notes(handles, count, bad):
    image = image_at(handles)
    rings, base = image.note_rings, LINK * RING_BYTES
    place = atomic.load(rings, base + RING_TAIL)
    while place < count:
        end = atomic.load(rings, base + RING_HEAD)
        if end == place:
            give_way()
        while place < end:
            start = place % NOTE_CAPACITY * NOTE_BYTES
            length = int(image.notes[LINK, start]) + (int(image.notes[LINK, start + 1]) << 8)
            number, found, check = 0, 0, 0
            for index in range(8):
                number |= int(image.notes[LINK, start + 2 + index]) << (8 * index)
                found |= int(image.notes[LINK, start + 10 + index]) << (8 * index)
            for index in range(16, min(length, NOTE_BYTES - 2)):
                check += (index + 1) * int(image.notes[LINK, start + 2 + index])
            bad[0] += int(found != mix(number + check) or length != 16 + mix(number) % 49)
            bad[1] += int(number != place)
            place += 1
        atomic.store(rings, base + RING_TAIL, place)


# -- commands ---------------------------------------------------------------------------------


@kernel
def put_commands(handles, count):
    image = image_at(handles)
    for number in range(count):
        verb, target = mix(number) & 15, (mix(number) >> 8) & 0xFFFF
        until = mix(number) >> 3
        value = float(sum_of(number, verb, target, until))
        while not put_command(image.head, image.commands, number, verb, target, value, until):
            give_way()
    return 0


@kernel
def take_commands(handles, count, bad):
    image = image_at(handles)
    place = atomic.load(image.head, COMMAND_TAIL)
    while place < count:
        end = atomic.load(image.head, COMMAND_HEAD)
        if end == place:
            give_way()
        while place < end:
            row = image.commands[place % COMMAND_CAPACITY]
            check = sum_of(row.id, row.verb, row.target, row.valid_until_ns)
            bad[0] += int(row.value != float(check))
            bad[1] += int(row.id != place)
            place += 1
        atomic.store(image.head, COMMAND_TAIL, place)


# -- the image --------------------------------------------------------------------------------


@kernel
def write_image(handles, words, control, done, locked):
    """Writes every word behind the head, as a scan does, once and until the reader is done."""
    image = image_at(handles)
    head = image.head[0]
    number = 0
    while True:
        number += 1
        if locked:
            atomic.store(image.head, LOCK, head.lock + 1)
            atomic.fence_release()
        for index in range(HEAD_WORDS, len(words)):
            if not locked and index == len(words) // 2:
                give_way()  # an interruption in the middle of a scan
            words[index] = number + index * STRIDE
        if locked:
            atomic.store(image.head, LOCK, head.lock + 1)
        for _ in range(RESTS):
            give_way()
        if atomic.load(control, done) == 1:
            return number


@kernel
def read_image(head, words, copy, count, bad):
    last, done = 0, 0
    while done < count:
        if not copy_locked(head, words, copy):
            continue
        done += 1
        number = copy[HEAD_WORDS] - HEAD_WORDS * STRIDE
        torn = 0
        for index in range(HEAD_WORDS, len(copy)):
            torn |= copy[index] - index * STRIDE ^ number
        bad[0] += int(torn != 0)
        bad[1] += int(number < last)
        last = number


# -- the two ends -----------------------------------------------------------------------------

PUT = {"events": put_events, "history": put_history, "samples": put_samples,
       "commands": put_commands, "mutant_head_first": put_events_head_first,
       "mutant_tail_first": put_events}  # fmt: skip
TAKE = {"events": take_events, "history": take_history, "samples": take_samples,
        "notes": take_notes, "commands": take_commands, "mutant_head_first": take_events,
        "mutant_tail_first": take_events_tail_first}  # fmt: skip


@kernel
def set_word(control, offset, value):
    atomic.store(control, offset, value)


@kernel
def get_word(control, offset):
    return atomic.load(control, offset)


def meet(control, mine, other, job):
    """Both ends begin a job at once."""
    set_word(control, mine * 8, job)
    while get_word(control, other * 8) < job:
        time.sleep(0.001)


def mapped(path):
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), 0)


def main():
    role, plan, region, control, jobs = sys.argv[1:]
    plan = complete(open_file(Path(plan))).plan
    image = attach(plan, mapped(Path(region)))
    words = np.frombuffer(mapped(Path(control)), np.int64)
    bound = Bound(plan, image)
    _, copy, snapshot = snapshot_of(plan, image)
    for job, (case, text) in enumerate((item.split("=") for item in jobs.split(",")), 1):
        count, found, bad = int(text), [], np.zeros(2, np.int64)
        handles, done = bound.handles, (DONE + job) * 8
        warm(role, case, handles, words, copy, snapshot)
        if role == "take":
            meet(words, TAKING, PUTTING, job)
            began = time.perf_counter()
            if "image" in case or case == "mutant_no_lock":
                read_image(image.head, snapshot, copy, count, bad)
            else:
                TAKE[case](handles, count, bad)
            found = {"case": case, "count": count, "torn": int(bad[0]), "wrong": int(bad[1]),
                     "seconds": time.perf_counter() - began}  # fmt: skip
            print(json.dumps(found), flush=True)
            empty(image)
            set_word(words, done, 1)
        else:
            meet(words, PUTTING, TAKING, job)
            lost = 0
            if "image" in case or case == "mutant_no_lock":
                write_image(handles, snapshot, words, done, case == "image")
            elif case == "notes":
                lost = put_notes(handles, count, np.zeros(64, np.uint8))
            else:
                lost = PUT[case](handles, count)
            while get_word(words, done) == 0:
                time.sleep(0.001)
            print(json.dumps({"case": case, "lost": int(lost)}), flush=True)


def warm(role, case, handles, control, copy, snapshot):
    """Compiles what the job calls; nothing is put or taken, but one whole image is written."""
    bad = np.zeros(2, np.int64)
    if role == "take" and case in TAKE:
        TAKE[case](handles, 0, bad)
    elif role == "put" and case in PUT:
        PUT[case](handles, 0)
    elif case == "notes":
        put_notes(handles, 0, np.zeros(64, np.uint8))
    elif role == "take":
        read_image(np.zeros(1, HEAD), snapshot, copy, 0, bad)
    else:
        set_word(control, (CONTROL_WORDS - 1) * 8, 1)
        write_image(handles, snapshot, control, (CONTROL_WORDS - 1) * 8, True)


def empty(image):
    """The rings as they were at first: the next job counts from 0. Both ends rest meanwhile."""
    for name in ("event", "history", "command"):
        image.head[f"{name}_head"] = image.head[f"{name}_tail"] = 0
    for rings in (image.input_rings, image.note_rings):
        rings["head"] = rings["tail"] = 0


if __name__ == "__main__":
    main()
