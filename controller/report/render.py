"""Turns a template and its data into a PDF with typst: the same data, the same bytes.

A module because typst appears here only; a template gets one canonical JSON and a few pictures, no
date and no fonts of the machine.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from controller.core.errors import CellwrightError

DATA = "report.json"


class RenderFailure(CellwrightError):
    """The PDF could not be made; the record is as it was."""


def render(data: bytes, template: Path, pictures: Mapping[str, bytes] | None = None) -> bytes:
    """The PDF of a canonical JSON, which `template` reads as `report.json`.

    `pictures` are files beside it, by name. Raises RenderFailure.
    """
    import typst

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, content in {**(pictures or {}), DATA: data}.items():
            (root / name).write_bytes(content)
        shutil.copyfile(template, root / template.name)
        try:
            found = typst.compile(
                str(root / template.name), root=str(root), ignore_system_fonts=True, format="pdf"
            )
        except Exception as error:  # typst has one error class of its own per release
            raise RenderFailure(
                f"the report cannot be rendered: {error}", do="The record is as it was; keep it."
            ) from error
    if not isinstance(found, bytes):
        raise RenderFailure("typst gave no PDF")
    return found
