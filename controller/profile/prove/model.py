"""What the `properties:` section of a unit file may say; what it means is told in docs/prove.md.

Apart from the prover, so that reading a profile needs no solver.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.]{0,47}$")]
Comparison = Annotated[str, Field(min_length=3, max_length=80)]
Name = Annotated[str, Field(min_length=1, max_length=32)]


def _listed(given: Any) -> Any:
    """One comparison may stand alone, and several may be written as in a row: `all: [...]`."""
    if isinstance(given, dict) and set(given) == {"all"}:
        return given["all"]
    return [given] if isinstance(given, str) else given


Comparisons = Annotated[list[Comparison], BeforeValidator(_listed)]


class PropertyModel(BaseModel):
    """Either `whenever` and `then`, with a time; or `never`.

    `bypassed` names rows that may be bypassed all the while, `read_back` actuators that field has
    taken over after a restart, which until then it neither reads nor writes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    id: Id
    title: Annotated[str, Field(min_length=1, max_length=120)]
    whenever: Comparisons = Field(default_factory=list, max_length=8)
    then: Comparisons = Field(default_factory=list, max_length=32)
    within: Annotated[str, Field(min_length=1, max_length=32)] = "0 s"
    never: Comparisons = Field(default_factory=list, max_length=8)
    bypassed: list[Name] = Field(default_factory=list, max_length=16)
    read_back: list[Name] = Field(default_factory=list, max_length=16)

    @model_validator(mode="after")
    def _one_form(self) -> PropertyModel:
        if self.never:
            if self.whenever or self.then or self.within != "0 s":
                raise ValueError("`never` stands alone; `whenever`, `then`, `within` go together")
        elif not (self.whenever and self.then):
            raise ValueError("give `whenever` and `then`, or `never`")
        return self
