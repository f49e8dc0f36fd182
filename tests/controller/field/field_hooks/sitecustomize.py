"""Makes one link worker of a field hang for ever, as a driver in the kernel may. For a process that
has this folder on its path: once the file named by CELLWRIGHT_TEST_HANG holds a link's name, that
worker never comes back from its next turn."""

import os
import sys
import time
from pathlib import Path

if "controller.field" in sys.orig_argv:
    from controller.field import realtime
    from controller.field.links.worker import Worker

    trigger = Path(os.environ["CELLWRIGHT_TEST_HANG"])
    exchange = Worker._exchange
    realtime.LINK_STILL_NS = 2_000_000_000  # as 30 s, but for a test

    def hanging(self):
        if trigger.exists() and trigger.read_text() == self.name:
            time.sleep(3_600)
        exchange(self)

    Worker._exchange = hanging
