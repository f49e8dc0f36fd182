"""CO2, bicarbonate, lactate and pH: carbonate speciation with pH as an algebraic variable.

A module of its own because it is pure chemistry: two conserved totals (dissolved inorganic carbon
and the strong-ion difference) decide the pH, and nothing else in the plant may write one.
"""

import math
from typing import Final

from numba import njit

from hil_sim.plant.state import Record

LN10: Final = math.log(10.0)
PASCAL_PER_MMHG: Final = 133.322


@njit(cache=True, error_model="numpy")
def carbonate_k1_mm(p: Record, celsius: float) -> float:
    """First carbonate constant in mM at this temperature (pH terms dropped, Kelman form)."""
    pk = p.carbonate_pk1_37 + p.carbonate_pk1_slope * (celsius - 37.0)
    return float(1000.0 * math.exp(-LN10 * pk))


@njit(cache=True, error_model="numpy")
def co2_henry_mm_per_pa(celsius: float) -> float:
    """CO2 solubility in mM/Pa: .0307 + .00057 (37-T) + 2e-5 (37-T)^2 mM/mmHg (Kelman [assumed])."""
    cold = 37.0 - celsius
    return (0.0307 + 0.00057 * cold + 2.0e-5 * cold * cold) / PASCAL_PER_MMHG


@njit(cache=True, error_model="numpy")
def hydrogen_mm(
    p: Record, k1: float, dic: float, sid: float, guess: float, iterations: int
) -> float:
    """The [H+] in mM at which the charges close, by Newton on ln[H+] from a warm start.

    SID + [H] - [HCO3] - 2[CO3] - [OH] - B Kb/(Kb+H) = 0, all in mM. The residual rises with ln[H],
    so a step held to a factor of three converges from any positive guess.
    """
    h = guess
    for _ in range(iterations):
        h *= _newton_factor(p, h, k1, dic, sid)
    return h


@njit(cache=True, error_model="numpy")
def _newton_factor(p: Record, h: float, k1: float, dic: float, sid: float) -> float:
    k2, kb, kw = p.carbonate_k2_mm, p.buffer_k_mm, p.water_k_mm2
    carbon = h * h + k1 * h + k1 * k2
    bicarbonate = dic * k1 * h / carbon
    carbonate = dic * k1 * k2 / carbon
    weight = (2.0 * h * h + k1 * h) / carbon
    hydroxide = kw / h
    free = p.buffer_mm * kb / (kb + h)
    residual = sid + h - bicarbonate - 2.0 * carbonate - hydroxide - free
    slope = (
        h + bicarbonate * (weight - 1.0) + 2.0 * carbonate * weight + hydroxide
        + free * h / (kb + h)
    )  # fmt: skip
    step = max(-1.0, min(1.0, residual / slope))
    return float((2.0 - step) / (2.0 + step))


@njit(cache=True, error_model="numpy")
def dissolved_co2_mm(p: Record, k1: float, dic: float, h: float) -> float:
    """CO2(aq) in mM: the part of the carbon that can leave as gas."""
    return float(dic * h * h / (h * h + k1 * h + k1 * p.carbonate_k2_mm))


@njit(cache=True, error_model="numpy")
def ph_of(h: float) -> float:
    """pH of a hydrogen-ion concentration in mM."""
    return 3.0 - math.log(h) / LN10
