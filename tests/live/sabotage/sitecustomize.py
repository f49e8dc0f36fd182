"""Kills, stops or breaks a program at an exact place, and speaks at its desk.

For a process that has this folder on its path and a folder CELLWRIGHT_TEST_DOOR in its environment;
a file in there is one wish, taken once:

`raise`   (field) a link's name: its driver raises at the next answer, as unforeseen code does
`answer`  (field) the next entry of the event ring cannot be written: field dies there (SIGSEGV),
          after it applied a command and before it answered
`ask`     (supervisor) requests, asked at the desk
`die`     (supervisor) {when, actor, verb, nth}: killed `before` or `after` the hand-over of such a
          command to field, or stopped (`stop`) before it
"""

import ctypes
import json
import mmap
import os
import signal
import sys
from pathlib import Path

DOOR = Path(os.environ.get("CELLWRIGHT_TEST_DOOR", "/nonexistent"))


def wish(name):
    path = DOOR / name
    return json.loads(path.read_text()) if path.exists() else None


def taken(name):
    found = wish(name)
    if found is not None:
        (DOOR / name).unlink()
    return found


if {"controller.field", "controller.field.reserve"} & set(sys.orig_argv):
    from controller.field.image import EVENT_CAPACITY
    from controller.field.links.machine import SerialLink
    from controller.field.realtime import LiveField

    feed, watch = SerialLink.feed, LiveField.watch

    def sabotaged(self, data, now_ns):
        if wish("raise") == self.plan.name:
            taken("raise")
            raise RuntimeError("a driver nobody tested")
        return feed(self, data, now_ns)

    def mortal(self, now_ns):
        if taken("answer") is not None:
            image = self._image
            place = int(image.head["event_head"][0]) % EVENT_CAPACITY
            address = image.events.ctypes.data + place * image.events.itemsize
            page = address // mmap.PAGESIZE * mmap.PAGESIZE
            if page < image.events.ctypes.data:
                raise RuntimeError("the page holds more than events")
            ctypes.CDLL(None).mprotect(ctypes.c_void_p(page), mmap.PAGESIZE, mmap.PROT_READ)
            (DOOR / "armed").touch()
        return watch(self, now_ns)

    SerialLink.feed, LiveField.watch = sabotaged, mortal

if "controller.cli.supervise" in sys.orig_argv:
    from controller.desk import Desk, Request
    from controller.live import LiveRun

    beat, hand_over = LiveRun._beat, Desk.hand_over
    met = []

    def asked(self, stamp):
        for request in taken("ask") or ():
            self.station.supervisor.desk.ask(Request(**request))
        beat(self, stamp)

    def meant(desk, order, point):
        of_recipe = order.id in desk._recipe_ids
        return of_recipe == (point["actor"] == "recipe") and (
            order.verb.name.lower() == point["verb"] or not point["verb"]
        )

    def counted(self):
        point = wish("die")
        if point is not None and any(meant(self, order, point) for order in self._ready):
            met.append(1)
            if len(met) == point["nth"]:
                met.clear()
                taken("die")
                if point["when"] == "after":
                    hand_over(self)
                stopped = point["when"] == "stop"
                os.kill(os.getpid(), signal.SIGSTOP if stopped else signal.SIGKILL)
        hand_over(self)

    LiveRun._beat, Desk.hand_over = asked, counted
