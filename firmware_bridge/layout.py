"""How a message is laid out in bytes: one declaration, two readers.

A message is a frozen dataclass whose fields are annotated with a wire type (`U16`, `Raw32`,
`Counted`, `Rest`). From that one declaration come `pack` and `unpack` here and the offsets of
`core/protocol.h` (`header.py`). Numbers are little-endian without padding. Wrong input raises
`LayoutError`, and nothing is returned.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, Self, get_args, get_type_hints


class LayoutError(ValueError):
    """Bytes that are not this message, or a value that does not fit its field."""


@dataclass(frozen=True, slots=True)
class Number:
    """One number or a fixed run of bytes: `code` of the struct module, size in bytes."""

    code: str

    @property
    def size(self) -> int:
        return struct.calcsize("<" + self.code)


@dataclass(frozen=True, slots=True)
class Counted:
    """A count (u8), then so many rows of `row`, or so many bytes if `row` is None."""

    least: int
    most: int
    row: type[Wire] | None = None

    @property
    def row_size(self) -> int:
        return 1 if self.row is None else layout(self.row).fixed


@dataclass(frozen=True, slots=True)
class Rest:
    """Bytes up to the end of the payload, without a count."""

    least: int
    most: int


Part = Number | Counted | Rest

U8 = Annotated[int, Number("B")]
U16 = Annotated[int, Number("H")]
U32 = Annotated[int, Number("I")]
U64 = Annotated[int, Number("Q")]
F64 = Annotated[float, Number("d")]
Raw4 = Annotated[bytes, Number("4s")]
Raw8 = Annotated[bytes, Number("8s")]
Raw32 = Annotated[bytes, Number("32s")]


@dataclass(frozen=True, slots=True)
class Layout:
    """The parts of one message in order; `fixed` is the size up to the first counted part."""

    parts: tuple[tuple[str, Part], ...]

    @property
    def fixed(self) -> int:
        return sum(part.size for _, part in self.parts if isinstance(part, Number))

    @property
    def least(self) -> int:
        """The smallest payload in bytes."""
        return self._size(lambda part: part.least)

    @property
    def most(self) -> int:
        """The largest payload in bytes."""
        return self._size(lambda part: part.most)

    def _size(self, of: Callable[[Counted | Rest], int]) -> int:
        total = 0
        for _, part in self.parts:
            if isinstance(part, Number):
                total += part.size
            elif isinstance(part, Counted):
                total += 1 + of(part) * part.row_size
            else:
                total += of(part)
        return total


class Wire:
    """Base of every message and table row: packs and unpacks what the fields declare."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def pack(self) -> bytes:
        """The payload; raises LayoutError if a value does not fit its field."""
        out = bytearray()
        for name, part in layout(type(self)).parts:
            value = getattr(self, name)
            try:
                out += _pack(part, value)
            except (struct.error, LayoutError) as error:
                raise LayoutError(f"{type(self).__name__}.{name}: {error}") from None
        return bytes(out)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """The message in exactly these bytes; raises LayoutError if they are longer or shorter."""
        at = 0
        values: list[Any] = []
        for name, part in layout(cls).parts:
            try:
                value, at = _unpack(part, data, at)
            except (struct.error, LayoutError) as error:
                raise LayoutError(f"{cls.__name__}.{name}: {error}") from None
            values.append(value)
        if at != len(data):
            raise LayoutError(f"{cls.__name__}: {len(data)} bytes, not {at}")
        return cls(*values)


_LAYOUTS: dict[type[Wire], Layout] = {}


def layout(of: type[Wire]) -> Layout:
    """The layout that the fields of a message declare."""
    if of not in _LAYOUTS:
        hints = get_type_hints(of, include_extras=True)
        parts = ((field.name, get_args(hints[field.name])[1]) for field in fields(of))
        _LAYOUTS[of] = Layout(tuple(parts))
    return _LAYOUTS[of]


def _pack(part: Part, value: Any) -> bytes:
    if isinstance(part, Number):
        if part.code.endswith("s") and len(value) != part.size:
            raise LayoutError(f"{len(value)} bytes, not {part.size}")
        return struct.pack("<" + part.code, value)
    if not part.least <= len(value) <= part.most:
        raise LayoutError(f"{len(value)}, not {part.least} to {part.most}")
    if isinstance(part, Rest):
        return bytes(value)
    rows = bytes(value) if part.row is None else b"".join(row.pack() for row in value)
    return bytes([len(value)]) + rows


def _unpack(part: Part, data: bytes, at: int) -> tuple[Any, int]:
    """The value at `at` and where the next part begins."""
    if isinstance(part, Number):
        (value,) = struct.unpack_from("<" + part.code, data, at)
        return value, at + part.size
    count = len(data) - at if isinstance(part, Rest) else data[at] if at < len(data) else -1
    if not part.least <= count <= part.most:
        raise LayoutError(f"{count}, not {part.least} to {part.most}")
    if isinstance(part, Rest):
        return bytes(data[at:]), len(data)
    at += 1
    end = at + count * part.row_size
    if end > len(data):
        raise LayoutError(f"{len(data)} bytes, not {end}")
    if part.row is None:
        return bytes(data[at:end]), end
    step = part.row_size
    return tuple(part.row.unpack(data[k : k + step]) for k in range(at, end, step)), end
