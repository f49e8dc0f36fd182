"""The channels of an I/O board: what each shall do, what was acknowledged, what the board shows.

Safe values go first and as often as a row asks; of each channel only the latest value counts. A
value goes again when a new session is armed, when a lease ran out, when a latch was taken off and
when the board shows another wish. A latched channel is left alone, but for safe values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from controller.core.clock import NS_PER_S
from controller.field.links.note import Note, NoteKind, Notes
from controller.profile.link_plan import ChannelPlan
from firmware_bridge.codes import PWM_CHANNEL, PWM_MAX, Nak
from firmware_bridge.messages import Command, Status

AGAIN_NS = NS_PER_S  # between two attempts at what the board refuses
CALM_NS = 60 * NS_PER_S  # so long without a wrong wish, and the next one is a new finding
SLACK = 1e-6  # of a raw step


@dataclass(slots=True)
class Channel:
    """One channel. `raw` is what it shall do, -1 while nobody has said; `due`: it must be sent."""

    plan: ChannelPlan
    raw: int = -1
    value: float = math.nan
    safe: bool = False
    due: bool = False
    told: bool = False
    ever_sent: bool = False
    acked_us: int = -1
    confirmed: bool = False
    since_ns: int = 0  # when its value was released, with the flags of that scan
    not_before_ns: int = 0
    doubts: int = 0
    doubted_ns: int = field(default=-CALM_NS)

    @property
    def bit(self) -> int:
        """Its place in the masks of STATUS."""
        return 1 << self.plan.channel

    def shown(self, status: Status) -> int:
        """The raw value that the board's output has."""
        if self.plan.channel == PWM_CHANNEL:
            return status.pwm
        return status.driven >> self.plan.channel & 1

    def again(self) -> None:
        """It goes once more, if anybody ever said what it shall do."""
        self.due, self.not_before_ns, self.acked_us = self.raw >= 0, 0, -1


class Channels:
    """All channels of one board."""

    def __init__(self, plans: Sequence[ChannelPlan], device: str, notes: Notes) -> None:
        self.by_number = {plan.channel: Channel(plan) for plan in plans}
        self._by_output = {
            each.plan.output: each for each in self.by_number.values() if each.plan.output >= 0
        }
        self._device, self._notes = device, notes

    def put(self, output: int, value: float, safe: bool, now_ns: int) -> None:
        """Takes the latest canonical value of an output.

        A value that is not finite or that the channel has not is noted and changes nothing. Raises
        KeyError for an output that is not on this board.
        """
        channel = self._by_output[output]
        raw = _raw(channel.plan, value)
        if raw is None:
            self._say(NoteKind.REFUSED, channel, now_ns, "not a value of the channel", value=value)
            return
        if channel.raw == raw and channel.safe == safe and not safe:
            return  # a safe value is sent again each time a row asks for it, known or not
        channel.raw, channel.value, channel.safe = raw, value, safe
        channel.told = safe or not channel.ever_sent
        channel.confirmed, channel.since_ns = False, now_ns
        channel.again()

    def level(self, number: int, raw: int) -> None:
        """Takes the level of the annunciator's channel, per mille."""
        channel = self.by_number.get(number)
        if channel is not None and channel.raw != raw:
            channel.raw = raw
            channel.again()

    def again(self) -> None:
        """A new session: nothing of what was sent before is still under way."""
        for channel in self.by_number.values():
            channel.again()

    def one_again(self, number: int) -> None:
        """A channel's lease ran out, or its latch was taken off."""
        channel = self.by_number.get(number)
        if channel is not None:
            channel.again()

    def hand_over(
        self, command: Callable[[Mapping[int, tuple[int, int]], bool], bool], latched: int,
        flags_ns: int, now_ns: int,
    ) -> None:  # fmt: skip
        """Gives `command` what is due: safe values at once, the others when the board has the flags
        they were released with. `flags_ns`: those it has are as new as that."""
        for safe in (True, False):
            writes = {
                number: (channel.raw, channel.plan.lease_ms)
                for number, channel in self.by_number.items()
                if channel.due and channel.safe == safe and channel.not_before_ns <= now_ns
                and (safe or (not latched & channel.bit and channel.since_ns <= flags_ns))
            }  # fmt: skip
            if writes and command(writes, safe):
                for number in writes:
                    self.by_number[number].due = False

    def acked(self, request: Command, time_us: int, now_ns: int) -> None:
        """The board took a COMMAND."""
        for write in request.writes:
            channel = self.by_number[write.channel]
            if write.value != channel.raw:
                continue  # a newer value is on its way
            channel.acked_us, channel.ever_sent = time_us, True
            if channel.told and channel.plan.output >= 0:
                self._say(NoteKind.SENT, channel, now_ns, channel.plan.name, frame=write.pack())

    def refused(self, request: Command, code: Nak | int, number: int, now_ns: int) -> None:
        """The board refused a COMMAND. Where it names one channel the others go by themselves."""
        named = code in (Nak.CHANNEL, Nak.VALUE, Nak.LEASE, Nak.LATCHED)
        for write in request.writes:
            channel = self.by_number[write.channel]
            if not named or write.channel == number:
                channel.again()
                channel.not_before_ns = now_ns + AGAIN_NS

    def check(self, status: Status, now_ns: int) -> None:
        """Compares what the board shows with what it acknowledged before."""
        for channel in self.by_number.values():
            if channel.due or not 0 <= channel.acked_us <= status.time_us:
                continue
            if not channel.confirmed and channel.shown(status) == channel.raw:
                channel.confirmed = True
                if channel.told and channel.plan.output >= 0:
                    channel.told = False
                    self._say(NoteKind.CONFIRMED, channel, now_ns, channel.plan.name)
            wished = status.wished >> channel.plan.channel & 1
            digital = channel.plan.channel != PWM_CHANNEL
            if digital and wished != channel.raw and not status.latched & channel.bit:
                self._doubt(channel, wished, now_ns)

    def _doubt(self, channel: Channel, wished: int, now_ns: int) -> None:
        """The board wishes something else: it goes again, told ever more rarely."""
        calm = now_ns - channel.doubted_ns >= CALM_NS
        channel.doubts, channel.doubted_ns = 1 if calm else channel.doubts + 1, now_ns
        if channel.doubts & (channel.doubts - 1) == 0:
            self._say(NoteKind.MISMATCH, channel, now_ns, channel.plan.name,
                      found=wished / channel.plan.scale, count=channel.doubts)  # fmt: skip
        channel.again()

    def _say(
        self, kind: NoteKind, channel: Channel, now_ns: int, what: str, *,
        value: float | None = None, found: float = math.nan, frame: bytes = b"", count: int = 0,
    ) -> None:  # fmt: skip
        self._notes.add(
            Note(kind, self._device, what, now_ns, count, channel.plan.output,
                 channel.value if value is None else value, found, channel.safe, frame)  # fmt: skip
        )


def _raw(plan: ChannelPlan, value: float) -> int | None:
    """A canonical value as the channel takes it; None for what it has not."""
    if not math.isfinite(value):
        return None
    raw = value * plan.scale
    most = PWM_MAX if plan.channel == PWM_CHANNEL else 1
    found = round(raw)
    if not 0 <= found <= most or (most == 1 and abs(raw - found) > SLACK):
        return None
    return found
