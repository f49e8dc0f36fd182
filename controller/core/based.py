"""A file that says only in what it differs from another one: `based_on: NAME`, one level deep.

What is merged reads as one document in which every node keeps the file and line it came from. A
mapping is merged key by key and `null` takes a key away; a list whose entries have an `id` (or
`from` and `to`) is merged entry by entry, `removed: true` takes one away; anything else replaces
what was there. Both texts in one, told apart by a seam, are the document's bytes: what a log keeps
and its digest names needs no second file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from controller.core.errors import Place, nearest
from controller.core.yamltext import Document, Path_, parse, read

SEAM: Final = b"\n--- # the file that this one is based on:\n"
KEY: Final = "based_on"
_REMOVED: Final = "removed"


def load_based(path: Path, *folders: Path, own: Sequence[Path_] = ()) -> Document:
    """Reads a file, merged into the one it is based on: `NAME.yaml` beside it or in `folders`.

    `own` are the nodes that are never taken from the other file, such as an approval. Raises
    BadInput with file:line:column of the file that is wrong.
    """
    return parse_based(read(path), str(path), (path.parent, *folders), own)


def parse_based(
    raw: bytes, file: str, folders: Sequence[Path] = (), own: Sequence[Path_] = ()
) -> Document:
    """As `load_based`, of bytes that may hold both files already."""
    text, seam, base_raw = raw.partition(SEAM)
    mine = parse(text, file)
    name = mine.data.get(KEY) if isinstance(mine.data, dict) else None
    if name is None:
        if seam:
            raise mine.error(f"another file follows, but this one has no `{KEY}`")
        return mine
    if seam:
        # Blank lines in front: its places are those in the text that holds both.
        lines = (text + SEAM).count(b"\n")
        theirs = parse(b"\n" * lines + base_raw, file)
    else:
        found = _base(mine, name, folders)
        base_raw = read(found)
        theirs = parse(base_raw, str(found))
        raw = text + SEAM + base_raw
    if not isinstance(theirs.data, dict) or KEY in theirs.data:
        raise mine.error(
            f"{name} is itself based on another file: one step only", KEY,
            do="Base this file on that other one, or write out what it takes from it.",
        )  # fmt: skip
    for path in own:
        if path not in mine.places:
            raise mine.error(
                f"{'.'.join(map(str, path))} is missing here: it is never taken from {name}",
                *path[:-1],
            )
    places: dict[Path_, Place] = {}
    data = _Merge(mine, theirs, places).mapping(mine.data, theirs.data, (), (), ())
    return Document(file, data, places, hashlib.sha256(raw).hexdigest(), raw)


def _base(mine: Document, name: object, folders: Sequence[Path]) -> Path:
    known = {file.stem: file for folder in reversed(folders) for file in folder.glob("*.yaml")}
    if not isinstance(name, str) or name not in known:
        hint = nearest(str(name), list(known))
        raise mine.error(f"there is no {name!r} to base it on. {hint}".rstrip(), KEY)
    return known[name]


class _Merge:
    """Walks both files at once; `places` collects where each node of the result stands."""

    def __init__(self, mine: Document, theirs: Document, places: dict[Path_, Place]) -> None:
        self._mine, self._theirs, self._places = mine, theirs, places

    def mapping(
        self, mine: Mapping[str, Any], theirs: Mapping[str, Any], at: Path_, base_at: Path_,
        to: Path_,
    ) -> dict[str, Any]:  # fmt: skip
        """`at` and `base_at` are the nodes' paths in the two files, `to` the result's."""
        self._places[to] = self._mine.place(*at)
        found = {}
        for key, given in theirs.items():
            if key not in mine:
                found[key] = self._copy(self._theirs, given, (*base_at, key), (*to, key))
        # In the order of the base: an entry that is changed keeps its place.
        order = [key for key in theirs if mine.get(key, key) is not None]
        order += [key for key in mine if key not in theirs]
        for key, given in mine.items():
            if given is None and key not in theirs:
                hint = nearest(key, list(theirs))
                raise self._mine.error(f"there is no {key!r} to take away. {hint}", *at, key)
            if key in theirs and given is not None:
                found[key] = self._either(given, theirs[key], (*at, key), (*base_at, key),
                                          (*to, key))  # fmt: skip
            elif given is not None:
                found[key] = self._copy(self._mine, given, (*at, key), (*to, key))
        return {key: found[key] for key in order}

    def _either(self, mine: Any, theirs: Any, at: Path_, base_at: Path_, to: Path_) -> Any:
        if isinstance(mine, dict) and isinstance(theirs, dict):
            return self.mapping(mine, theirs, at, base_at, to)
        if isinstance(mine, list) and isinstance(theirs, list) and _keyed(theirs):
            return self._entries(mine, theirs, at, base_at, to)
        if isinstance(theirs, dict | list) and type(mine) is not type(theirs):
            kind = "keys" if isinstance(theirs, dict) else "a list"
            raise self._mine.error(
                f"{at[-1]} has {kind} in {self._theirs.place(*base_at)}: give the same, or take "
                "it away with null", *at
            )  # fmt: skip
        return self._copy(self._mine, mine, at, to)

    def _entries(
        self, mine: list[Any], theirs: list[Any], at: Path_, base_at: Path_, to: Path_
    ) -> list[Any]:
        """Entries of a list by their key: changed where they stand, new ones at the end."""
        known = {_key(entry): place for place, entry in enumerate(theirs)}
        changes: dict[Any, int] = {}
        for place, entry in enumerate(mine):
            key = _key(entry)
            if key is None:
                raise self._mine.error("an entry needs the `id` of what it adds or changes",
                                       *at, place)  # fmt: skip
            if changes.setdefault(key, place) != place:
                raise self._mine.error(f"{_words(key)} is changed twice", *at, place)
            if _REMOVED in entry and (entry[_REMOVED] is not True or key not in known):
                hint = nearest(_words(key), [_words(each) for each in known])
                raise self._mine.error(
                    f"there is no {_words(key)} to remove. {hint}" if key not in known
                    else "`removed: true` takes an entry away; nothing else can be said with it",
                    *at, place,
                )  # fmt: skip
        self._places[to] = self._mine.place(*at)
        found: list[Any] = []
        for key, old in known.items():
            here, base_here = (*to, len(found)), (*base_at, old)
            if key not in changes:
                found.append(self._copy(self._theirs, theirs[old], base_here, here))
                continue
            entry, place = mine[changes[key]], changes[key]
            if _REMOVED not in entry:
                found.append(self.mapping(entry, theirs[old], (*at, place), base_here, here))
        for key, place in changes.items():
            if key not in known:
                found.append(self._copy(self._mine, mine[place], (*at, place), (*to, len(found))))
        return found

    def _copy(self, source: Document, node: Any, at: Path_, to: Path_) -> Any:
        """A node as it is, with the places of all that is in it."""
        self._places[to] = source.place(*at)
        if isinstance(node, dict):
            return {k: self._copy(source, v, (*at, k), (*to, k)) for k, v in node.items()}
        if isinstance(node, list):
            return [self._copy(source, v, (*at, k), (*to, k)) for k, v in enumerate(node)]
        return node


def _key(entry: Any) -> Any:
    """What tells an entry of a list from the others; None if nothing does."""
    if not isinstance(entry, dict):
        return None
    if isinstance(entry.get("id"), str):
        return entry["id"]
    ends = entry.get("from"), entry.get("to")
    return ends if all(isinstance(end, str) for end in ends) else None


def _keyed(entries: list[Any]) -> bool:
    keys = [_key(entry) for entry in entries]
    return bool(keys) and None not in keys and len(set(keys)) == len(keys)


def _words(key: Any) -> str:
    return key if isinstance(key, str) else " -> ".join(key)
