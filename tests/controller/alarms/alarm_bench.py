"""The shipped unit's alarms without a field: events as field would say them, time by hand."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from controller.alarms import Alarms, Book
from controller.alarms.dependence import Dependence
from controller.core.clock import Stamp, VirtualClock
from controller.core.events import EVENTS, Event
from controller.core.yamltext import parse
from controller.profile.compile import Profile, compile_unit
from controller.units import find_unit, load_unit
from equipment_profiles import DEVICES, UNITS

S = 1_000_000_000
ME = ("me@bench", "operator", "a reason")
SHIPPED = (UNITS / "perfusion_2l.yaml").read_text()
PLAIN = SHIPPED[: SHIPPED.index("\nalarms:\n") + 1]


@lru_cache
def profile() -> Profile:
    return load_unit(find_unit("perfusion_2l"))[0]


@lru_cache
def unit(section: str) -> Profile:
    """The shipped unit with another alarm section."""
    return compile_unit(parse((PLAIN + section).encode(), "unit.yaml"), DEVICES)


@lru_cache
def _known() -> tuple[Book, Dependence]:
    return Book.of(profile()), Dependence(profile())


def made() -> Alarms:
    """The list of the shipped unit, none raised."""
    return Alarms(*_known())


def at(seconds: float = 0.0) -> Stamp:
    return VirtualClock(1).at(round(seconds * S))


def event(name: str, when: float = 0.0, **data: Any) -> Event:
    fields = dict.fromkeys(EVENTS[name].fields, "x") | data
    return Event(name, at(when), data=fields)


def title(row: str) -> str:
    return next(cause.title for cause in profile().causes if cause.row == row)


def raised(row: str, seconds: float = 0.0) -> Event:
    """A trip because of what the row watches."""
    return event("cause.active", seconds, row=row, title=title(row), signals=[], first_out=0)


def blind(row: str, *signals: str, when: float = 0.0) -> Event:
    """A trip only because signals are bad, as the translator says it."""
    return event(
        "cause.active", when, row=row, title=f"its signals are bad ({title(row)})", first_out=0,
        signals=[f"{name} bad: silent" for name in signals] + ["PT101 = 1"],
    )  # fmt: skip


def cleared(row: str, seconds: float = 0.0, latched: bool = False) -> Event:
    return event("cause.cleared", seconds, row=row, title=title(row), latched=latched)


def reset(row: str, seconds: float = 0.0) -> Event:
    return event("cause.reset", seconds, row=row, title=title(row))


def link(name: str, state: str = "lost", when: float = 0.0) -> Event:
    return event("link.state", when, link=name, state=state, why="")


def state(alarms: Alarms, name: str) -> str:
    return alarms.all[name].state


def rebuilt(records: list[Event]) -> Alarms:
    """The list folded anew from records alone."""
    again = made()
    for record in records:
        again.evolve(record)
    return again
