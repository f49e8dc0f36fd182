"""The failure modes and effects analysis of a unit, and whether its rows and it name each other.

A module because the analysis is approved apart from the profile: neither is made from the other,
and where they differ somebody has to decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from controller.chart.model import Risk
from controller.core.based import load_based
from controller.core.errors import nearest
from controller.profile.compile import Profile
from controller.profile.unit import RiskId

Rating = Annotated[int, Field(ge=1, le=5)]
Words = Annotated[str, Field(min_length=3, max_length=200)]
SECTIONS = ("plausibility", "permits", "rows", "procedure")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _RiskModel(_Model):
    id: RiskId
    hazard: Words
    cause: Words
    severity: Rating
    occurrence: Rating
    detection: Rating
    rows: list[str] = Field(min_length=1, max_length=32)


class _FileModel(_Model):
    based_on: str | None = None
    unit: str
    version: int = Field(ge=1)
    title: Words
    approved_by: str
    risks: list[_RiskModel] = Field(min_length=1, max_length=512)


@dataclass(frozen=True, slots=True)
class Analysis:
    """The risks, and which rows control each. `rows` maps a row to the ids of its risks."""

    file: str
    unit: str
    version: int
    title: str
    approved_by: str
    risks: Mapping[str, Risk]
    rows: Mapping[str, tuple[str, ...]]

    @property
    def words(self) -> str:
        """What it is and who stands for it."""
        return f"{self.title}, version {self.version}, {self._who}"

    @property
    def _who(self) -> str:
        return f"approved by {self.approved_by}" if self.approved_by else "approved by nobody"


def load_analysis(path: Path, profile: Profile) -> Analysis:
    """Reads an analysis for a unit. Raises BadInput with file:line for the first fault in it.

    Who approved it is never taken from one it is based on.
    """
    own = tuple((key,) for key in ("unit", "version", "title", "approved_by"))
    document = load_based(path, own=own)
    model = document.validate(_FileModel)
    if model.unit != profile.id:
        raise document.error(f"this analysis is of unit {model.unit!r}, not {profile.id!r}", "unit")
    known = [info.row for info in profile.causes]
    risks: dict[str, Risk] = {}
    rows: dict[str, tuple[str, ...]] = {}
    for place, item in enumerate(model.risks):
        if item.id in risks:
            raise document.error(f"risk {item.id} is there twice", "risks", place, "id")
        for at, row in enumerate(item.rows):
            if row not in known:
                raise document.error(
                    f"unknown row {row!r}. {nearest(row, known)}", "risks", place, "rows", at,
                    do="Name a row of the chart that controls it, or give the unit such a row.",
                )  # fmt: skip
            rows[row] = (*rows.get(row, ()), item.id)
        risks[item.id] = Risk(item.id, item.hazard, item.cause, item.severity, item.occurrence,
                              item.detection)  # fmt: skip
    return Analysis(document.file, model.unit, model.version, model.title, model.approved_by,
                    risks, rows)  # fmt: skip


def differences(profile: Profile, analysis: Analysis) -> list[str]:
    """Where profile and analysis do not name each other, and protects without a risk; in words.

    Nobody writes a derived row: the analysis alone says what it controls.
    """
    found: list[str] = []
    for section in SECTIONS:
        for place, item in enumerate(getattr(profile.model, section)):
            at = profile.document.place(section, place)
            wanted = analysis.rows.get(item.id, ())
            if getattr(item, "route", "") and not item.risk:
                continue
            found += [f"{at}: row {item.id} names {risk}, and {_why(analysis, risk, item.id)}"
                      for risk in item.risk if risk not in wanted]  # fmt: skip
            found += [f"{at}: row {item.id} controls {risk} by {analysis.file}, and does not name"
                      " it" for risk in wanted if risk not in item.risk]  # fmt: skip
    for info in profile.causes:
        if info.kind == "protect" and info.row not in analysis.rows:
            found.append(f"{profile.file}: protect {info.row} controls no risk of {analysis.file}")
    return found


def _why(analysis: Analysis, risk: str, row: str) -> str:
    if risk not in analysis.risks:
        hint = nearest(risk, list(analysis.risks))
        return f"{analysis.file} has no such risk. {hint}".rstrip()
    return f"{analysis.file} does not say that row {row} controls it"
