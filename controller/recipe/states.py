"""The ISA-88 procedural states: one table for every element, from the batch down to the phase.

ISA-88.00.01 (IEC 61512-1) section on procedural states; semantics of a worse failure during Hold as
in commercial batch systems: the holding logic starts again. Pausing runs on to the next place where
an element may pause. An illegal command is refused and nothing happens.
"""

from __future__ import annotations

from functools import lru_cache

from transitions import Machine, MachineError

from controller.core.errors import Refused

IDLE, RUNNING, COMPLETE = "Idle", "Running", "Complete"
PAUSING, PAUSED = "Pausing", "Paused"
HOLDING, HELD, RESTARTING = "Holding", "Held", "Restarting"
STOPPING, STOPPED, ABORTING, ABORTED = "Stopping", "Stopped", "Aborting", "Aborted"
STATES = (
    IDLE, RUNNING, PAUSING, PAUSED, HOLDING, HELD, RESTARTING, STOPPING, STOPPED, ABORTING, ABORTED,
    COMPLETE,
)  # fmt: skip
FINAL = frozenset({STOPPED, ABORTED, COMPLETE})
# States with logic of their own; `done` is that logic's end.
ACTIVE = frozenset({RUNNING, PAUSING, HOLDING, RESTARTING, STOPPING, ABORTING})
COMMANDS = ("start", "pause", "resume", "hold", "restart", "stop", "abort")
# trigger -> (from, to). `worsen` is a further failure while holding, `done` the end of a logic.
TABLE: dict[str, tuple[tuple[str, str], ...]] = {
    "start": ((IDLE, RUNNING),),
    "pause": ((RUNNING, PAUSING),),
    "resume": ((PAUSING, RUNNING), (PAUSED, RUNNING)),
    "hold": (
        (RUNNING, HOLDING), (PAUSING, HOLDING), (PAUSED, HOLDING), (RESTARTING, HOLDING),
    ),
    "worsen": ((HOLDING, HOLDING), (HELD, HOLDING)),
    "restart": ((HELD, RESTARTING),),
    "stop": (
        (RUNNING, STOPPING), (PAUSING, STOPPING), (PAUSED, STOPPING), (HOLDING, STOPPING),
        (HELD, STOPPING), (RESTARTING, STOPPING),
    ),
    "abort": (
        (RUNNING, ABORTING), (PAUSING, ABORTING), (PAUSED, ABORTING), (HOLDING, ABORTING),
        (HELD, ABORTING), (RESTARTING, ABORTING), (STOPPING, ABORTING),
    ),
    "done": (
        (RUNNING, COMPLETE), (PAUSING, PAUSED), (HOLDING, HELD), (RESTARTING, RUNNING),
        (STOPPING, STOPPED), (ABORTING, ABORTED),
    ),
}  # fmt: skip


class _Procedure:
    """A model of the machine: one activation of one procedural element."""

    state: str


@lru_cache(maxsize=1)
def _machine() -> Machine:
    rows = [
        {"trigger": trigger, "source": source, "dest": target}
        for trigger, pairs in TABLE.items()
        for source, target in pairs
    ]
    return Machine(
        model=None, states=list(STATES), transitions=rows, initial=IDLE, auto_transitions=False
    )


@lru_cache(maxsize=256)
def move(state: str, trigger: str) -> str:
    """The state after `trigger`; raises Refused when the table has no such transition."""
    machine, model = _machine(), _Procedure()
    machine.add_model(model, initial=state)
    try:
        machine.events[trigger].trigger(model)
    except (MachineError, KeyError):
        allowed = [name for name in COMMANDS if any(source == state for source, _ in TABLE[name])]
        raise Refused(
            f"{trigger} is not possible while {state}",
            means="Nothing was changed.",
            do=f"Possible now: {', '.join(allowed)}." if allowed else "No command is possible now.",
        ) from None
    finally:
        machine.remove_model(model)
    return model.state


def legal(state: str, trigger: str) -> bool:
    """Whether the table has a transition for `trigger` from `state`."""
    return any(source == state for source, _ in TABLE[trigger])
