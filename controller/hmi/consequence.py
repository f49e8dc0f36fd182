"""What each order would do now, and why one is not possible: shown before anybody presses it.

The words follow safety.md's column for Hold and the rule that only an ended environment stops heat,
stirring and oxygen; what a unit calls its environment and its liquids comes from its profile.
"""

from __future__ import annotations

from typing import Any

from controller.asking import ORDERS
from controller.profile.compile import Profile
from controller.recipe.states import FINAL, legal
from controller.requests import GOES_ON
from controller.supervisor import Supervisor

NO_BATCH = "no batch is open"
OWN_BATCH = "this run opens its batch by itself"
NO_LOG = "the log cannot be written: no command but Hold is possible"
RESTORING = "field was restarted and is being given its setpoints and modes again"
WHO = "somebody without a log-in pressed Hold: say first who it was, below"
ROWS_SAID = 3
# What an order to one element does; what runs beside it goes on.
_SET_ASIDE = (
    "The procedure is held then, until an engineer and QA have it skipped or repeated, or it is "
    "stopped."
)
ELEMENTS = {
    "hold": "This element and everything below it waits; its holding steps run. What runs beside "
    "it goes on, and so do heat, stirring and gas. It is no Hold of the unit: for that press Hold.",
    "pause": "It goes on to the next place where it may pause, and waits there. Nothing is "
    "stopped.",
    "resume": "It goes on from where it paused.",
    "restart": "It goes on where it was held, or from its re-entry step: valves open and pumps run "
    "again as its steps say.",
    "stop": f"This element ends in order and cannot be restarted: its stopping steps run. "
    f"{_SET_ASIDE}",
    "abort": f"This element ends at once and cannot be restarted: its aborting steps run. "
    f"{_SET_ASIDE}",
}


class Consequences:
    """Words for one profile; what does not depend on the moment is made once."""

    def __init__(self, profile: Profile) -> None:
        on = [name for name, item in profile.model.actuators.items() if item.environment]
        self._places = {info.row: index for index, info in enumerate(profile.causes)}
        names = ", ".join(on) or "nothing"
        rules = "; ".join(
            rule.title.removeprefix("Hold: ") for rule in profile.model.procedure
            if any(profile.model.unit.held in condition for condition in rule.all)
        )  # fmt: skip
        go_on = f"Heat, stirring and gas ({names}) go on"
        self._words = {
            "start": "The procedure begins with its first phase: it moves valves and pumps, and "
            "heat, stirring and gas as its steps say.",
            "hold": f"The phases wait where they are. {go_on} under their loops. Liquids go on at "
            f"their last rate unless a row or a rule forbids it. Rules of Hold: {rules or 'none'}.",
            "pause": f"The phases go on to the next place where the recipe may pause, and wait "
            f"there. Nothing is stopped by it: {go_on[0].lower()}{go_on[1:]}, liquids run as they "
            "do then, and rows act as ever. To stop liquids, hold.",
            "resume": "The phases go on from where they paused.",
            "restart": f"The phases go on where they were held: valves open and pumps run again as "
            f"their steps say. {go_on}.",
            "stop": f"The procedure ends in order and cannot be restarted. Liquids stop. {go_on} "
            "until two people confirm that the vessel is empty.",
            "abort": f"The procedure ends at once and cannot be restarted. Liquids stop. {go_on} "
            "until two people confirm that the vessel is empty.",
            "open_batch": "A batch is opened for this unit: from then on heat, stirring and oxygen "
            "cannot be switched off until two people confirm that the vessel is empty.",
            "end_environment": f"Heat, stirring and gas ({names}) are switched off. Only when the "
            "vessel is empty or discarded.",
        }  # fmt: skip

    def orders(self, supervisor: Supervisor) -> dict[str, dict[str, Any]]:
        """`{verb: {allowed, why, consequence}}`."""
        return {
            verb: {"allowed": not why, "why": why, "consequence": words}
            for verb, words in self._words.items()
            for why in [self._why(supervisor, verb)]
        }

    def _why(self, supervisor: Supervisor, verb: str) -> str:
        if supervisor.failed and verb != "hold":
            return NO_LOG
        if supervisor.restore.active and verb != "hold":
            return RESTORING
        state = supervisor.procedure_state
        if verb == "open_batch":
            if supervisor.engine is not None:
                return "a batch is open already"
            return OWN_BATCH if supervisor.requests.opener is None else ""
        if supervisor.engine is None:
            return NO_BATCH
        if verb == "end_environment":
            return "" if state in FINAL else f"the procedure is {state}; stop or abort it first"
        if verb in ORDERS and not legal(state, verb):
            return f"the procedure is {state}"
        if verb == "restart" and supervisor.orders.standing.unidentified:
            return WHO
        if verb in GOES_ON:
            return self._standing(supervisor)
        return ""

    def _standing(self, supervisor: Supervisor) -> str:
        """The rows that keep a procedure from going on, each with what is to be done about it."""
        causes, found = supervisor.board.image.causes, []
        for cause in supervisor.requests.standing():
            state = causes[self._places[cause.row]]
            reset = f"reset row {cause.row} on page Unit"
            if not state["active"]:
                todo = f"{reset} first"
            elif state["latched"]:
                todo = f"remove its cause, then {reset}"
            else:
                todo = "remove its cause first"
            found.append(f"row {cause.row} asks for Hold ({cause.title}): {todo}")
        more = f"; and {len(found) - ROWS_SAID} more" if len(found) > ROWS_SAID else ""
        return "; ".join(found[:ROWS_SAID]) + more
