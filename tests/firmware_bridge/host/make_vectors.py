"""Writes `vectors.json`: frames and faulty lines that Python and C must read alike.

Run it only when the protocol's version changes; the committed file is the reference.
"""

from __future__ import annotations

import json
from pathlib import Path

from firmware_bridge import messages as m
from firmware_bridge.codes import FRAME_MAX, Type
from firmware_bridge.frames import cobs_encode, encode
from firmware_bridge.layout import Wire

REQUESTS: tuple[Wire, ...] = (
    m.Hello(bytes(range(8))),
    m.Open(),
    m.TableBegin(456, bytes(range(32))),
    m.TableData(200, bytes(range(200))),
    m.TableRead(400, 56),
    m.TableActivate(bytes(range(32))),
    m.Arm(bytes(range(32)), 1),
    m.Command((m.Write(0, 1, 5_000), m.Write(7, 1_000, 65_535))),
    m.Beat(0xFFFFFFFF, 5, (m.Given(3, 0, 0, 12, 37.0), m.Given(4, 2, 7, 65_535, 0.0))),
    m.Beat(0, 0, tuple(m.Given(k, 0, 0, k, float(k)) for k in range(17))),
    m.Reset(5),
    m.Clear(0x1E),
    m.Events(1_000),
    m.HelloAck(bytes(range(8)), bytes(32), b"\xff" * 32, 7, 1 << 40, 1, 0x1E, 2_048),
    m.Ack(123_456),
    m.NakReply(14, 3, 123_456),
    m.TableBytes(0, b"CWT1"),
    m.EventsList(3, 5, (m.Event(1, 7, 0, 0, 1), m.Event(2, 1, 4, 1, 0))),
    m.Status(1, 2, 3, 6, 0x80000001, 0x15, 0x15, 999, 0, 1, (m.Analog(0, 1.5),), b"\x03\x00"),
)


def vector(name: str, type_: int, number: int, payload: bytes) -> dict[str, str | int]:
    """One frame, spelled out and as it stands on the line."""
    session, sequence = number * 0x01010101, number * 2_819
    return {
        "name": f"{name} {number}", "type": int(type_), "session": session, "sequence": sequence,
        "payload": payload.hex(), "line": encode(type_, session, sequence, payload).hex(),
    }  # fmt: skip


def main() -> None:
    """Writes the file beside this one."""
    types = {kind: type_ for type_, kind in m.MESSAGES.items()}
    frames = [
        vector(types[type(message)].name, types[type(message)], number, message.pack())
        for number, message in enumerate(REQUESTS)
    ]
    for payload in (b"\xff" * 240, bytes(240), b"\0" + b"\x01" * 239):
        frames.append(vector(f"longest {payload[:2].hex()}", 0xFE, len(frames), payload))
    good = encode(Type.OPEN, 1, 1, b"")
    spoiled = good[:3] + bytes([good[3] ^ 0x40]) + good[4:]
    faults = [
        {"name": name, "line": line.hex(), "fault": fault}
        for name, line, fault in (
            ("wrong CRC", spoiled, "CRC"),
            ("eleven bytes", cobs_encode(bytes(11)) + b"\0", "SHORT"),
            ("block beyond the end", b"\x09ab\0", "CODE"),
            ("a byte too much", cobs_encode(b"a" * (FRAME_MAX + 1)) + b"\0", "LONG"),
            ("no zero for long", b"a" * 300 + b"\0", "LONG"),
        )
    ]
    path = Path(__file__).parent / "vectors.json"
    path.write_text(json.dumps({"frames": frames, "faults": faults}, indent=1) + "\n")


if __name__ == "__main__":
    main()
