"""`docs/states.md`: every state machine people meet, as diagrams made from the tables that decide.

A module of the command line because no room below it may know both recipes and alarms.
"""

from __future__ import annotations

from typing import Final

from controller.alarms import table as alarms
from controller.recipe.pfc.states_diagram import diagram, matrix, procedural

_ALARMS: Final = {
    alarms.NORM: "A, normal", alarms.UNACK: "B, unacknowledged", alarms.ACK: "C, acknowledged",
    alarms.RTN_UNACK: "D, returned, unacknowledged",
    alarms.LATCHED_UNACK: "E, latched, unacknowledged",
    alarms.LATCHED_ACK: "F, latched, acknowledged", alarms.SHELVED: "G, shelved",
    alarms.SUPPRESSED: "H, suppressed by design", alarms.OUT_OF_SERVICE: "I, out of service",
}  # fmt: skip
_PAGE: Final = """# State machines

Made by `cellwright recipe states` from the tables the program decides by; a test compares this page
with them.

```sh
cellwright recipe states --out docs/states.md
```

## Procedural elements

Procedure, unit procedure, operation, phase, transition and structure have the same states, after
ISA-88.00.01 (IEC 61512-1). `worsen` is a further failure while it is held: the holding logic begins
again. `done` is the end of a state's own logic. The table is `controller/recipe/states.py:TABLE`.

```mermaid
{procedural}```

What a command does in each state; `-` is refused with the reason, and nothing happens:

{matrix}
## Alarms

States A to I after ANSI/ISA-18.2. What leaves a hidden state comes back as the process says:
normal, unacknowledged, or latched. The table is `controller/alarms/table.py:TABLE`.

```mermaid
{alarms}```
"""


def page() -> str:
    """The page."""
    return _PAGE.format(procedural=procedural(), matrix=matrix(), alarms=alarm_states())


def alarm_states() -> str:
    """The life of an alarm as a Mermaid state diagram."""
    moves = []
    for (old, trigger), new in alarms.TABLE.items():
        back = (alarms.NORM, alarms.UNACK, alarms.LATCHED_UNACK)
        moves += [(old, goal, trigger) for goal in (back if new == alarms.AS_IT_IS else (new,))]
    return diagram(alarms.STATES, moves, (alarms.NORM,), titles=_ALARMS)
