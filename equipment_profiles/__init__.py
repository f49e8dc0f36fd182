"""Equipment profiles that ship: one file per model of device, one per skid."""

from pathlib import Path

UNITS = Path(__file__).parent / "units"
DEVICES = Path(__file__).parent / "devices"
