"""BatchML becomes a recipe's YAML; what it does not understand it says, and leaves out.

Only the form is decided here. Whether the recipe makes sense on a unit is the loader's to say, as
of every recipe a person wrote.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from controller.core.errors import BadInput, Place
from controller.recipe.batchml import graph
from controller.recipe.batchml.beyond import beside
from controller.recipe.batchml.logic import OTHERWISE
from controller.recipe.batchml.values import value_of
from controller.recipe.batchml.xml import Element, read

MAX_DEPTH = 16
_ALWAYS = ("", "true", "1")
_KIND = {"Operation": "operation", "Phase": "phase", "UnitProcedure": "unit_procedure"}
# What is read of a recipe or an element; everything else is told as left out.
_READ = {
    "ID", "Version", "Description", "EquipmentRequirement", "Formula", "ProcedureLogic",
    "RecipeElement", "OtherInformation", "RecipeElementType", "Parameter", "BuildingBlockElementID",
}  # fmt: skip
_READ_PARAMETER = {"ID", "Description", "ParameterType", "Value"}
Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Imported:
    """The recipe as YAML text and as data, and what of the file is not in it."""

    text: str
    data: Data
    left: tuple[str, ...]


def imported(raw: bytes, file: str) -> Imported:
    """The recipe of a BatchML file; raises BadInput with file:line for what has no form."""
    root = read(raw, file)
    recipes = [root] if root.tag == "MasterRecipe" else root.all("MasterRecipe")
    if len(recipes) != 1:
        raise BadInput(
            f"{len(recipes)} master recipes in a <{root.tag}>, and one is read",
            where=Place(file, root.line), do="Give a file with one MasterRecipe.",
        )  # fmt: skip
    reader = _Importer(file)
    data = reader.recipe(recipes[0])
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
    return Imported(text, data, tuple(reader.left))


@dataclass(slots=True)
class _Importer:
    file: str
    left: list[str] = field(default_factory=list)

    def recipe(self, master: Element) -> Data:
        carried = beside(master, self.file)
        data: Data = {
            "recipe": self._ident(master),
            "version": master.said("Version"),
            "title": master.said("Description") or master.said("ID"),
            **self._unit(master),
        }
        formula = master.find("Formula")
        if formula is not None and formula.children:
            data["formula"] = {}
            for item in formula.all("Parameter"):
                rest = self._mapping(carried.pop(f"formula.{item.said('ID')}", {}), item)
                data["formula"][self._ident(item)] = self._parameter(item) | rest
        data |= carried
        elements = self._elements(master)
        for element in elements.values():
            marks = beside(element, self.file)
            if "long_hold" in marks:
                care = self._operation(element, 1)
                data["long_hold"] = care | self._mapping(care.pop("long_hold"), element)
        data["procedure"] = []
        for part in self._items(master, elements):
            if isinstance(part, graph.Step):
                data["procedure"].append(self._unit_procedure(elements[part.element]))
            elif not isinstance(part, graph.Transition) or not _always(part):
                raise self._error(
                    "unit procedures come one after the other here, without structures or "
                    "conditions between them", master.find("ProcedureLogic") or master,
                )  # fmt: skip
        self._unknown(master)
        return data

    def _mapping(self, carried: Any, element: Element) -> Data:
        if not isinstance(carried, dict):
            raise self._error("what is carried for it is not what cellwright writes", element)
        return carried

    def _unit(self, element: Element) -> Data:
        need = element.find("EquipmentRequirement")
        if need is None:
            return {}
        found: Data = {"unit": need.said("ID")}
        for constraint in need.all("Constraint"):
            if constraint.said("ID") == "unit_version":
                found["unit_version"] = constraint.said("Condition")
            else:
                self._leave(constraint, f"the constraint {constraint.said('Condition')!r}")
        return found

    def _parameter(self, element: Element) -> Data:
        found: Data = {}
        for value in element.all("Value"):
            said, how = value_of(value)
            found["value" if how == "Constant" else "from"] = said
        for limit in element.all("Parameter"):
            value_ = limit.find("Value")
            if limit.said("ID") in ("low", "high") and value_ is not None:
                found[limit.said("ID")] = value_of(value_)[0]
            else:
                self._leave(limit, f"the parameter {limit.said('ID')!r} of a parameter")
        if element.said("Description"):
            found["title"] = element.said("Description")
        for sub in element.all("ParameterSubType"):
            name, _, word = sub.text.partition("=")
            if name in ("fixed", "entered", "deferred", "sample"):
                found["source"] = name
            elif name == "required":
                found["required"] = True
            elif name == "unknown" and word:
                found["unknown"] = word
            else:
                self._leave(sub, f"the parameter's kind {sub.text!r}")
        for key in ("Scaled", "ScaleReference"):
            part = element.find(key)
            if part is not None:
                self._leave(part, "scaling with the batch size")
        return found

    def _elements(self, parent: Element) -> dict[str, Element]:
        found: dict[str, Element] = {}
        for element in parent.all("RecipeElement"):
            name = element.said("ID")
            if name in found:
                raise self._error(f"the recipe element {name!r} stands twice", element)
            found[name] = element
        return found

    def _items(self, parent: Element, elements: dict[str, Element]) -> list[graph.Item]:
        logic = parent.find("ProcedureLogic") or Element("ProcedureLogic", line=parent.line)
        used = {step.said("RecipeElementID") for step in logic.all("Step")}
        for name, element in elements.items():
            marks = beside(element, self.file)
            if name not in used and not {"alternatives", "long_hold"} & marks.keys():
                self._leave(element, f"the recipe element {name!r}, which no step uses")
        for transition in logic.all("Transition"):
            note = transition.find("ConditionAnnotation")
            if note is not None:
                self._leave(note, f"the annotation {note.text!r} of a condition")
        if not logic.children:
            return []
        kinds = {name: item.said("RecipeElementType") for name, item in elements.items()}
        for step in logic.all("Step"):
            if step.said("RecipeElementID") not in elements:
                raise self._error(
                    f"the step {step.said('ID')!r} names the recipe element "
                    f"{step.said('RecipeElementID')!r}, and there is none beside it", step,
                )  # fmt: skip
        return graph.Graph(self.file, kinds).read(logic)

    def _unit_procedure(self, element: Element) -> Data:
        if element.said("RecipeElementType") != "UnitProcedure":
            raise self._error("a procedure is made of unit procedures", element)
        carried = beside(element, self.file)
        elements = self._elements(element)
        data: Data = {"unit_procedure": self._ident(element), **self._titled(element)}
        data |= {key: value for key, value in self._unit(element).items() if key == "unit"}
        data["operations"] = self._sequence(
            self._items(element, elements), element, elements, carried, 1
        )
        others = [item for item in elements.values()
                  if "alternatives" in beside(item, self.file)]  # fmt: skip
        if others:
            data["alternatives"] = [self._operation(item, 1) for item in others]
            for item in data["alternatives"]:
                item.pop("alternatives")
        self._unknown(element)
        return data | _rest(carried)

    def _sequence(
        self, items: list[graph.Item], parent: Element, elements: dict[str, Element],
        carried: Data, depth: int,
    ) -> list[Data]:  # fmt: skip
        found: list[Data] = []
        for item in items:
            if isinstance(item, graph.Step):
                found += self._step(elements[item.element], depth)
            elif isinstance(item, graph.Transition):
                if not _always(item):
                    found.append(self._transition(item, carried))
            else:
                number = 1 + sum("parallel" in x or "select" in x or "loop" in x for x in found)
                found.append(self._structure(item, f"part_{number}", elements, carried, depth))
        return found

    def _step(self, element: Element, depth: int) -> list[Data]:
        kind = element.said("RecipeElementType")
        if depth > MAX_DEPTH:
            raise self._error(f"nested deeper than {MAX_DEPTH} levels", element)
        if kind == "Operation":
            return [self._operation(element, depth)]
        if kind == "Phase":
            return [self._phase(element)]
        if kind == "RecipeSegment":
            return self._segment(element, depth)
        if kind == "Allocation":
            self._leave(element, "an allocation: a recipe runs on one unit")
            return []
        raise self._error(f"a recipe element of type {kind!r} has no form here", element)

    def _operation(self, element: Element, depth: int) -> Data:
        carried = beside(element, self.file)
        elements = self._elements(element)
        items = self._items(element, elements)
        data: Data = {"operation": self._ident(element), **self._titled(element)}
        if len(items) == 1 and isinstance(items[0], graph.Parallel):
            data["branches"] = [
                self._sequence(branch, element, elements, carried, depth + 1)
                for branch in items[0].branches
            ]
        else:
            data["phases"] = self._sequence(items, element, elements, carried, depth + 1)
        self._unknown(element)
        return data | _rest(carried)

    def _phase(self, element: Element) -> Data:
        data: Data = {"phase": self._ident(element), **self._titled(element)}
        use = element.said("BuildingBlockElementID")
        if use and use != data["phase"]:
            data["use"] = use
        given = {}
        for parameter in element.all("Parameter"):
            for part in parameter.children:
                if part.tag not in _READ_PARAMETER:
                    self._leave(part, f"<{part.tag}> of a parameter")
            value = parameter.find("Value")
            if value is None:
                self._leave(parameter, f"the parameter {parameter.said('ID')!r} without a value")
            else:
                given[self._ident(parameter)] = value_of(value)[0]
        if given:
            data["with"] = given
        self._unknown(element)
        return data | beside(element, self.file)

    def _segment(self, element: Element, depth: int) -> list[Data]:
        """A segment is the structure it holds; one that holds a plain sequence falls away."""
        carried = beside(element, self.file)
        elements = self._elements(element)
        items = self._items(element, elements)
        self._unknown(element)
        if len(items) == 1 and isinstance(items[0], graph.Parallel | graph.Select | graph.Loop):
            found = self._structure(items[0], self._ident(element), elements, carried, depth)
            name = next(iter(found))
            titled = {name: found.pop(name), **self._titled(element)}
            return [{**titled, **found, **_rest(carried)}]
        return self._sequence(items, element, elements, carried, depth + 1)

    def _structure(
        self, item: graph.Item, name: str, elements: dict[str, Element], carried: Data, depth: int
    ) -> Data:
        def inner(items: list[graph.Item]) -> list[Data]:
            if depth > MAX_DEPTH:
                raise BadInput(f"nested deeper than {MAX_DEPTH} levels", where=Place(self.file))
            return self._sequence(items, Element(""), elements, carried, depth + 1)

        if isinstance(item, graph.Parallel):
            return {"parallel": name, "branches": [inner(branch) for branch in item.branches]}
        if isinstance(item, graph.Loop):
            return {"loop": name, "do": inner(item.items), "until": item.until.condition}
        if not isinstance(item, graph.Select):
            raise TypeError(f"{item!r} is no structure")
        choices: list[Data] = []
        for head, branch in item.choices:
            if head.condition.casefold() == OTHERWISE:
                choices.append({"otherwise": inner(branch)})
            else:
                choices.append({"when": head.condition, "do": inner(branch)})
        return {"select": name, "choices": choices}

    def _transition(self, item: graph.Transition, carried: Data) -> Data:
        data: Data = {"transition": _clean(item.id), "when": item.condition}
        if item.text:
            data["text"] = item.text
        prefix = f"transition.{item.id}."
        for name in [name for name in carried if name.startswith(prefix)]:
            data[name.removeprefix(prefix)] = carried.pop(name)
        return data

    def _titled(self, element: Element) -> Data:
        said = element.all("Description")
        for more in said[1:]:
            self._leave(more, "a second description")
        return {"title": said[0].text} if said and said[0].text else {}

    def _ident(self, element: Element) -> str:
        name = element.said("ID")
        if not name:
            raise self._error(f"a <{element.tag}> without an ID", element)
        return _clean(name.rpartition("/")[2])

    def _unknown(self, element: Element) -> None:
        for child in element.children:
            if child.tag not in _READ:
                self._leave(child, f"<{child.tag}>")
            elif child.tag == "OtherInformation" and not child.said("ID").startswith("cellwright."):
                self._leave(child, f"the information {child.said('ID')!r}")

    def _leave(self, element: Element, what: str) -> None:
        self.left.append(f"{self.file}:{element.line}: {what[:120]}")

    def _error(self, what: str, element: Element) -> BadInput:
        return BadInput(what, where=Place(self.file, element.line), do="Nothing was written.")


def _always(item: graph.Transition) -> bool:
    """Whether a transition lets everything through: other systems put one between any two steps."""
    return item.condition.casefold() in _ALWAYS


def _rest(carried: Data) -> Data:
    """What is carried for an element itself, without what belonged to its transitions."""
    return {name: value for name, value in carried.items() if "." not in name}


def _clean(name: str) -> str:
    """An id of a recipe: letters, digits and _, at most 40, beginning with a letter."""
    found = re.sub(r"\W", "_", name, flags=re.ASCII)[:40]
    return found if found[:1].isalpha() else f"x{found}"[:40]
