"""Our I/O board as a unit uses it becomes the plan of its link: table, channels, rows, lapse.

Refused, each at its line: a row for a board that is not there, a board whose channels would lapse
to another value than is safe or take from cells what they need, and one whose lapse nobody would
see or could clear.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from controller.core.clock import NS_PER_MS
from controller.core.quantity import unit_factor
from controller.core.signal import Tag
from controller.core.yamltext import Document
from controller.profile.board_table import BoardTable, Compiled, Wiring
from controller.profile.causes import CauseTables
from controller.profile.device import DeviceProfile, Write
from controller.profile.link_plan import BoardPlan, ChannelPlan, GivenPlan, RowPlan
from controller.profile.plan import CauseKind, CompareOp, EffectOp, SignalKind
from controller.profile.scope import Scope
from controller.profile.unit import DeviceUse, UnitModel
from firmware_bridge import codes

TOLD_AGE_NS = 2_000_000_000
_DATED = (SignalKind.INPUT, SignalKind.BLOCK, SignalKind.LINK_AGE, SignalKind.SUPERVISOR_AGE)


def board_of(
    document: Document, model: UnitModel, devices: Mapping[str, DeviceProfile]
) -> str | None:
    """The device that is our I/O board; None without one. Raises BadInput for a second one."""
    found = None
    for name, use in model.devices.items():
        bridge = devices[use.profile].line.protocol == "bridge"
        if bridge and found is not None:
            raise document.error(f"{found} is a board already: one a unit so far", "devices", name)
        if bridge and use.images is None:
            raise document.error(
                f"{name} says no `images`: which firmware may act on it?", "devices", name,
                do="Give `images: installed`, or a list of SHA-256 of released images.",
            )  # fmt: skip
        if not bridge and use.images is not None:
            raise document.error("only our I/O board has `images`", "devices", name, "images")
        found = name if bridge else found
    for at, row in enumerate(model.rows):
        if row.on_board and found is None:
            raise document.error(
                f"row {row.id} is to run on a board, but the unit has none", "rows", at, "on_board"
            )
    return found


def add_told(scope: Scope, board: str) -> None:
    """A signal for each row on the board, by which the board tells that the row stands there."""
    for at, row in enumerate(scope.model.rows):
        if row.on_board:
            title = f"Row {row.id} stands on the board"
            tag = Tag(f"{board}.{row.id}", "1", 0.0, 1.0, title)
            scope.told[row.id] = scope.add(tag, SignalKind.INPUT, TOLD_AGE_NS, 0.0, "rows", at)


def board_plan(
    scope: Scope, causes: CauseTables, board: str, profile: DeviceProfile
) -> BoardPlan:
    """What the host must know of the board; raises BadInput at the line that cannot be."""
    model, document = scope.model, scope.document
    use = model.devices[board]
    ids = tuple(info.id for info in causes.infos)
    unit = Compiled(document, model, scope.names, scope.signal_rows, causes.condition_rows,
                    causes.cause_rows, causes.effect_rows, ids)  # fmt: skip
    wiring = _wiring(scope, board, use, profile)
    built = BoardTable(unit, wiring)
    table = built.table().join()
    driven = {point.driven: signal for point, signal in wiring.points}
    channels = tuple(
        ChannelPlan(write.channel or 0, output, scale, write.lease_ms, name, write.latch,
                    driven.get(write.channel, -1))
        for name, write, output, scale in wiring.writes if output >= 0 or write.annunciator
    )  # fmt: skip
    _check_lapses(scope, board, wiring)
    lapse_signal = next((signal for point, signal in wiring.points if point.lapse), -1)
    lapse_cause = _lapse_cause(scope, causes, board, lapse_signal, channels)
    images = use.images if isinstance(use.images, list) else []
    return BoardPlan(
        device=board, table=table, digest=hashlib.sha256(table).digest(),
        images=tuple(bytes.fromhex(image) for image in images),
        installed=use.images == "installed", baud=model.links[use.link].baud,
        beat_ns=codes.BEAT_MS * NS_PER_MS,
        given=tuple(GivenPlan(number, signal, scope.signal_rows[signal]["kind"] in _DATED)
                    for number, signal in built.given),
        analog=tuple((point.analog, signal) for point, signal in wiring.points
                     if point.analog is not None and signal >= 0),
        digital=tuple((point.digital, signal) for point, signal in wiring.points
                      if point.digital is not None and signal >= 0),
        channels=channels,
        rows=tuple(RowPlan(number, cause, causes.cause_rows[cause]["told"], ids[cause],
                           bool(causes.cause_rows[cause]["bypassable"]))
                   for number, cause in enumerate(built.causes)),
        lapse_signal=lapse_signal, lapse_cause=lapse_cause,
        annunciator=next((write.channel or 0 for _, write, _, _ in wiring.writes
                          if write.annunciator), -1),
    )  # fmt: skip


def _wiring(scope: Scope, board: str, use: DeviceUse, profile: DeviceProfile) -> Wiring:
    outputs = {write: scope.actuator(name) for write, name in use.actuators.items()}
    for name, write in profile.writes.items():
        if write.annunciator and name in outputs:
            raise scope.error(
                f"{name} follows the standing alarms: no command moves it",
                "devices", board, "actuators", name,
            )  # fmt: skip
    points = [(point, scope.index[use.tags[name]] if name in use.tags else -1)
              for name, point in profile.points.items()]  # fmt: skip
    writes = [(name, write, outputs.get(name, -1), _scale(write))
              for name, write in profile.writes.items()]  # fmt: skip
    return Wiring(board, points, writes)


def _scale(write: Write) -> float:
    """Raw value of the board for one canonical unit."""
    return write.raw_max / (write.high * float(unit_factor(write.unit)[1]))


def _check_lapses(scope: Scope, board: str, wiring: Wiring) -> None:
    """What a lost host leads to is what safety.md says: cells keep heat and gas, liquids shut."""
    for name, write, output, scale in wiring.writes:
        if output < 0:
            continue
        actuator = list(scope.model.actuators.values())[output]
        path = ("devices", board, "actuators", name)
        if actuator.environment and write.lapse != "keep":
            raise scope.error(
                f"cells depend on {name}: it may not lapse, {board} has to keep it", *path
            )
        if write.latch == actuator.environment:
            raise scope.document.error(
                f"cells depend on {name}: after a lapse it has to come back by itself"
                if write.latch else
                f"{name} would move again without a person after {board} lost its host", *path,
                do=f"Say `latch: {'false' if write.latch else 'true'}` in the file of the device.",
            )  # fmt: skip
        if write.lapse != "keep" and write.lapse != actuator.safe * scale:
            raise scope.error(
                f"{board} lets {name} lapse to {write.lapse}, but {actuator.safe:g} is safe", *path
            )


def _lapse_cause(
    scope: Scope, causes: CauseTables, board: str, signal: int,
    channels: tuple[ChannelPlan, ...],
) -> int:  # fmt: skip
    """The one protect that a lapse trips: its reset by a person is what clears the board."""
    latching = {channel.output: channel.name for channel in channels if channel.latch}
    if not latching:
        return -1
    if signal < 0:
        raise scope.document.error(
            f"{', '.join(latching.values())} of {board} latch when their lease runs out, and no "
            "tag shows it", "devices", board, "tags",
            do="Bind the point with `lapse: true` to a tag, and write a protect on it.",
        )  # fmt: skip
    found = [
        index for index, cause in enumerate(causes.cause_rows)
        if cause["kind"] == CauseKind.PROTECT and _trips_on(causes, cause, signal)
    ]  # fmt: skip
    name = scope.names[signal]
    if len(found) != 1:
        raise scope.error(
            f"{len(found)} protects trip on {name} > ...: it takes one, whose reset clears {board}",
            "tags", name,
        )  # fmt: skip
    cause = causes.cause_rows[found[0]]
    first = cause["first_effect"]
    forced = {effect["output"]: effect["value"]
              for effect in causes.effect_rows[first : first + cause["n_effects"]]
              if effect["op"] == EffectOp.FORCE}  # fmt: skip
    actuators = list(scope.model.actuators.values())
    for output, words in latching.items():
        if forced.get(output) != actuators[output].safe:
            row = next(i for i, row in enumerate(scope.model.rows)
                       if row.id == causes.infos[found[0]].id)  # fmt: skip
            raise scope.error(
                f"{words} latches on {board} when it lapses, so row {scope.model.rows[row].id} has "
                "to hold it safe", "rows", row, "then",
            )  # fmt: skip
    return found[0]


def _trips_on(causes: CauseTables, cause: Mapping[str, int], signal: int) -> bool:
    """Whether that signal alone makes it stand."""
    first, count = cause["first_condition"], cause["n_conditions"]
    return cause["votes"] == 1 and any(
        row["signal"] == signal and row["op"] == CompareOp.ABOVE
        for row in causes.condition_rows[first : first + count]
    )
