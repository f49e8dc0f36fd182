"""What a unit file may say of its alarms: the shape of the master alarm database.

Which names there are and what is taken where a unit says nothing is known in `controller.alarms`,
which refuses a wrong name with its line.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Words = Annotated[str, Field(min_length=1, max_length=240)]
Time = Annotated[str, Field(min_length=1, max_length=32)]
AlarmName = Annotated[str, Field(min_length=1, max_length=80)]


class AlarmModel(BaseModel):
    """One alarm, or all of a kind: what it means, what to do, how soon, may it be shelved.

    `shelve` is `never` or the longest time. `suppressed_by` names alarms whose standing makes this
    one their mere consequence.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    priority: Literal["critical", "high", "medium", "low"] | None = None
    consequence: Words | None = None
    action: Words | None = None
    respond: Time | None = None
    shelve: Time | None = None
    suppressed_by: list[AlarmName] = Field(default_factory=list, max_length=16)
