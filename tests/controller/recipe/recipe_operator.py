"""A person and a vessel for runs of the shipped recipe: answers, and a small table that moves."""

from __future__ import annotations

from collections.abc import Mapping

from recipe_bench import VALVES, Desk

from controller.recipe.decision import Command
from controller.recipe.plan import ControlRecipe

SECOND = "ben"
ANSWERS = {
    "set_lot": "LOT-1", "inoculum_code": "INOC-1", "viability": "93", "glucose": "8",
    "lactate": "12", "perfusate": "0.01", "ph": "7.2", "ph_probe": "keep base off",
}  # fmt: skip


class Vessel:
    """Readings that follow the commands: volume by the pumps, valves by their commands."""

    def __init__(self, recipe: ControlRecipe, answers: Mapping[str, str] = ANSWERS) -> None:
        self.desk = Desk(recipe, self._start(), act=self.act)
        self.answers = dict(answers)
        self.rates = {"feed": 0.0, "perfusate": 0.0}
        self.trim = False
        self.flags: set[str] = set()
        self.vcd = 0.0
        self.silent: set[str] = set()

    @staticmethod
    def _start() -> dict[str, float]:
        table = {
            "TT101": 20.0, "PT101": 0.0, "LT101": 0.0, "AT101": 7.2, "AT102": 40.0, "VOL": 0.02,
            "FT_N2": 0.0, "ST_FEED": 0.0, "ST_PERF": 0.0,
        }  # fmt: skip
        for number in VALVES:
            table[f"XV{number}_ZSO"], table[f"XV{number}_ZSC"] = 0.0, 1.0
        return table

    def act(self, command: Command) -> None:
        """Lets one command act."""
        table = self.desk.readings
        if command.target.startswith("xv"):
            number = command.target[2:]
            table[f"XV{number}_ZSO"] = float(command.value)
            table[f"XV{number}_ZSC"] = 1.0 - float(command.value)
        elif command.target in self.rates:
            self.rates[command.target] = float(command.value)
        elif command.target == "WIC101" and command.verb == "set_mode":
            self.trim = command.value == "auto"
        elif command.target == "TIC101" and command.verb == "set_sp":
            table["TT101"] = float(command.value)
        elif command.verb == "set_flag":
            (self.flags.add if command.value else self.flags.discard)(command.target)

    def go(self, hours: float, step_s: float = 60.0) -> None:
        """Lets time pass; open prompts are answered at the next step."""
        end_ns = self.desk.clock.now_ns + round(hours * 3600e9)
        while self.desk.clock.now_ns < end_ns and self.desk.state_of(self.root) != "Complete":
            self.step(step_s)

    @property
    def root(self) -> str:
        """The path of the procedure."""
        return self.desk.recipe.root

    def step(self, step_s: float) -> None:
        """One step of time: the vessel moves, the engine looks, the person answers."""
        table = self.desk.readings
        out = self.rates["feed"] if self.trim else self.rates["perfusate"]
        table["VOL"] += (self.rates["feed"] - out) * step_s / 60e3
        if "inoculated" in self.desk.state.variables:
            self.vcd *= 2 ** (step_s / 86_400)
        self.desk.go(step_s, step_s)
        for prompt in self.desk.engine.prompts(self.desk.state):
            if prompt.path not in self.silent:
                self.reply(prompt.prompt_id)

    def reply(self, prompt_id: str) -> None:
        """Answers one prompt as its operator would."""
        kind = prompt_id.rpartition(".")[2]
        if kind == "pressurise":
            self.desk.readings["PT101"] = 2.5
        elif kind == "release":
            self.desk.readings["PT101"] = 0.0
        elif kind == "inoculated":
            self.vcd = 0.26
        value = f"{self.vcd:.4g}" if kind == "vcd" else self.answers.get(kind, "yes")
        self.desk.answer(prompt_id, value, second=SECOND)
