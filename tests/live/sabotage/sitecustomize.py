"""Makes a serial driver of a field raise once, as unforeseen code does. For a process that has this
folder on its path: when the file named by CELLWRIGHT_TEST_TRIGGER holds a link's name, the next
answer on that link raises."""

import os
import sys
from pathlib import Path

if "controller.field" in sys.orig_argv:
    from controller.field.links.machine import SerialLink

    trigger = Path(os.environ["CELLWRIGHT_TEST_TRIGGER"])
    feed = SerialLink.feed

    def sabotaged(self, data, now_ns):
        if trigger.exists() and trigger.read_text() == self.plan.name:
            trigger.unlink()
            raise RuntimeError("a driver nobody tested")
        return feed(self, data, now_ns)

    SerialLink.feed = sabotaged
