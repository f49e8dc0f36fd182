"""How the unit stands before each case: a filled vessel, instruments that show normal values.

A module because live and virtual benches must begin alike. What an instrument shows is set at the
device, in front of its protocol, so every reading still travels its line.
"""

from __future__ import annotations

from pathlib import Path

from controller.core.errors import BadInput
from hil_sim.plant.plant import CHANNEL_INDEX, Plant
from hil_sim.rig.wiring import actuator_of

VOLUME_L = 2.0
G_PER_L, TARE_G = 1.0 / 0.000993, 4000.0  # of the balance under the vessel, as VOL_W takes it
STIR_RPM = 100.0
# What each instrument shows when nothing is wrong, in the channel's own unit.
NORMAL: dict[str, float] = {
    "TT101": 37.0, "TT102": 37.0, "TT103": 43.0, "PT101": 5.0, "LT101": VOLUME_L,
    "WT101": TARE_G + VOLUME_L * G_PER_L, "AT101": 7.1, "AT102": 50.0, "TT_PH": 37.0,
    "TT_DO": 37.0, "ST_STIRRER": STIR_RPM, "BS101": 0.0, "HS101": 1.0,
}  # fmt: skip
# What every output is told, none of it its safe value but the product valve's.
OUTPUTS: dict[str, float] = {
    "xv100": 1.0, "km101": 1.0, "stirrer": STIR_RPM, "heater": 50.0, "air": 150.0, "o2": 120.0,
    "co2": 10.0, "n2": 10.0, "xv201": 1.0, "xv202": 1.0, "xv204": 1.0, "xv203": 0.0, "feed": 4.5,
    "perfusate": 4.5, "base": 0.07,
}  # fmt: skip
ALWAYS_FORCED = frozenset(NORMAL)
# The fastest an instrument may move without being taken for broken, per second, channel's unit.
RATES = {"AT101": 0.5, "AT102": 40.0, "TT102": 5.0, "WT101": 500.0, "TT101": 5.0, "TT103": 10.0,
         "LT101": 0.5}  # fmt: skip
_CHANNELS = {"ST_PERF": "ST_PERFUSATE", "ST101": "ST_STIRRER", "JT101": "JT_HEATER",
             "KM101_FB": "KM101_AUX"}  # fmt: skip
ML_PER_REV = {"feed": 0.9, "perfusate": 0.9, "base": 0.0035}


def channel_of(signal: str) -> str:
    """The plant's channel behind a tag; raises BadInput for one it does not have."""
    name = _CHANNELS.get(signal, signal.replace("_ZSO", "_OPEN").replace("_ZSC", "_CLOSED"))
    if name not in CHANNEL_INDEX:
        raise BadInput(f"the simulated unit has no instrument {signal}")
    return name


def drive_of(output: str) -> tuple[str, float]:
    """(name of the drive, its units per canonical unit) of an output at the device."""
    actuator_of(output)
    if output in ML_PER_REV:
        return f"{output}_rpm", 1.0 / ML_PER_REV[output]
    return {"heater": "heater_pct", "stirrer": "stirrer_rpm"}.get(output, output), 1.0


def filled_plant(seed: int = 1) -> Plant:
    """A vessel with 2 L of medium and instruments that show NORMAL, pinch valves closed."""
    plant = Plant(seed)
    plant.add_bolus(VOLUME_L - float(plant.truth()["volume_l"]), celsius=37.0)
    plant.close_pinch_valves()
    for channel, value in NORMAL.items():
        plant.set_fault(f"{channel}_stuck", 1.0, value)
    return plant


def save_filled(path: Path, seed: int = 1) -> Path:
    """The same as a snapshot file that served devices go on from."""
    filled_plant(seed).snapshot().save(path)
    return path
