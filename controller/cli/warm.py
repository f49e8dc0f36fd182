"""Compiles the kernel, the scan loop and the plant once, so that no later start waits for it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Runs a few virtual seconds in signal fidelity; numba keeps what it compiled."""
    from controller.field.realtime import warm
    from controller.units import find_unit, load_unit
    from hil_sim.rig.rig import Rig

    sys.stderr.write("compiling the kernel (once for these sources, about a minute) ...\n")
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder), seed=1)
        rig.run(20.0)
        rig.finish()
    profile, _ = load_unit(find_unit("perfusion_2l"))
    warm(profile.plan, len(profile.links))


if __name__ == "__main__":
    main()
