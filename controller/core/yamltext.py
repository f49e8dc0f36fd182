"""YAML from people: read within limits, every error with file:line:column.

Aliases, duplicate keys and tags are refused (an alias bomb is a small file), and size, depth and
node count are limited before anything is built. Profiles, recipes and scripts all come this way.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from controller.core.errors import BadInput, Place, nearest

MAX_BYTES = 1_000_000
MAX_DEPTH = 48
MAX_NODES = 100_000
_DO = "Nothing was started. Correct the file and run `cellwright check` on it."
_TAGS = frozenset(
    f"tag:yaml.org,2002:{kind}"
    for kind in ("map", "seq", "str", "null", "bool", "int", "float", "timestamp")
)
IDENT = r"^[A-Za-z][A-Za-z0-9_]{0,39}$"
# What pydantic says of a fault is for programmers: said here for who writes the file.
_WANTED = {
    "string_type": "a text is needed here",
    "string_too_short": "a text is needed here",
    "string_too_long": "a text has at most {max_length} characters here",
    "int_type": "a whole number is needed here",
    "int_parsing": "a whole number is needed here",
    "int_from_float": "a whole number is needed here",
    "bool_type": "true or false is needed here",
    "greater_than_equal": "at least {ge} is needed here",
    "less_than_equal": "at most {le} is possible here",
    "list_type": "a list is needed here, each entry behind a `-` or all in [ ]",
    "dict_type": "keys with values are needed here",
    "model_type": "keys with values are needed here",
    "too_short": "at least {min_length} is needed here",
    "too_long": "at most {max_length} are possible here",
}
_ARMS = frozenset({"int", "float", "str", "bool"})  # of a value that may be a number or a text
M = TypeVar("M", bound=BaseModel)
Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: plain data, the place of every node, its bytes and their digest."""

    file: str
    data: Any
    places: Mapping[Path_, Place]
    sha256: str
    raw: bytes = b""

    def place(self, *path: str | int) -> Place:
        """Where a node stands; the nearest enclosing node if it does not exist."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return Place(self.file)

    def error(self, what: str, *path: str | int, do: str = _DO) -> BadInput:
        """A BadInput that points at a node."""
        return BadInput(what, where=self.place(*path), do=do)

    def validate(self, model: type[M]) -> M:
        """The data as a checked model; raises BadInput for the first fault found."""
        try:
            return model.model_validate(self.data)
        except ValidationError as error:
            # A misspelt key is also a missing one: name the key that stands there.
            first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
            if first["type"] == "literal_error" and isinstance(first["input"], dict | list):
                # One word is possible here as well as a list or keys: tell the fault in these.
                inner = [each for each in error.errors() if self._at(each)[:-1] == self._at(first)]
                first = inner[0] if inner else first
            raise self.error(_say(first, model), *self._at(first)) from None

    def _at(self, error: Any) -> Path_:
        """The node of a pydantic fault."""
        return self._existing(tuple(part for part in error["loc"] if not _is_internal(part)))

    def _existing(self, path: Path_) -> Path_:
        """The longest prefix of a pydantic location that is a node (it may name union arms)."""
        found: Path_ = ()
        for part in path:
            if (*found, part) in self.places:
                found = (*found, part)
        return found


def load(path: Path, max_bytes: int = MAX_BYTES) -> Document:
    """Reads one YAML file. Raises BadInput for anything but plain data within the limits."""
    return parse(read(path, max_bytes), str(path))


def read(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a file within the limit; raises BadInput."""
    try:
        # What a device or a pipe will bring is not known before: never more than the limit is read.
        with path.open("rb") as stream:
            raw = stream.read(max_bytes + 1)
            size = max(len(raw), os.fstat(stream.fileno()).st_size)
        if len(raw) > max_bytes:
            what = f"the file has {size} bytes, the limit is {max_bytes}"
            raise BadInput(what, where=Place(str(path)), do=_DO)
    except OSError as error:
        raise BadInput(
            f"cannot read the file: {error.strerror}", where=Place(str(path)), do=_DO
        ) from error
    return raw


def parse(raw: bytes, file: str) -> Document:
    """Parses the bytes of one file; see `load`."""
    try:
        _refuse_aliases(raw, file)
        node = yaml.compose(raw, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
        raise BadInput(f"not valid YAML: {error.problem}", where=place, do=_DO) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"not valid YAML: {error}", where=Place(file), do=_DO) from None
    places: dict[Path_, Place] = {}
    data = _build(node, (), file, places, 0) if node is not None else {}
    return Document(file, data, places, hashlib.sha256(raw).hexdigest(), raw)


def _refuse_aliases(raw: bytes, file: str) -> None:
    depth = 0
    for count, event in enumerate(yaml.parse(raw, Loader=yaml.CSafeLoader)):
        mark = event.start_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise BadInput("anchors and aliases are not allowed", where=place, do=_DO)
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            depth += 1
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise BadInput(f"nested deeper than {MAX_DEPTH} levels", where=place, do=_DO)
        if count > MAX_NODES:
            raise BadInput(f"more than {MAX_NODES} nodes", where=place, do=_DO)


def _build(
    node: yaml.Node, path: Path_, file: str, places: dict[Path_, Place], depth: int
) -> Any:
    place = Place(file, node.start_mark.line + 1, node.start_mark.column + 1)
    places[path] = place
    if node.tag not in _TAGS:
        raise BadInput(f"the tag {node.tag} is not allowed", where=place, do=_DO)
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            key_place = Place(file, key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if key in result:
                raise BadInput(f"duplicate key {key!r}", where=key_place, do=_DO)
            result[key] = _build(value_node, (*path, key), file, places, depth + 1)
            places[(*path, key)] = key_place
        return result
    if isinstance(node, yaml.SequenceNode):
        return [
            _build(part, (*path, index), file, places, depth + 1)
            for index, part in enumerate(node.value)
        ]
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    tag, text = node.tag, str(node.value)
    if tag == "tag:yaml.org,2002:null":
        return None
    if tag == "tag:yaml.org,2002:bool":
        # YAML 1.1 reads on/off/yes/no as booleans; a person who writes `off` means the word.
        return {"true": True, "false": False}.get(text.lower(), text)
    if tag == "tag:yaml.org,2002:int" and text.lstrip("+-").isdigit() and len(text) < 20:
        return int(text)
    if tag == "tag:yaml.org,2002:float" and len(text) < 40 and text[-1].isdigit():
        return float(text) if "_" not in text and ":" not in text else text
    return text


def _is_internal(part: str | int) -> bool:
    return isinstance(part, str) and (part.startswith("function-") or part.endswith("]"))


def _say(error: Any, model: type[BaseModel]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown key {error['loc'][-1]!r}. {_near_key(error, model)}".rstrip()
    if error["type"] == "missing":
        return f"{error['loc'][-1]!r} is missing here"
    key = next((str(p) for p in reversed(error["loc"]) if isinstance(p, str)
                and not _is_internal(p) and p not in _ARMS), where)  # fmt: skip
    wanted = _wanted(error)
    if wanted:
        return f"{key}: {wanted}"
    return f"{where}: {str(error['msg']).removeprefix('Value error, ')}"


def _wanted(error: Any) -> str:
    """What is needed in words; empty for what only the schema itself can tell."""
    kind, given, limits = error["type"], error["input"], error.get("ctx", {})
    if error["loc"] and error["loc"][-1] in _ARMS:
        return "a number or a text is needed here"
    if kind == "string_type" and isinstance(given, int | float):
        return f"a text is needed here, in quotes: \"{str(given).lower()}\""
    if kind == "string_pattern_mismatch" and limits["pattern"] == IDENT:
        return (f"{str(given)[:40]!r} is no id: a letter, then letters a to z, digits and _, at "
                "most 40")  # fmt: skip
    if kind == "literal_error":
        return f"{limits['expected']} is needed here, not {str(given)[:40]!r}"
    return _WANTED.get(kind, "").format_map(limits)


def _near_key(error: Any, model: type[BaseModel]) -> str:
    known = list(_all_keys(model, set()))
    return nearest(str(error["loc"][-1]), known)


def _all_keys(model: type[BaseModel], seen: set[type[BaseModel]]) -> set[str]:
    if model in seen:
        return set()
    seen.add(model)
    keys: set[str] = set()
    for name, info in model.model_fields.items():
        keys.add(info.alias or name)
        stack: list[Any] = [info.annotation]
        while stack:
            part = stack.pop()
            if isinstance(part, type) and issubclass(part, BaseModel):
                keys |= _all_keys(part, seen)
            stack.extend(getattr(part, "__args__", ()))
    return keys
