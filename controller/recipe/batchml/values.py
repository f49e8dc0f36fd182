"""Values with units as BatchML says them, and back: constants, references, equations.

A constant is a number and a UCUM unit; a name of the formula is a reference, anything else an
equation in our own expressions, which another system has to translate.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from controller.core.quantity import UCUM, parse, ucum
from controller.recipe.batchml.xml import Element

_NUMBER = re.compile(r"^\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*$")
_OURS = {code: unit for unit, code in UCUM.items() if unit != "1"}
_LIST = "UCUM"


def add_value(parent: Element, raw: Any, names: Collection[str] = (), how: str = "") -> None:
    """Appends a `Value`; `how` overrides the interpretation (External: read at a phase's start)."""
    text = one_line(str(raw))
    value = parent.add("Value")
    split = None if how else _constant(text)
    if split is not None:
        number, unit = split
        _fill(value, number, "Constant", "double", _code(unit), _known(unit))
    elif how or text in names:
        _fill(value, text, how or "Reference", "Identifier", "", False)
    else:
        _fill(value, text, "Equation", "string", "", False)


def add_text(parent: Element, text: str) -> None:
    """Appends a `Value` that is a text."""
    _fill(parent.add("Value"), text, "Constant", "string", "", False)


def value_of(value: Element) -> tuple[str | int | float, str]:
    """What a `Value` says, as a recipe writes it, and how it is to be understood."""
    text, how = value.said("ValueString"), value.said("DataInterpretation") or "Constant"
    unit = value.said("UnitOfMeasure")
    if how != "Constant":
        return text, how
    unit = _OURS.get(unit, unit)
    if unit:
        return f"{text} {unit}", how
    return _plain(text), how


def one_line(text: str) -> str:
    """Breaks of lines mean nothing in an expression; an XML identifier has none."""
    return re.sub(r"\s*[\r\n\t]+\s*", " ", text).strip()


def _plain(text: str) -> str | int | float:
    """A number without a unit as a number, if it comes back as the same text."""
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if str(number) == text:
            return number
    return text


def _constant(text: str) -> tuple[str, str] | None:
    match = _NUMBER.match(text)
    if match is None:
        return None
    try:
        parse(text)
    except ValueError:
        return None
    return match[1], match[2]


def _code(unit: str) -> str:
    """The unit's UCUM code, or our own spelling where none is known."""
    try:
        return ucum(unit)
    except ValueError:
        return unit


def _known(unit: str) -> bool:
    try:
        ucum(unit)
    except ValueError:
        return False
    return True


def _fill(value: Element, text: str, how: str, kind: str, unit: str, listed: bool) -> None:
    value.add("ValueString", text)
    value.add("DataInterpretation", how)
    value.add("DataType", kind)
    if listed:
        value.add("UnitOfMeasure", unit, listID=_LIST)
    else:
        value.add("UnitOfMeasure", unit)
