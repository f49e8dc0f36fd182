"""The part of BatchML's schema (MESA International, B2MML V0701) that a master recipe needs.

Written down from the published BatchML-BatchInformation.xsd, B2MML-Common.xsd and
B2MML-CoreComponents.xsd: the order of the elements of each type, how often each may stand, and the
words of the enumerations. The extension groups are empty, as they are published. The Batch Markup
Language (BatchML) is used courtesy of MESA International.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from controller.recipe.batchml.xml import Element

MANY = 10**9
Part = tuple[str, str, int, int]


def _part(text: str) -> Part:
    """`Name:Type?`, `*`, `+` or nothing: as in a content model."""
    times = {"?": (0, 1), "*": (0, MANY), "+": (1, MANY)}.get(text[-1], (1, 1))
    name, _, kind = text.rstrip("?*+").partition(":")
    return name, kind, *times


def _type(text: str) -> list[Part]:
    return [_part(part) for part in text.split()]


TYPES: dict[str, list[Part]] = {
    "BatchInformation": _type(
        "ListHeader:Header* Description:Text* MasterRecipe:MasterRecipe* ControlRecipe:None*"
    ),
    "MasterRecipe": _type(
        "ID:Identifier Version:Identifier? VersionDate:DateTime? Description:Text* Header:Header? "
        "EquipmentRequirement:EquipmentRequirement* Formula:Formula? ProcedureLogic:Logic? "
        "RecipeElement:RecipeElement* OtherInformation:OtherInformation*"
    ),
    "RecipeElement": _type(
        "ID:Identifier Version:Identifier? VersionDate:DateTime? Description:Text* "
        "RecipeElementType:RecipeElementType BuildingBlockElementID:Identifier? "
        "BuildingBlockElementVersion:Identifier? ActualEquipmentID:Identifier* Header:Header? "
        "EquipmentRequirement:EquipmentRequirement* Parameter:Parameter* ProcedureLogic:Logic? "
        "RecipeElement:RecipeElement* OtherInformation:OtherInformation*"
    ),
    "EquipmentRequirement": _type("ID:Identifier Constraint:Constraint* Description:Text?"),
    "Constraint": _type("ID:Identifier? Condition:Identifier?"),
    "Formula": _type("Parameter:Parameter*"),
    "Parameter": _type(
        "ID:Identifier Description:Text? ParameterType:ParameterType ParameterSubType:Identifier* "
        "Value:Value* Scaled:Scaled? ScaleReference:Decimal? Parameter:Parameter*"
    ),
    "Value": _type(
        "ValueString:Text+ DataInterpretation:DataInterpretation DataType:DataType "
        "UnitOfMeasure:Identifier EnumerationSetID:Identifier*"
    ),
    "Logic": _type("Link:Link* Step:Step* Transition:Transition*"),
    "Link": _type(
        "ID:Identifier FromID:FromID* ToID:ToID* LinkType:LinkType Depiction:Depiction "
        "EvaluationOrder:Decimal? Description:Text*"
    ),
    "FromID": _type("FromIDValue:Text FromType:EndType IDScope:Scope"),
    "ToID": _type("ToIDValue:Text ToType:EndType IDScope:Scope"),
    "Step": _type(
        "ID:Identifier RecipeElementID:Identifier RecipeElementVersion:Identifier "
        "Description:Text*"
    ),
    "Transition": _type(
        "ID:Identifier Condition:Identifier ConditionAnnotation:Identifier? Description:Text*"
    ),
    "OtherInformation": _type("ID:Identifier? Value:Value* Description:Text*"),
}
WORDS: dict[str, set[str]] = {
    "RecipeElementType": {"Procedure", "UnitRecipe", "UnitProcedure", "Operation", "Phase",
                          "Allocation", "Begin", "End", "RecipeSegment", "Other"},
    "ParameterType": {"ProcessInput", "ProcessOutput", "ProcessParameter", "Other"},
    "DataInterpretation": {"Constant", "Reference", "Equation", "External", "Other"},
    "DataType": {"Text", "string", "double", "decimal", "Identifier", "boolean", "integer"},
    "LinkType": {"ControlLink", "TransferLink", "SynchronizationLink", "ParallelDivergent",
                 "ParallelConvergent", "SerialDivergent", "SerialConvergent", "Other"},
    "Depiction": {"None", "Line", "ID", "LineAndID", "LineAndArrow", "LineArrowAndID", "Other"},
    "EndType": {"Step", "Transition", "Link", "Other"},
    "Scope": {"External", "Internal", "Other"},
    "Scaled": {"Yes", "No"},
}  # fmt: skip
# The attributes of CodeType, which UnitOfMeasure is.
ATTRIBUTES = {"UnitOfMeasure": {"listID"}}


def faults(element: Element, kind: str = "BatchInformation", at: str = "") -> list[str]:
    """Where a document differs from the schema; empty if nowhere."""
    at = f"{at}/{element.tag}"
    known = ATTRIBUTES.get(element.tag, set())
    found = [f"{at}: attribute {name}" for name in element.attributes if name not in known]
    if kind not in TYPES:
        return found + _simple(element, kind, at)
    if element.text.strip():
        found.append(f"{at}: text between elements")
    place = 0
    for name, inner, least, most in TYPES[kind]:
        count = 0
        while place < len(element.children) and element.children[place].tag == name:
            found += faults(element.children[place], inner, at)
            place += 1
            count += 1
        if not least <= count <= most:
            found.append(f"{at}: {count} times {name}")
    if place < len(element.children):
        found.append(f"{at}: <{element.children[place].tag}> may not stand here")
    return found


def _simple(element: Element, kind: str, at: str) -> list[str]:
    text = element.text
    if element.children:
        return [f"{at}: elements where text belongs"]
    if kind in WORDS:
        return [] if text in WORDS[kind] else [f"{at}: {text!r} is none of the words"]
    if kind == "Identifier" and re.search(r"[\t\r\n]", text):
        return [f"{at}: an identifier of several lines"]
    if kind == "Decimal":
        try:
            Decimal(text)
        except InvalidOperation:
            return [f"{at}: {text!r} is no number"]
    return [] if kind in ("Identifier", "Decimal", "Text") else [f"{at}: {kind} is not used here"]
