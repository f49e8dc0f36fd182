"""Two programs never drive one line; a pseudo terminal's number that was given again is another."""

from __future__ import annotations

import os
import time

import pytest

from controller.core.errors import Refused
from controller.field.lock import hold_lines


def test_a_line_that_a_living_field_drives_is_refused_to_another(tmp_path):
    master, slave = os.openpty()
    name = os.ttyname(slave)
    link = tmp_path / "balance.tty"
    link.symlink_to(name)
    held = hold_lines(tmp_path, [f"pty:{name}"])
    os.write(master, b"S S\r\n")
    with pytest.raises(Refused, match="a living field owns"):
        hold_lines(tmp_path, [f"pty:{link}"])
    for descriptor in (*held, master, slave):
        os.close(descriptor)


def test_a_number_given_again_is_not_the_terminal_that_is_gone(tmp_path):
    master, slave = os.openpty()
    name = os.ttyname(slave)
    held = hold_lines(tmp_path, [f"pty:{name}"])
    os.close(master)
    os.close(slave)
    time.sleep(0.05)  # the time of making is that of the last tick of the machine
    spare = []
    for _ in range(64):  # others on this machine make terminals too
        spare += os.openpty()
        if os.ttyname(spare[-1]) == name:
            break
    assert os.ttyname(spare[-1]) == name
    again = hold_lines(tmp_path, [f"pty:{name}"])
    for descriptor in (*held, *again, *spare):
        os.close(descriptor)
