"""What the table of a unit's I/O board says, in the unit's own names: for people and as data.

Read from the bytes that are loaded, not from what they were made of: what is printed is what runs.
"""

from __future__ import annotations

from typing import Any

from controller.core.errors import BadInput
from controller.profile.compile import Profile
from controller.profile.link_plan import BoardPlan
from firmware_bridge.codes import NONE, Bad, Kind, Op, Source
from firmware_bridge.table import Cause, Condition, Signal, Table

US_PER_S = 1_000_000
_OPS = {Op.ABOVE: ">", Op.BELOW: "<"}


def board_of(profile: Profile) -> BoardPlan:
    """The unit's I/O board; raises BadInput for a unit without one."""
    for link in profile.links:
        if link.board is not None:
            return link.board
    raise BadInput(
        f"unit {profile.id} has no I/O board", where=profile.file,
        do="Put a device with `protocol: bridge` on a link of kind bridge (docs/profile.md).",
    )  # fmt: skip


class Words:
    """A board's table in names. Raises LayoutError for bytes that are none."""

    def __init__(self, profile: Profile, board: BoardPlan) -> None:
        self._profile, self._board = profile, board
        self._table = Table.split(board.table)
        given = {each.board_signal: each.signal for each in board.given}
        inputs = {Source.ANALOG: dict(board.analog), Source.DIGITAL: dict(board.digital)}
        self._signals = [
            given[number] if signal.source == Source.HOST
            else inputs[Source(signal.source)][signal.number]
            for number, signal in enumerate(self._table.signals)
        ]  # fmt: skip
        self._channels = {channel.channel: channel.name for channel in board.channels}

    def as_data(self) -> dict[str, Any]:
        """The whole table as plain data."""
        table, board = self._table, self._board
        return {
            "unit": self._profile.id, "device": board.device, "bytes": len(board.table),
            "sha256": board.digest.hex(),
            "images": "installed" if board.installed else [each.hex() for each in board.images],
            "rows": [self._row(number, cause) for number, cause in enumerate(table.causes)],
            "signals": [self._signal(n, signal) for n, signal in enumerate(table.signals)],
            "channels": [
                {"channel": number, "name": self._channels.get(number, ""),
                 "lease_s": row.lease_ms_max / 1000, "lapse": "keeps" if row.keep else row.lapse,
                 "latches": bool(row.latch), "retained": bool(row.retain), "start": row.start}
                for number, row in enumerate(table.channels)
            ],
        }  # fmt: skip

    def _row(self, number: int, cause: Cause) -> dict[str, Any]:
        plan = self._board.rows[number]
        conditions = self._table.conditions[cause.first_condition :][: cause.n_conditions]
        effects = self._table.effects[cause.first_effect :][: cause.n_effects]
        valid = ""
        if cause.valid_signal != NONE:
            name = self._profile.signals[self._signals[cause.valid_signal]]
            valid = f"in {name}" if cause.valid_when else f"not in {name}"
        return {
            "row": number, "id": plan.id, "title": self._profile.causes[plan.cause].title,
            "kind": Kind(cause.kind).name.lower(),
            "vote": f"{cause.votes} of {cause.n_conditions}",
            "conditions": [self._condition(each) for each in conditions],
            "bad": sorted({Bad(each.bad).name.lower() for each in conditions}),
            "delay_s": cause.on_delay_us / US_PER_S, "bad_after_s": cause.bad_delay_us / US_PER_S,
            "off_delay_s": cause.off_delay_us / US_PER_S, "valid": valid,
            "effects": [f"{self._channels.get(each.channel, each.channel)} = {each.value}"
                        for each in effects],
            "kernel_alone": self._kernel_alone(plan.cause, {each.channel for each in effects}),
            "never_bypass": not plan.bypassable, "told": self._profile.signals[plan.told],
        }  # fmt: skip

    def _kernel_alone(self, cause: int, on_board: set[int]) -> list[str]:
        """The outputs a row acts on that do not hang on the board."""
        row, plan = self._profile.plan.causes[cause], self._profile.plan
        outputs = {each.output for each in self._board.channels if each.channel in on_board}
        first, count = int(row["first_effect"]), int(row["n_effects"])
        found = (int(each) for each in plan.effects[first : first + count]["output"])
        return [self._profile.outputs[output] for output in found if output not in outputs]

    def _condition(self, row: Condition) -> str:
        tag = self._profile.tags[self._signals[row.signal]]
        if row.op == Op.BAD:
            return f"{tag.name} is bad"
        unit = "" if tag.unit == "1" else f" {tag.unit}"
        return f"{tag.name} {_OPS[Op(row.op)]} {row.limit:g}{unit}"

    def _signal(self, number: int, row: Signal) -> dict[str, Any]:
        source = Source(row.source)
        own = {Source.ANALOG: f"analog input {row.number}",
               Source.DIGITAL: f"digital input {row.number}"}  # fmt: skip
        age_s = row.max_age_us / US_PER_S
        return {
            "signal": number, "tag": self._profile.signals[self._signals[number]],
            "from": own.get(source, f"host, at most {age_s:g} s old"),
        }
