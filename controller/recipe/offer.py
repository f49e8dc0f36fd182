"""What a unit offers to recipes: its signals and handles, its variables and its phase classes.

A recipe may only call what stands here. The unit profile hands in the `Equipment` and the sections
`variables:` and `phases:`; every class is compiled once with its defaults, so that a fault in a
profile is found without a recipe.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.core.clock import NS_PER_S
from controller.core.errors import nearest
from controller.core.quantity import CANONICAL, canonical, decimal_text
from controller.core.yamltext import Document
from controller.recipe.dimension import NAMED
from controller.recipe.expression import Name
from controller.recipe.instruments import Layout, layouts
from controller.recipe.model import LOGICS, OfferModel, ParameterModel, PhaseClassModel
from controller.recipe.plan import Assignment, Step
from controller.recipe.steps import Equipment, StepCompiler

Path_ = tuple[str | int, ...]
# Texts every unit knows: what the batch was opened with.
OF_THE_BATCH = ("batch_set_lot", "batch_identity")
# A phase goes on by itself after a shorter gap than this, where its class says nothing else.
RECOVERY_NS = 600 * NS_PER_S
_COMPILED_MAX = 4_096


@dataclass(frozen=True, slots=True)
class Parameter:
    """A phase parameter: range and default as canonical values of `dimension`."""

    dimension: str
    low: float
    high: float
    default: float


@dataclass(frozen=True, slots=True)
class Offer:
    """A checked offer. `document` and `prefix` tell where it is written.

    `serves` are the units whose recipes it takes, with the version they are written for.
    """

    unit: str
    version: str
    serves: Mapping[str, str]
    equipment: Equipment
    variables: Mapping[str, str]
    classes: Mapping[str, PhaseClassModel]
    parameters: Mapping[str, Mapping[str, Parameter]]
    document: Document
    prefix: Path_
    sha256: str
    recovery_ns: Mapping[str, int]
    instruments: tuple[Layout, ...]
    ending: tuple[Assignment, ...]
    index: Mapping[str, int] = field(default_factory=dict)
    _compiled: dict[Any, Mapping[str, tuple[Step, ...]]] = field(default_factory=dict)

    def compile_class(
        self, use: str, values: Mapping[str, float]
    ) -> Mapping[str, tuple[Step, ...]]:
        """The logics of a class with parameter values; raises BadInput at the profile's line."""
        key = (use, tuple(values.items()))
        if key not in self._compiled:
            if len(self._compiled) >= _COMPILED_MAX:
                self._compiled.clear()
            self._compiled[key] = self._compile(use, values)
        return self._compiled[key]

    def _compile(self, use: str, values: Mapping[str, float]) -> Mapping[str, tuple[Step, ...]]:
        parameters = self.parameters[use]
        names = base_names(self.equipment, self.variables)
        texts: dict[str, str] = {}
        for name, value in values.items():
            dimension = parameters[name].dimension
            names[name] = Name("constant", NAMED[dimension], value)
            texts[name] = with_unit(value, dimension)
        place = (*self.prefix, "phases", self.index[use])
        compiler = StepCompiler(self.document, place, names, self.equipment, self.variables, texts)
        model = self.classes[use]
        logics = {logic: compiler.compile(logic, getattr(model, logic) or []) for logic in LOGICS}
        compiler.check_class(logics)
        if not logics["stopping"]:
            logics["stopping"] = logics["aborting"]
        if model.leaving is None:
            logics["leaving"] = logics["stopping"]
        return logics


def with_unit(value: float, dimension: str) -> str:
    """A canonical value as people read it, e.g. `25 mL/min`, `25 mbar`, `5 min`, `0.26e6 /mL`."""
    if dimension == "pressure":
        return f"{decimal_text(value * 10)} mbar"
    if dimension == "cells":
        return f"{decimal_text(value)}e6 cells"
    if dimension == "cell_density":
        return f"{decimal_text(value)}e6 /mL"
    if dimension == "time" and value >= 60:
        unit, seconds = ("h", 3600) if value % 3600 == 0 else ("min", 60)
        return f"{decimal_text(value / seconds)} {unit}"
    unit = CANONICAL[dimension]
    return decimal_text(value) if unit == "1" else f"{decimal_text(value)} {unit}"


def base_names(equipment: Equipment, variables: Mapping[str, str]) -> dict[str, Name]:
    """The tags and variables expressions may use."""
    names = {tag: Name("tag", NAMED[dimension]) for tag, dimension in equipment.tags.items()}
    for name, dimension in variables.items():
        names[name] = Name("variable", NAMED[dimension])
    return names


def compile_offer(
    model: OfferModel, document: Document, unit: str, equipment: Equipment, version: str = "1",
    prefix: Path_ = (), others: Mapping[str, str] | None = None,
) -> Offer:  # fmt: skip
    """Checks the offer of a unit; raises BadInput with file:line:column for the first fault.

    `others` are the units, besides this one, whose recipes it takes.
    """
    taken = {*equipment.tags, *equipment.loops, *equipment.outputs, *equipment.flags}
    variables: dict[str, str] = dict.fromkeys(OF_THE_BATCH, "text")
    for name, variable in model.variables.items():
        place = (*prefix, "variables", name)
        if name in taken or name in OF_THE_BATCH:
            raise document.error(f"{name!r} is a tag, loop, output or flag already", *place)
        if variable.dimension not in NAMED or variable.dimension == "truth":
            raise document.error(_no_dimension(variable.dimension), *place, "dimension")
        variables[name] = variable.dimension
    classes: dict[str, PhaseClassModel] = {}
    index: dict[str, int] = {}
    parameters: dict[str, Mapping[str, Parameter]] = {}
    recovery: dict[str, int] = {}
    for number, phase in enumerate(model.phases):
        place = (*prefix, "phases", number)
        recovery[phase.id] = _recovery_ns(phase, document, place)
        for target in phase.leaves:
            if target not in equipment.outputs:
                hint = nearest(target, list(equipment.outputs))
                raise document.error(f"unknown output {target!r}. {hint}", *place, "leaves")
        if phase.id in classes:
            raise document.error(f"duplicate phase id {phase.id!r}", *place, "id")
        classes[phase.id], index[phase.id] = phase, number
        parameters[phase.id] = {
            name: _parameter(
                name, parameter, {*taken, *variables}, document, (*place, "parameters", name)
            )
            for name, parameter in phase.parameters.items()
        }
    parts = [model.model_dump(by_alias=True, mode="json"), equipment.as_data()]
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    ending = StepCompiler(document, prefix, base_names(equipment, {}), equipment, {}, {})
    offer = Offer(
        unit, version, {**(others or {}), unit: version}, equipment, variables, classes,
        parameters, document, prefix, digest, recovery,
        layouts(model.instruments, document, prefix),
        ending.assignments(model.ending, (*prefix, "ending")), index,
    )  # fmt: skip
    for use, own in parameters.items():
        offer.compile_class(use, {name: parameter.default for name, parameter in own.items()})
    return offer


def _recovery_ns(phase: PhaseClassModel, document: Document, place: Path_) -> int:
    if phase.recovery is None:
        return RECOVERY_NS
    try:
        return round(canonical(phase.recovery, "time") * NS_PER_S)
    except ValueError as error:
        raise document.error(str(error), *place, "recovery") from None


def _no_dimension(name: str) -> str:
    return f"unknown dimension {name!r}. {nearest(name, [*CANONICAL, 'text'])}"


def _parameter(
    name: str, model: ParameterModel, taken: set[str], document: Document, place: Path_
) -> Parameter:
    if name in taken:
        raise document.error(f"{name!r} is a tag or variable already", *place)
    if model.dimension not in CANONICAL:
        raise document.error(_no_dimension(model.dimension), *place, "dimension")
    values: dict[str, float] = {}
    for key in ("low", "high", "default"):
        try:
            values[key] = canonical(getattr(model, key), model.dimension)
        except ValueError as error:
            raise document.error(str(error), *place, key) from None
    if not values["low"] <= values["default"] <= values["high"]:
        raise document.error(
            f"the default of {name!r} is outside {model.low} .. {model.high}", *place, "default"
        )
    return Parameter(model.dimension, values["low"], values["high"], values["default"])
