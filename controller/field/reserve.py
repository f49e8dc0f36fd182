"""A field in reserve: everything is loaded and nothing is held, until the launcher's order comes.

A start of field takes a second and more before it scans, nearly all of it loading: numpy, the
compiled kernel, the OPC UA library. A reserve has that behind it. Until the order it has no lock,
no line and no region; from then on it is field, by the same way as a cold start (`program.run`).
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import sys
import threading
import time
from pathlib import Path

from controller.core.errors import BadInput, CellwrightError
from controller.field.program import REFUSED, arguments, carry_out
from controller.profile import planfile

MODULE = "controller.field.reserve"
COMMAND = ("-m", "controller.field")  # what an order's words follow
ORDER_BYTES_MAX = 65_536
READY, TAKEN = b"R", b"T"  # what it says: all is loaded; the order is understood
NICE = 10  # of loading: it may take long, but beside programs that only compute it must end
LOAD_FAILED = 70  # exit status of a reserve that could not load (EX_SOFTWARE)
_ARG_START, _ARG_END = 48, 49  # fields of /proc/PID/stat, counted from 1 (proc(5))


def main() -> None:
    """Loads, waits, and becomes field; ends with status 0 when the launcher is gone."""
    parser = argparse.ArgumentParser(prog="field in reserve")
    parser.add_argument("--plan", type=Path, required=True, help="compiled unit to load for")
    parser.add_argument("--station", required=True, help="whose reserve this is")
    asked = parser.parse_args()
    threading.Thread(target=_load_or_end, args=(asked.plan,), name="load", daemon=True).start()
    line = _order()
    started_ns = time.monotonic_ns()
    if line is None:
        os._exit(0)
    try:
        ordered = arguments(words_of(line))
    except BadInput as error:
        sys.stderr.write(f"field in reserve: {error}\n")
        sys.stderr.flush()
        os._exit(REFUSED)
    become_field()
    os.write(sys.stdout.fileno(), TAKEN)
    _let_the_launcher_go()
    carry_out(ordered, started_ns, "from the reserve")


def words_of(line: bytes) -> list[str]:
    """The words for field in an order, the JSON list of a whole command; raises BadInput."""
    try:
        command = json.loads(line)
    except ValueError:  # also of bytes that are no text
        command = None
    if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        raise BadInput("an order that is no list of words", do="Start field by its launcher.")
    if tuple(command[1:3]) != COMMAND:
        raise BadInput(f"an order that is not for field: {' '.join(command)[:200]}")
    return command[3:]


def load(plan: Path) -> None:
    """Imports and compiles, or loads, all that `program.run` needs. Raises BadInput."""
    from controller.field import first_frames, region  # noqa: F401 - to have them
    from controller.field.links.note import NoteKind  # noqa: F401
    from controller.field.realtime import warm
    from controller.profile.bounds import check_bounds

    found = planfile.load(plan)
    check_bounds(found.plan)
    warm(found.plan, len(found.links))
    if any(link.kind == "opcua" for link in found.links):
        from controller.field.links import opcua_worker  # noqa: F401
    if any(link.kind == "bridge" for link in found.links):
        from controller.field.links import bridge_worker  # noqa: F401


def become_field(module: str = MODULE) -> None:
    """Changes this process's command line: from now on it is a field for everybody who looks.

    One byte: the dot before the last word becomes the end of the word before. Who reads the
    command line (`controller.adopt`, `ps`) must never take a reserve for a field, nor miss one.
    """
    stat = Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()
    start, end = int(stat[_ARG_START - 3]), int(stat[_ARG_END - 3])
    words = ctypes.string_at(start, end - start)
    at = words.find(b"\0" + module.encode() + b"\0")
    if at >= 0:
        ctypes.memset(start + at + 1 + module.rfind("."), 0, 1)


def _load_or_end(plan: Path) -> None:
    """The loading thread. Only it is slowed: what was taken from the effort of a thread is not
    given back without privileges, and field's own threads shall not inherit it."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's own threads would inherit it
    try:
        load(plan)
        os.write(sys.stdout.fileno(), READY)
    except CellwrightError as error:
        sys.stderr.write(f"field in reserve: {error}\n")
    except BrokenPipeError:
        os._exit(0)
    except Exception as error:  # the next start of field is a cold one
        sys.stderr.write(f"field in reserve: {type(error).__name__}: {error}\n")
    else:
        return
    sys.stderr.flush()
    os._exit(LOAD_FAILED)


def _order() -> bytes | None:
    """Waits for one line; None when the launcher is gone."""
    line = b""
    while not line.endswith(b"\n") and len(line) < ORDER_BYTES_MAX:
        part = os.read(sys.stdin.fileno(), ORDER_BYTES_MAX - len(line))
        if not part:
            return None
        line += part
    return line


def _let_the_launcher_go() -> None:
    """Field outlives its launcher: from now on no pipe leads to it."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, sys.stdin.fileno())
    os.close(nothing)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


if __name__ == "__main__":
    main()
