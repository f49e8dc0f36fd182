"""`core/protocol.h` from the declarations of `codes.py`, `messages.py` and `table.py`.

The C core reads fields by offset (`get_u16(p + CW_HELLO_ACK_LATCHED)`): no packed structs, no
padding to hope for. `python -m firmware_bridge.header` writes `protocol.h` and `schema.h`.
"""

from __future__ import annotations

import re
from enum import IntEnum
from hashlib import sha256
from pathlib import Path
from typing import Final

from firmware_bridge import codes, messages, table
from firmware_bridge.layout import Counted, Number, Wire, layout

FOLDER: Final = Path(__file__).parent / "core"

_ENUMS: Final[tuple[tuple[type[IntEnum], str], ...]] = (
    (codes.Type, "TYPE"), (codes.Nak, "NAK"), (codes.LatchReason, "LATCH"),
    (codes.EventKind, "EVENT"), (codes.ResetReason, "BOOT"), (codes.State, "STATE"),
    (codes.Source, "SOURCE"), (codes.Op, "OP"), (codes.Bad, "BAD"), (codes.Kind, "KIND"),
    (codes.ChannelKind, "CHANNEL"), (codes.Quality, "QUALITY"), (codes.Reason, "REASON"),
)  # fmt: skip
_ROWS: Final = (messages.Write, messages.Given, messages.Event, messages.Analog)
_HEAD: Final = ("VERSION", "TYPE", "SESSION", "SEQUENCE")


def text() -> str:
    """The whole of `core/protocol.h`."""
    lines = [
        "/* Made by `python -m firmware_bridge.header`; do not edit. Numbers of PROTOCOL.md:",
        " * CW_MESSAGE_FIELD is an offset from the first byte of the payload (or row),",
        " * CW_SIZEOF_MESSAGE its size in bytes. */",
        "#ifndef CELLWRIGHT_PROTOCOL_H",
        "#define CELLWRIGHT_PROTOCOL_H",
        "",
        *_limits(),
    ]
    for kind, prefix in _ENUMS:
        lines += ["", f"enum cw_{_snake(kind.__name__).lower()} {{"]
        lines += [f"    CW_{prefix}_{member.name} = {_number(prefix, member)}," for member in kind]
        lines += ["};"]
    flags = [_define(f"ROW_{flag.name}", flag.value) for flag in codes.RowFlag]
    lines += ["", "/* Flags of a row and of the state in STATUS. */", *flags]
    lines += [_define("STATE_SESSION_MASK", 3), _define("STATE_BEAT_ALIVE", 4)]
    lines += ["", "/* A decoded frame; the CRC stands at its end. */"]
    lines += [_define(f"FRAME_{name}", at) for name, at in zip(_HEAD, (0, 1, 2, 6), strict=True)]
    lines += [_define("FRAME_PAYLOAD", codes.HEAD_SIZE)]
    for of in (*messages.MESSAGES.values(), *_ROWS):
        lines += _offsets(of, "REPLY_NAK" if of is messages.NakReply else _snake(of.__name__))
    for of in table.ROWS:
        lines += _offsets(of, "T_" + _snake(of.__name__))
    return "\n".join([*lines, "", "#endif", ""])


def schema() -> bytes:
    """What HELLO calls these layouts: the first 8 bytes of the SHA-256 of `protocol.h`."""
    return sha256(text().encode()).digest()[:8]


def schema_text() -> str:
    """The whole of `core/schema.h`, apart so that `protocol.h` does not hold its own digest."""
    digest = ", ".join(f"0x{byte:02x}" for byte in schema())
    return (
        "/* Made by `python -m firmware_bridge.header`; do not edit.\n"
        " * The first 8 bytes of the SHA-256 of protocol.h. */\n"
        "#ifndef CELLWRIGHT_SCHEMA_H\n#define CELLWRIGHT_SCHEMA_H\n\n"
        f"#define CW_SCHEMA_BYTES {{{digest}}}\n\n#endif\n"
    )


def write() -> None:
    """Writes both files."""
    (FOLDER / "protocol.h").write_text(text(), encoding="utf-8")
    (FOLDER / "schema.h").write_text(schema_text(), encoding="utf-8")


def _limits() -> list[str]:
    numbers = {name: value for name, value in vars(codes).items() if isinstance(value, int)}
    lines = [_define(name, value) for name, value in numbers.items() if name.isupper()]
    return [*lines, f'#define CW_TABLE_MAGIC "{codes.TABLE_MAGIC.decode()}"']


def _offsets(of: type[Wire], name: str) -> list[str]:
    """One #define for each field that has a fixed place, and for the sizes."""
    plan, at, fixed = layout(of), 0, True
    lines = ["", f"/* {of.__name__} */"]
    for field, part in plan.parts:
        label = f"{name}_{field.upper()}"
        counted = isinstance(part, Counted)
        if fixed:
            lines.append(_define(label + ("_COUNT" if counted else ""), at))
        if isinstance(part, Number):
            at += part.size
            continue
        if counted and fixed:
            lines.append(_define(label, at + 1))
        fixed = False
        lines.append(_define(f"{label}_MAX", part.most))
    if plan.least == plan.most:
        return [*lines, _define(f"SIZEOF_{name}", plan.most)]
    sizes = ((f"SIZEOF_{name}_MIN", plan.least), (f"SIZEOF_{name}_MAX", plan.most))
    return [*lines, *(_define(label, size) for label, size in sizes)]


def _define(name: str, value: int) -> str:
    return f"#define CW_{name} {value}u"


def _number(prefix: str, member: IntEnum) -> str:
    return f"0x{member.value:02X}" if prefix == "TYPE" else str(member.value)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


if __name__ == "__main__":
    write()
    print(schema().hex())  # noqa: T201
