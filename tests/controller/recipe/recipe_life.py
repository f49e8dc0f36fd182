"""What must be true of a batch whatever happens to it: laws that are looked at after every move."""

from __future__ import annotations

from recipe_zoo import LIQUIDS, OFF, Bench, phase_of

from controller.core.events import Event
from controller.recipe.batch import state_digest
from controller.recipe.decision import Command
from controller.recipe.plan import PhasePlan
from controller.recipe.states import FINAL, STATES

# Written out from ISA-88.00.01 (IEC 61512-1), and not derived from the table it checks.
LEGAL = {
    ("Idle", "start"): "Running",
    ("Running", "hold"): "Holding",
    ("Running", "pause"): "Pausing",
    ("Running", "stop"): "Stopping",
    ("Running", "abort"): "Aborting",
    ("Pausing", "resume"): "Running",
    ("Pausing", "hold"): "Holding",
    ("Pausing", "stop"): "Stopping",
    ("Pausing", "abort"): "Aborting",
    ("Paused", "resume"): "Running",
    ("Paused", "hold"): "Holding",
    ("Paused", "stop"): "Stopping",
    ("Paused", "abort"): "Aborting",
    ("Holding", "stop"): "Stopping",
    ("Holding", "abort"): "Aborting",
    ("Held", "restart"): "Restarting",
    ("Held", "stop"): "Stopping",
    ("Held", "abort"): "Aborting",
    ("Restarting", "hold"): "Holding",
    ("Restarting", "stop"): "Stopping",
    ("Restarting", "abort"): "Aborting",
    ("Stopping", "abort"): "Aborting",
    ("Holding", "worsen"): "Holding",
    ("Held", "worsen"): "Holding",
    ("Running", "done"): "Complete",
    ("Pausing", "done"): "Paused",
    ("Holding", "done"): "Held",
    ("Restarting", "done"): "Running",
    ("Stopping", "done"): "Stopped",
    ("Aborting", "done"): "Aborted",
}
MOVES = {(source, to) for (source, _), to in LEGAL.items()}
ACTIVE = frozenset({"Running", "Pausing", "Holding", "Restarting", "Stopping", "Aborting"})
ENDING = frozenset({"Idle", "Complete", "Stopping", "Stopped", "Aborting", "Aborted"})
ENDED = frozenset({"Idle", "Complete", "Stopped", "Aborted"})
# What the parts of an element may be while it rests in a state; in others, anything.
PARTS = {
    "Idle": {"Idle"},
    "Held": {"Held", *ENDING},
    "Paused": {"Paused", "Held", *ENDING},
    "Complete": ENDED,
    "Stopped": ENDED,
    "Aborted": ENDED,
    "Stopping": ENDING,
    "Aborting": ENDING - {"Stopping"},
}


class Laws:
    """Looks at a bench after every move; `seen` is how far into its log it has looked."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.seen = 0
        self.states: dict[str, str] = {}

    def look(self) -> None:
        """Raises AssertionError when a law is broken."""
        for item in self.bench.log[self.seen :]:
            if isinstance(item, Command):
                self._command(item)
            else:
                self._record(item)
        self.seen = len(self.bench.log)
        self._rest()
        self._stopped()

    def _record(self, event: Event) -> None:
        if event.name == "procedure.state":
            move = (event.data["old"], event.data["new"])
            assert move in MOVES, f"{event.data['path']}: {move}"
            self.states[event.data["path"]] = event.data["new"]

    def _command(self, command: Command) -> None:
        """Only an active phase commands; only its end switches the environment off."""
        path = phase_of(command)
        if path == self.bench.recipe.root:
            ending = {(item.verb, item.target) for item in self.bench.recipe.offer.ending}
            allowed = ending if self.states.get(path) in ("Stopping", "Aborting") else set()
            assert (command.verb, command.target) in {("set_flag", "unit_held"), *allowed}, command
            return
        assert self.states.get(path) in ACTIVE, (command, self.states.get(path))
        if OFF.get((command.verb, command.target)) == command.value:
            assert self._plan(path).use == "end_environment", command

    def _plan(self, path: str) -> PhasePlan:
        return self.bench.engine.current(self.bench.state).phases[path]

    def _rest(self) -> None:
        """The states of an element and of its parts fit, and who has steps has a state for them."""
        state = self.bench.state
        recipe = self.bench.engine.current(state)
        assert set(state.nodes.values()) <= set(STATES)
        care = recipe.care.path if recipe.care else "-"
        for path, node in recipe.nodes.items():
            found = state.node(path)
            if not node.parent or path.startswith(care):
                continue
            above = state.node(node.parent)
            assert found in PARTS.get(above, STATES), f"{path} is {found}, above it is {above}"
        for path in state.runs:
            assert state.node(path) not in FINAL | {"Idle"}, path
        for prompt in state.prompts.values():
            assert prompt.path in state.runs, prompt
        held = state.node(recipe.root) in ("Holding", "Held")
        assert self.bench.flags.get("unit_held", False) is held

    def _stopped(self) -> None:
        """What a step started is stopped once its phase is over, but for what its class leaves on
        while the batch goes on."""
        state = self.bench.state
        over = state.node(self.bench.recipe.root) in FINAL
        for target in LIQUIDS:
            if not self.bench.outputs[target]:
                continue
            owner = self.bench.owners[target]
            if owner in state.runs:
                continue
            leaves = self.bench.recipe.offer.classes[self._plan(owner).use].leaves
            assert target in leaves, f"{target} is on, {owner} is {state.node(owner)}"
            assert not over or state.skipped, f"{target} is on after the end"


def nothing_happened(bench: Bench, before: str, records: int) -> Event:
    """The record of a refusal, which is all there may be; the state is the same."""
    assert state_digest(bench.state) == before
    found = bench.records[records:]
    assert len(found) == 1, [event.name for event in found]
    assert found[0].name in ("command.refused", "prompt.refused", "change.refused")
    assert found[0].data["why"]
    return found[0]
