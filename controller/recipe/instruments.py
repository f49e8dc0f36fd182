"""How the instruments beside a unit lay out their files of results: declared in its profile.

One line a sample, one column a result, as instruments export; the standard layout, one line a
result, needs no declaration. A module because the unit's offer knows layouts and nothing of files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from controller.core.quantity import unit_factor
from controller.core.yamltext import Document
from controller.recipe.model import InstrumentModel

_TRY = datetime(2026, 1, 5, 18, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Layout:
    """One instrument: the columns it names (casefolded), and its results: analyte -> column, unit.

    `time_format` is strptime's, without a zone; empty: ISO 8601. `operator` may be empty.
    """

    instrument: str
    sample: str
    time: str
    time_format: str
    serial: str
    operator: str
    results: Mapping[str, tuple[str, str]]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns by which a file of this instrument is known."""
        fixed = (self.sample, self.time, self.serial, *([self.operator] if self.operator else []))
        return (*fixed, *(column for column, _ in self.results.values()))


def layouts(
    models: Sequence[InstrumentModel], document: Document, prefix: tuple[str | int, ...]
) -> tuple[Layout, ...]:
    """The checked layouts of a unit; raises BadInput with file:line for the first fault."""
    found: list[Layout] = []
    for number, model in enumerate(models):
        place = (*prefix, "instruments", number)
        if model.instrument in [one.instrument for one in found]:
            raise document.error(f"duplicate instrument {model.instrument!r}", *place, "instrument")
        for analyte, item in model.results.items():
            try:
                unit_factor(item.unit)
            except ValueError as error:
                raise document.error(str(error), *place, "results", analyte, "unit") from None
        layout = Layout(
            model.instrument, model.sample.casefold(), model.time.casefold(), model.time_format,
            model.serial.casefold(), model.operator.casefold(),
            {name: (item.column.casefold(), item.unit) for name, item in model.results.items()},
        )  # fmt: skip
        twice = [name for name in layout.columns if layout.columns.count(name) > 1]
        if twice:
            raise document.error(f"the column {twice[0]!r} is named twice", *place)
        if any(set(one.columns) == set(layout.columns) for one in found):
            raise document.error("its columns are those of another instrument", *place)
        _check_format(model, document, place)
        found.append(layout)
    return tuple(found)


def _check_format(model: InstrumentModel, document: Document, place: tuple[str | int, ...]) -> None:
    if not model.time_format:
        return
    form = model.time_format
    try:
        again = datetime.strptime(_TRY.strftime(form), form).replace(tzinfo=UTC)
    except ValueError:
        again = None
    if again != _TRY or "%z" in form.lower():
        raise document.error(
            "a time format says day, month, year, hour and minute of the station's local time, as "
            "%d.%m.%Y %H:%M", *place, "time_format",
        )  # fmt: skip
