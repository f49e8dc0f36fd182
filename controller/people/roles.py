"""Role x action x state: one table, as data in `rights.yaml`, and what it says about a request.

A module because the table is approved as it stands: its digest is in every record that opens a
station or a batch, and nothing else in the program knows what a role may do.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from controller.core.yamltext import load

UNVERIFIED, NOBODY = "unverified", "nobody"
ROLES: Final = ("operator", "supervisor", "qa", "engineer", "admin", "auditor")
NO_BATCH: Final = "NoBatch"
STATES: Final = (
    NO_BATCH, "Idle", "Running", "Pausing", "Paused", "Holding", "Held", "Restarting", "Stopping",
    "Stopped", "Aborting", "Aborted", "Complete",
)  # fmt: skip
AS_ASKED: Final = ("answer", "result_file")  # signed as the prompts ask that are answered
USES: Final = ("none", "virtual", "engineering")
TABLE: Final = Path(__file__).with_name("rights.yaml")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Grant(_Model):
    roles: list[str] = Field(min_length=1)
    states: list[str] = Field(default_factory=list)  # empty: in every state
    uses: list[str] = Field(default_factory=list)  # empty: in every use


class _Action(_Model):
    grants: list[_Grant]
    signatures: int = Field(default=0, ge=0, le=2)
    signers: list[str] = Field(default_factory=list)
    second: list[str] = Field(default_factory=list)
    meaning: str = ""
    second_meaning: str = ""
    reason: bool = False


class _Table(_Model):
    actions: dict[str, _Action]


@dataclass(frozen=True, slots=True)
class Grant:
    """Some roles, in some states, in some uses."""

    roles: tuple[str, ...]
    states: tuple[str, ...]
    uses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """What one action asks for.

    `signatures` 0, 1 or 2. The first is given by the person of the session, or, where `signers`
    names roles, by anyone of these; the second by another person in one of `second_roles`.
    """

    verb: str
    grants: tuple[Grant, ...]
    signatures: int
    signers: tuple[str, ...]
    second_roles: tuple[str, ...]
    meaning: str
    second_meaning: str
    reason: bool

    @property
    def meanings(self) -> tuple[str, ...]:
        """What each signature says, in the order in which they are given."""
        return tuple(text for text in (self.meaning, self.second_meaning) if text)

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles that may do this in some state."""
        return tuple(dict.fromkeys(role for grant in self.grants for role in grant.roles))

    def states(self, role: str, use: str) -> tuple[str, ...]:
        """The states in which a role may do this; `use` of the open batch, `none` without one."""
        return tuple(state for state in STATES if self.allows(role, state, use))

    def allows(self, role: str, state: str, use: str) -> bool:
        """One cell of the table."""
        return any(
            role in grant.roles and state in grant.states and use in grant.uses
            for grant in self.grants
        )


class Rights:
    """The whole table."""

    def __init__(self, rules: dict[str, Rule], digest: str) -> None:
        self._rules, self.digest = rules, digest

    @classmethod
    def load(cls, path: Path = TABLE) -> Rights:
        """Reads the table. Raises BadInput, with file:line, for a wrong one."""
        document = load(path)
        table = document.validate(_Table)
        known = {"roles": (*ROLES, UNVERIFIED, NOBODY), "states": STATES, "uses": USES}
        rules = {}
        for verb, action in table.actions.items():
            for place, grant in enumerate(action.grants):
                for field, names in known.items():
                    odd = set(getattr(grant, field)) - set(names)
                    if odd:
                        raise document.error(
                            f"unknown {field} {sorted(odd)}",
                            "actions", verb, "grants", place, field,
                        )  # fmt: skip
            for field in ("signers", "second"):
                if set(getattr(action, field)) - set(ROLES):
                    raise document.error("unknown role", "actions", verb, field)
            if bool(action.second) != (action.signatures == 2 or verb in AS_ASKED):
                raise document.error("two signatures need `second`", "actions", verb)
            if action.signatures and not action.meaning:
                raise document.error("a signature has a meaning", "actions", verb)
            grants = tuple(
                Grant(tuple(g.roles), tuple(g.states or STATES), tuple(g.uses or USES))
                for g in action.grants
            )
            rules[verb] = Rule(
                verb, grants, action.signatures, tuple(action.signers), tuple(action.second),
                action.meaning, action.second_meaning, action.reason,
            )  # fmt: skip
        return cls(rules, hashlib.sha256(path.read_bytes()).hexdigest())

    @staticmethod
    @lru_cache(maxsize=1)
    def shipped() -> Rights:
        """The table of this program."""
        return Rights.load()

    def rule(self, verb: str) -> Rule | None:
        """What an action asks for; None for one the table does not have: nobody may do it."""
        return self._rules.get(verb)

    @property
    def verbs(self) -> tuple[str, ...]:
        """Every action of the table."""
        return tuple(self._rules)

    def verbs_of(self, role: str) -> tuple[str, ...]:
        """What a role may do in some state."""
        return tuple(verb for verb, rule in self._rules.items() if role in rule.roles)
