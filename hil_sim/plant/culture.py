"""Growth, death and metabolism of activated T cells, as rates per hour at one state.

A module of its own because it is the one part that is biology: an unstructured Monod model whose
parameters were fitted together to Springuel 2025 (10.3389/fbioe.2025.1593895); they are not
individually identifiable. Cells in 1e9/L, solutes in mM, IL-2 in IU/mL.
"""

import math

from numba import njit

from hil_sim.plant.state import (
    ACTIVATION,
    AMMONIA,
    DEAD,
    GLUCOSE,
    GLUTAMINE,
    IL2,
    LACTATE,
    OXYGEN,
    SID,
    VIABLE,
    Record,
)


@njit(cache=True, error_model="numpy")
def environment_factor(p: Record, celsius: float, ph: float) -> float:
    """Share of mu_max that temperature and pH allow, 0..1."""
    warm = (celsius - p.best_degc) / p.width_degc
    acid = (ph - p.best_ph) / p.width_ph
    return math.exp(-warm * warm - acid * acid)


@njit(cache=True, error_model="numpy")
def growth_per_h(p: Record, x: Record, factor: float) -> float:
    """Specific growth rate in 1/h at the slow state `x` and environment factor."""
    glucose = max(0.0, x[GLUCOSE])
    glutamine = max(0.0, x[GLUTAMINE])
    il2 = max(0.0, x[IL2])
    oxygen = max(0.0, x[OXYGEN])
    return float(
        p.mu_max * factor * x[ACTIVATION]
        * glucose / (p.k_glucose + glucose)
        * glutamine / (p.k_glutamine + glutamine)
        * p.ki_lactate / (p.ki_lactate + x[LACTATE])
        * p.ki_ammonia / (p.ki_ammonia + x[AMMONIA])
        * il2 / (p.k_il2 + il2)
        * oxygen / (p.k_oxygen + oxygen)
    )  # fmt: skip


@njit(cache=True, error_model="numpy")
def death_per_h(p: Record, x: Record) -> float:
    """Specific death rate in 1/h: basal, lactate, starvation, anoxia."""
    glucose = max(0.0, x[GLUCOSE])
    oxygen = max(0.0, x[OXYGEN])
    lactate2 = x[LACTATE] * x[LACTATE]
    return float(
        p.death
        + p.death_lactate * lactate2 / (p.kd_lactate * p.kd_lactate + lactate2)
        + p.death_starved * p.kd_glucose / (p.kd_glucose + glucose)
        + p.death_starved * p.k_oxygen / (p.k_oxygen + oxygen)
    )


@njit(cache=True, error_model="numpy")
def culture_slope(p: Record, x: Record, dx: Record, factor: float) -> float:
    """Write the biological rates (per hour) into `dx`; returns the oxygen uptake in mM/h.

    Glucose used and lactate formed are left in `dx` as mM/h at GLUCOSE and LACTATE.
    """
    viable = x[VIABLE]
    glucose = max(0.0, x[GLUCOSE])
    glutamine = max(0.0, x[GLUTAMINE])
    oxygen = max(0.0, x[OXYGEN])
    mu = growth_per_h(p, x, factor)
    kd = death_per_h(p, x)
    awake = 0.3 + 0.7 * x[ACTIVATION]
    q_glucose = (
        (mu / p.yield_glucose + p.maintenance_glucose * awake)
        * glucose / (p.k_glucose_uptake + glucose)
    )  # fmt: skip
    q_glutamine = (
        (p.glutamine_growth * mu + p.maintenance_glutamine)
        * glutamine / (p.k_glutamine_uptake + glutamine)
    )  # fmt: skip
    q_oxygen = (
        (p.maintenance_oxygen * awake + p.oxygen_growth * mu) * oxygen / (p.k_oxygen + oxygen)
    )
    decay = p.glutamine_decay * glutamine
    ammonia = p.ammonia_per_glutamine * q_glutamine * viable + decay
    lactate = p.lactate_per_glucose * q_glucose * viable
    dx[VIABLE] = (mu - kd) * viable
    dx[DEAD] = kd * viable - p.lysis * x[DEAD]
    dx[ACTIVATION] = (1.0 - x[ACTIVATION]) / p.activation_h if viable > 0.0 else 0.0
    dx[GLUCOSE] = -q_glucose * viable
    dx[LACTATE] = lactate
    dx[GLUTAMINE] = -q_glutamine * viable - decay
    dx[AMMONIA] = ammonia
    dx[IL2] = -(p.il2_decay + p.il2_uptake * viable) * x[IL2]
    dx[SID] = ammonia - lactate
    return float(q_oxygen * viable)
