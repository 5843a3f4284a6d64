"""What an experiment would see of a decay time: spin-alignment echo, narrowed line, or T1."""

from __future__ import annotations

import math

from hopecho.units import time_text

SAE_SHORTEST_NS = 1e4
"""Shortest time that a spin-alignment echo resolves, about 10 us: pulses and phase evolution take
that long."""

WORDS = {
    "t1_first": "none: T1 is shorter",
    "sae": "spin-alignment echo",
    "narrowed": "narrowed line, echo plateau",
    "t1": "T1; narrowed line, echo plateau",
    "slow": "line, echo plateau",
    "coalescence": "line shape, T2",
}
"""What sees a decay time in each regime, for tables."""

NARROWED = 0.1
"""2 pi nu tau below which the line counts as fully narrowed."""

SLOW = 10.0
"""2 pi nu tau above which motion counts as slow against the line."""


def spectral_density_s(omega_rad_s: float, tau_s: float) -> float:
    r"""Lorentzian :math:`J(\omega) = \tau / (1 + \omega^2 \tau^2)`, s."""
    return tau_s / (1.0 + (omega_rad_s * tau_s) ** 2)


def quadrupolar_t1_s(
    tau_ns: float, *, cq_khz: float, larmor_mhz: float, eta: float = 0.0, plateau_b2: float = 0.0
) -> float:
    r"""Quadrupolar spin-lattice relaxation time of I = 3/2, one exponential assumed, s.

    .. math:: \frac{1}{T_1} = \frac{2\pi^2}{25} C_Q^2 \left(1 + \frac{\eta^2}{3}\right) (1 - b^2)
              [J(\omega_0) + 4 J(2\omega_0)]

    Parameters
    ----------
    tau_ns : float
        Decay time of the tensor's correlation function, ns.
    cq_khz, eta : float
        Quadrupolar coupling constant, kHz, and asymmetry of the (vibrationally averaged) tensor.
    larmor_mhz : float
        Larmor frequency, MHz (7Li: 16.546 MHz/T, 116.6 at 7.05 T).
    plateau_b2 : float
        Share of the tensor that does not fluctuate.

    Returns
    -------
    float
        T1 in s; infinite if nothing fluctuates.
    """
    omega = 2.0 * math.pi * larmor_mhz * 1e6
    tau_s = tau_ns * 1e-9
    density = spectral_density_s(omega, tau_s) + 4.0 * spectral_density_s(2.0 * omega, tau_s)
    coupling = (cq_khz * 1e3) ** 2 * (1.0 + eta**2 / 3.0) * (1.0 - plateau_b2)
    rate = 2.0 * math.pi**2 / 25.0 * coupling * density
    return 1.0 / rate if rate > 0.0 else math.inf


def regime_word(tau_ns: float, nu_khz: float, *, t1_s: float | None = None) -> str:
    """Regime of a decay time as a key of `WORDS`; parameters as for `sae_regime`."""
    phase = 2.0 * math.pi * nu_khz * 1e3 * tau_ns * 1e-9
    if t1_s is not None and tau_ns * 1e-9 >= t1_s:
        return "t1_first"
    if tau_ns >= SAE_SHORTEST_NS and phase >= 1.0:
        return "sae"
    if phase <= NARROWED:
        return "t1" if 0.3 <= tau_ns <= 10.0 else "narrowed"
    return "slow" if phase >= SLOW else "coalescence"


def sae_regime(tau_ns: float, nu_khz: float, *, t1_s: float | None = None) -> str:
    r"""Say which experiment sees a decay of the tensor correlation function.

    Parameters
    ----------
    tau_ns : float
        Decay time, ns.
    nu_khz : float
        Typical quadrupolar frequency (satellite offset) of the static tensors, kHz.
    t1_s : float, optional
        T1 (or T1Q, if shorter) of the nucleus, s, as the upper end of the echo's window.

    Returns
    -------
    str
        One or two sentences for the report.
    """
    phase = 2.0 * math.pi * nu_khz * 1e3 * tau_ns * 1e-9
    time, word = time_text(tau_ns), regime_word(tau_ns, nu_khz, t1_s=t1_s)
    if t1_s is not None and word == "t1_first":
        return (
            f"tau = {time} is not below T1 = {time_text(t1_s * 1e9)}: magnetisation relaxes before "
            "the echo decays, which sets a lower limit only."
        )
    if word == "sae":
        return (
            f"tau = {time} is above about 10 us and, where it is below T1, a spin-alignment echo "
            "sees this decay."
        )
    scale = f"2 pi nu tau = {phase:.2g} (tau = {time}, nu = {nu_khz:.3g} kHz)"
    if word in ("narrowed", "t1"):
        text = (
            f"{scale} is far below 1: the line is narrowed to the averaged tensor, and a "
            "spin-alignment echo sees only the plateau. "
        )
        if word == "t1":
            return text + "Motion on this scale, near the inverse Larmor frequency, is seen in T1."
        return text + "tau is a decay of the tensor correlation, not a time that the echo measures."
    if word == "slow":
        return (
            f"{scale}: slow against the line, but below the about 10 us that a spin-alignment echo "
            "needs, which sees only the plateau."
        )
    return (
        f"{scale}: coalescence; the motion changes the line shape and shortens T2, and a "
        "spin-alignment echo is damped during its own pulses."
    )
