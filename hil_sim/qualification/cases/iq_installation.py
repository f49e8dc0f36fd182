"""IQ: what is installed is what was meant: software, packages, profile, recipes, devices, wiring,
clock, calibration, keys.
"""

from __future__ import annotations

import json
import re
import stat
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import controller
from controller.core.clock import RealClock
from controller.core.errors import CellwrightError
from controller.core.yamltext import load
from controller.profile.plan import SignalKind
from controller.recipe.load import compile_recipe
from controller.record.keys import Keys, signature_holds
from controller.station import CALIBRATION
from controller.units import load_unit
from firmware_bridge.build import installed
from hil_sim.qualification.bench import LIVE, Bench
from hil_sim.qualification.chart import differences
from hil_sim.qualification.identity import identities
from hil_sim.qualification.live_bench import LiveBench
from hil_sim.qualification.plant_state import NORMAL, channel_of
from hil_sim.qualification.plugin import Case, Context, case, cases
from hil_sim.qualification.protocol import CaseProtocol
from hil_sim.qualification.requirements import Requirements
from recipes import RECIPES

PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^ \\;]+)")
LOCK = Path(__file__).parents[3] / "requirements.txt"
OFFERS = {"alicat_mc", "mettler_mt_sics", "watson_marlow_520", "skid_opcua"}


@case("IQ-SW", requirements=["SR-SW"], title="Software", smoke=True)
def iq_software(protocol: CaseProtocol, context: Context) -> None:
    """Version and digest of the software that runs."""
    step = protocol.step("The installed software is named and digested")
    named = step.measure("version").equals(controller.__version__)
    digest = step.measure("SHA-256 over its files is a digest").equals("yes")
    python = step.measure("Python").at_least(3.11)
    with step:
        named.take(_installed("cellwright") or controller.__version__)
        value = context.facts["software"]
        digest.take("yes" if re.fullmatch("[0-9a-f]{64}", value) else value,
                    configuration=json.dumps(context.facts, indent=1, sort_keys=True))  # fmt: skip
        python.take(sys.version_info[0] + sys.version_info[1] / 100)


@case("IQ-LOCK", requirements=["SR-LOCK"], title="Installed packages")
def iq_lock(protocol: CaseProtocol, context: Context) -> None:
    """Every package of the lock file is installed in its version."""
    step = protocol.step("Each pinned package is compared with what is installed")
    count = step.measure("packages pinned").at_least(20)
    other = step.measure("missing or of another version").equals("none")
    with step:
        lines = LOCK.read_text().splitlines() if LOCK.is_file() else []
        pins = [match.groups() for line in lines if (match := PINNED.match(line))]
        count.take(len(pins))
        wrong = [f"{name} {_installed(name) or 'missing'}, not {pin}" for name, pin in pins
                 if _installed(name) != pin]  # fmt: skip
        rows = [f"{name}=={_installed(name)}" for name, _ in pins]
        other.take("; ".join(wrong) or "none", f"The lock file is {LOCK.name}.",
                   packages="\n".join(rows))  # fmt: skip


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


@case("IQ-PROFILE", requirements=["SR-PROFILE"], title="Equipment profile, chart", smoke=True)
def iq_profile(protocol: CaseProtocol, context: Context) -> None:
    """The profile compiles; its chart is compared with the requirements, both ways."""
    step = protocol.step("The profile is compiled and its chart compared with the requirements")
    compiles = step.measure("profile compiles").equals("yes")
    other = step.measure("differences from the requirements").equals("none")
    with step:
        try:
            profile, _ = load_unit(context.unit)
        except CellwrightError as error:
            compiles.take("no", str(error))
            return
        compiles.take("yes", profile=profile.document.raw)
        found = differences(profile, context.requirements)
        other.take("; ".join(found) or "none", "\n".join(found),
                   requirements=Path(context.requirements.file).read_bytes())  # fmt: skip


@case("IQ-RECIPE", requirements=["SR-RECIPE"], title="Recipes")
def iq_recipes(protocol: CaseProtocol, context: Context) -> None:
    """Every shipped recipe compiles for the unit."""
    files = sorted(RECIPES.glob("*.yaml"))
    step = protocol.step("Each recipe is compiled for the unit")
    plans = [(file, step.measure(file.name).equals("compiles")) for file in files]
    with step:
        _, offer = load_unit(context.unit)
        for file, measure in plans:
            try:
                digest = compile_recipe(load(file), offer).digest
                measure.take("compiles", digest=f"{file.name} {digest}")
            except CellwrightError as error:
                measure.take("does not compile", str(error))


@case("IQ-DEVICE", requirements=["SR-DEVICE"], title="Devices say who they are", bench=LIVE)
def iq_devices(protocol: CaseProtocol, bench: Bench, context: Context) -> None:
    """Serial number, model and firmware over the lines, where devices offer it."""
    devices = {device.name: link for link in bench.profile.links for device in link.devices}
    step = protocol.step("The field program asks each device who it is, at its start")
    plans = [(name, step.measure(f"{name}, on {link.name}").equals("identified"))
             for name, link in devices.items()
             if bench.profile.model.devices[name].profile in OFFERS]  # fmt: skip
    ask = protocol.step("Devices are asked for model, serial number and firmware over their line")
    told = ask.measure("devices that told").at_least(5)
    with step:
        for name, measure in plans:
            found = bench.since(0, "link.identified", device=name)
            measure.take("identified" if found or _reads(bench, name) else "not identified")
    with ask:
        if not isinstance(bench, LiveBench):
            raise TypeError("lines are asked live")
        found_ = identities(bench.profile.id)
        told.take(len(found_), identities=json.dumps(found_, indent=1, sort_keys=True))


def _reads(bench: Bench, device: str) -> bool:
    """Whether the device's tags are good: where there is nothing to ask, it answers as itself."""
    tags = bench.profile.model.devices[device].tags.values()
    good = {row["data"]["tag"] for row in bench.since(0, "quality.changed", new="good")}
    return all(tag in good for tag in tags)


def boards(required: Requirements) -> list[Case]:
    """A case where an I/O board is required."""
    return [Case("IQ-BOARD", "The I/O board's firmware and table", (item.id,), LIVE, item)
            for item in required.system if item.id == "SR-BOARD"]  # fmt: skip


@cases(boards)
def iq_board(subject: object, protocol: CaseProtocol, bench: Bench, context: Context) -> None:
    """What the board says of itself at the session's opening, beside what this unit names."""
    plan = next(link.board for link in bench.profile.links if link.board is not None)
    step = protocol.step("The board is asked who it is, and armed with the unit's table")
    known = step.measure("its image is known").equals("yes")
    where = "built here" if plan.installed else "named by the profile"
    image = step.measure(f"SHA-256 of its image is one {where}").equals("yes")
    table = step.measure("SHA-256 of the table it is armed with").equals(plan.digest.hex())
    with step:
        found = bench.since(0, "board.session", device=plan.device)
        said = found[-1]["data"] if found else {}
        known.take("yes" if said.get("known") else "no", session=json.dumps(said, sort_keys=True))
        digests = {each.hex() for each in (installed() if plan.installed else plan.images)}
        image.take("yes" if said.get("image") in digests else f"no: {said.get('image')}")
        table.take(str(said.get("table")), table=plan.table.hex())


@case("IQ-WIRING", requirements=["SR-WIRING"], title="Every tag answers on its address", bench=LIVE)
def iq_wiring(protocol: CaseProtocol, bench: Bench, context: Context) -> None:
    """Each measured tag is good; each instrument is moved at the device and its tag follows."""
    step = protocol.step("Every measured tag has a good quality")
    inputs = [name for index, name in enumerate(bench.profile.signals)
              if bench.profile.plan.signals[index]["kind"] == SignalKind.INPUT]  # fmt: skip
    good = step.measure(f"good, of {len(inputs)} tags").equals(len(inputs))
    move = protocol.step("Each instrument is spoilt at its device; its tag alone turns bad")
    points = ["TT101", "TT102", "TT103", "PT101", "LT101", "AT101", "AT102", "WT101"]
    plans = [(point, move.measure(f"{point} follows its device").equals("yes")) for point in points]
    with step:
        known: dict[str, str] = {}
        for row in bench.since(0, "quality.changed"):
            known[row["data"]["tag"]] = row["data"]["new"]
        found = [name for name in inputs if known.get(name) == "good"]
        good.take(len(found), f"not good: {sorted(set(inputs) - set(found))}",
                  tags=json.dumps(known, indent=1, sort_keys=True))  # fmt: skip
    with move:
        for point, measure in plans:
            if channel_of(point) not in NORMAL:
                raise ValueError(point)
            at_ns = bench.spoil(point)
            bad = bench.until(
                lambda p=point, a=at_ns: bench.since(a, "quality.changed", tag=p, new="bad"), 5.0  # type: ignore[misc]
            )
            bench.spoil(point, on=False)
            names = {r["data"]["tag"] for r in bench.since(at_ns, "quality.changed", new="bad")}
            measure.take("yes" if bad and names <= {point, "TT_PH", "TT_DO"} else f"no: {names}")
            bench.until(
                lambda p=point, a=at_ns: bench.since(a, "quality.changed", tag=p, new="good"), 5.0  # type: ignore[misc]
            )


@case("IQ-CLOCK", requirements=["SR-CLOCK"], title="Clock", smoke=True)
def iq_clock(protocol: CaseProtocol, context: Context) -> None:
    """What disciplines the wall clock is known."""
    step = protocol.step("The clock's discipline is read")
    known = step.measure("discipline is declared").equals("yes")
    boot = step.measure("the machine's boot is identified").equals("yes")
    with step:
        stamp = RealClock().stamp()
        known.take("yes" if stamp.sync in ("ntp", "unsynchronised") else "no",
                   clock=f"sync: {stamp.sync}\ntime: {stamp.rfc3339()}\n")  # fmt: skip
        boot.take("yes" if stamp.boot_id != "unknown" else "no")
        protocol.notes.append(f"The wall clock is {stamp.sync}.")


@case("IQ-CAL", requirements=["SR-CAL"], title="Calibration")
def iq_calibration(protocol: CaseProtocol, context: Context) -> None:
    """Simulated instruments have no calibration, and each record says so."""
    step = protocol.step("The calibration each batch record declares is read")
    declared = step.measure("declared").equals("simulated devices: no calibration")
    with step:
        declared.take(CALIBRATION)
        protocol.notes.append("Simulated: no instrument has a calibration or a date it is due.")


@case("IQ-KEYS", requirements=["SR-KEYS"], title="Keys that sign records", smoke=True)
def iq_keys(protocol: CaseProtocol, context: Context) -> None:
    """Key files are their owner's alone; what they sign verifies, and nothing else does."""
    step = protocol.step("Each key file is looked at; a text is signed and verified")
    mode = step.measure("key files others can read").equals("none")
    signs = step.measure("a signature verifies").equals("yes")
    other = step.measure("the same signature on another text verifies").equals("no")
    with step:
        folder = context.out / "keys"
        wide = [path.name for path in folder.glob("*.key")
                if stat.S_IMODE(path.stat().st_mode) & 0o077]  # fmt: skip
        mode.take(", ".join(wide) or "none")
        device = Keys.in_directory(folder).device
        note = device.sign("a qualification\n")
        signature = note.signatures[0].signature
        good = signature_holds(device.verifier, "a qualification\n", signature)
        signs.take("yes" if good else "no")
        bad = signature_holds(device.verifier, "another text\n", signature)
        other.take("yes" if bad else "no")
