"""A recipe's formula: what each parameter is worth when a batch is opened, or why not.

Fixed values stand as written, entered ones may be given at the opening, deferred ones follow from
others. A sample's value is known only when the phase that uses it starts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from controller.core.errors import BadInput, nearest
from controller.core.quantity import canonical, parse
from controller.core.yamltext import Document
from controller.recipe.dimension import NAMED
from controller.recipe.expression import Name, compile_expression, constant_value
from controller.recipe.model import FormulaModel, RecipeModel
from controller.recipe.offer import with_unit
from controller.recipe.operators import FUNCTIONS, ExpressionError
from controller.recipe.plan import Deferred, FormulaValue

_WORD = re.compile(r"[A-Za-z_]\w*")
RESERVED = frozenset({"and", "or", "not", "within", "age", "held", *FUNCTIONS})


class Formula:
    """The checked formula: `ranges` with every parameter, and what expressions may name.

    A value that is still to be entered is looked at as the lowest it may be.
    """

    def __init__(
        self, model: RecipeModel, document: Document, variables: Mapping[str, str],
        given: Mapping[str, str], tags: Collection[str] = (),
    ) -> None:  # fmt: skip
        """Raises BadInput at the parameter's line; `given` are the values of the opening."""
        self._document, self._variables, self._tags = document, variables, tags
        self._formula = model.formula
        self.ranges: dict[str, FormulaValue] = {}
        self.names: dict[str, Name] = {}
        self._samples: dict[str, tuple[str, str]] = {}
        for name in given:
            if name not in model.formula:
                hint = nearest(name, list(model.formula))
                raise document.error(f"the recipe has no parameter {name!r}. {hint}", "formula")
        for name, item in model.formula.items():
            self._free(name)
            found = self._one(name, item, given.get(name))
            self.ranges[name] = found
            stands_for = found.low if found.value is None else found.value
            self.names[name] = Name("constant", NAMED[found.dimension], stands_for)

    def sampled(self, text: str) -> dict[str, str]:
        """The parameters in a text that come from a sample, with the variable of each."""
        return {w: self._samples[w][0] for w in _WORD.findall(text) if w in self._samples}

    def deferred(self, text: str, names: Mapping[str, Name], dimension: str) -> Deferred | None:
        """A parameter that needs a sample, to be evaluated when its phase starts; else None."""
        used = [word for word in _WORD.findall(text) if word in self._samples]
        if not used:
            return None
        source = _WORD.sub(lambda m: self._samples.get(m[0], (m[0], ""))[0], text)
        unknown = "hold" if any(self._samples[w][1] == "hold" for w in used) else "default"
        return Deferred(compile_expression(source, names, dimension), unknown)

    def _free(self, name: str) -> None:
        """A name means one thing to who reads the recipe: raises BadInput if it is taken."""
        if name in self._variables:
            raise self._error(f"{name!r} is a variable of the unit already", name)
        if name in self._tags:
            raise self._error(f"{name!r} is a tag of the unit already", name)
        if name in RESERVED:
            raise self._error(f"{name!r} is a word of the language of expressions", name)

    def _one(self, name: str, item: FormulaModel, given: str | None) -> FormulaValue:
        dimension = self._dimension(name, item)
        low, high = (self._number(name, key, dimension, getattr(item, key))
                     for key in ("low", "high"))  # fmt: skip
        if not low <= high:
            raise self._error(f"low of {name} is above its high", name, "low")
        value = self._value(name, item, dimension, given)
        if value is not None and not low <= value <= high:
            said = given if given is not None else (item.value or item.from_)
            raise self._error(
                f"{name} = {said} is out of range {item.low} .. {item.high}", name,
                "value" if item.value is not None else "from",
            )  # fmt: skip
        return FormulaValue(value, low, high, dimension, item.source)

    def _value(
        self, name: str, item: FormulaModel, dimension: str, given: str | None
    ) -> float | None:
        if item.source in ("deferred", "sample"):
            if item.from_ is None:
                raise self._error(f"{name} is {item.source}: say `from` what", name)
            if item.source == "deferred":
                return self._from_others(name, item.from_, dimension, given)
            return self._from_sample(name, item, dimension)
        if item.from_ is not None:
            raise self._error(f"`from` belongs to deferred or sample, not {item.source}", name)
        if item.required and item.source != "entered":
            raise self._error("only an entered parameter can be required", name, "required")
        written = None if item.value is None else self._number(name, "value", dimension, item.value)
        if given is not None:
            try:
                value = canonical(given, dimension)
            except ValueError as error:
                raise self._error(f"{name}: {error}", name, "value") from None
            if item.source == "fixed" and not _same(value, written, dimension):
                raise self._error(
                    f"{name} is fixed at {item.value}, {given} was given at the opening", name,
                    "value",
                )  # fmt: skip
            return value
        if written is None and not item.required:
            raise self._error(f"{name} has no value", name)
        return written

    def _from_others(self, name: str, text: str, dimension: str, given: str | None) -> float:
        usable = {k: v for k, v in self.names.items() if k not in self._samples}
        try:
            value = constant_value(text, usable, dimension)
            if given is not None and not _same(canonical(given, dimension), value, dimension):
                raise self._error(f"{name} follows from {text} and cannot be given", name)
        except (ExpressionError, ValueError) as error:
            raise self._error(f"{name}: {self._later(text) or error}", name, "from") from None
        return value

    def _later(self, text: str) -> str:
        """What stands in the way when a parameter follows from one that is not known yet."""
        for word in _WORD.findall(text):
            if word in self._samples:
                return f"{word} is known only after a sample, so nothing can follow from it"
            if word in self._formula and word not in self.names:
                return f"{word} stands further below: write a parameter after those it follows from"
        return ""

    def _from_sample(self, name: str, item: FormulaModel, dimension: str) -> float:
        variable = str(item.from_)
        if variable not in self._variables:
            hint = nearest(variable, list(self._variables))
            raise self._error(f"the unit has no variable {variable!r}. {hint}", name, "from")
        if self._variables[variable] != dimension:
            raise self._error(
                f"{variable} is a {self._variables[variable]}, {name} a {dimension}", name, "from"
            )
        if item.value is None or item.unknown is None:
            raise self._error(
                f"{name} is known only after a sample: say `value`, what it is expected to be, and "
                "`unknown`, hold or default", name,
            )  # fmt: skip
        self._samples[name] = (variable, item.unknown)
        return self._number(name, "value", dimension, item.value)

    def _dimension(self, name: str, item: FormulaModel) -> str:
        try:
            _, dimension = parse(str(item.low))
        except ValueError as error:
            raise self._error(str(error), name, "low") from None
        if item.value is not None:
            try:
                _, other = parse(str(item.value))
            except ValueError as error:
                raise self._error(str(error), name, "value") from None
            if NAMED[other] == NAMED[dimension]:
                return other
        return dimension

    def _number(self, name: str, key: str, dimension: str, raw: str | float | None) -> float:
        try:
            return canonical("" if raw is None else raw, dimension)
        except ValueError as error:
            raise self._error(str(error), name, key) from None

    def _error(self, what: str, *place: str) -> BadInput:
        return self._document.error(what, "formula", *place)


def _same(value: float, written: float | None, dimension: str) -> bool:
    """Whether two values are one to a reader: the log keeps what people read."""
    return written is not None and with_unit(value, dimension) == with_unit(written, dimension)


def missing(ranges: Mapping[str, FormulaValue]) -> list[str]:
    """The parameters that must be entered at the opening and were not."""
    return [name for name, item in ranges.items() if item.value is None]
