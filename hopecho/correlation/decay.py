r"""Fit of :math:`A\{b^2 + (1 - b^2) \exp[-(t/\tau)^\gamma]\}` to many functions at once.

The model is linear in the plateau :math:`p = A b^2` and the decaying part :math:`d = A (1 - b^2)`.
For given tau and gamma both follow from a 2 x 2 system, so that the search runs over log tau (and
gamma) only: first over a grid that spans the whole allowed range, which finds the global minimum,
then over ever finer grids around it. All resamples of a bootstrap are fitted together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from hopecho.errors import HopechoError

Array = NDArray[np.float64]

GAMMA_BOUNDS = (0.3, 1.6)
TAU_STEP = np.log(1.2)
GAMMA_STEP = 0.1
ZOOM = 0.6
"""Ratio of successive grid spacings; the grid spans two spacings, so that the search can still walk
along a valley."""


@dataclass(frozen=True)
class DecayFit:
    r"""Parameters of one or several fits; every array is (n_fits,)."""

    amplitude: Array
    """A, the share of the zero-lag value that outlives the vibrations (the data are normalised)."""
    plateau_b2: Array
    """b^2, 0 to 1."""
    tau_ps: Array
    gamma: Array
    """Stretching exponent."""
    residual: Array
    """Weighted mean square residual."""

    @property
    def vibrational_amplitude(self) -> Array:
        """Share lost to vibrations, 1 - A."""
        return 1.0 - self.amplitude

    @property
    def mean_tau_ps(self) -> Array:
        r"""Integral time of the decaying part, :math:`\tau \Gamma(1/\gamma) / \gamma`, ps."""
        return mean_tau(self.tau_ps, self.gamma)

    def curve(self, lag_ps: Array) -> Array:
        """Fitted function, (n_fits, n_lags)."""
        decay = np.exp(-((lag_ps / self.tau_ps[:, None]) ** self.gamma[:, None]))
        b2 = self.plateau_b2[:, None]
        return self.amplitude[:, None] * (b2 + (1.0 - b2) * decay)


def mean_tau(tau: Array, gamma: Array) -> Array:
    r"""Integral of :math:`\exp[-(t/\tau)^\gamma]`, :math:`\tau \Gamma(1/\gamma)/\gamma`."""
    return np.asarray(tau * special.gamma(1.0 / np.asarray(gamma)) / gamma)


def fit_decay(
    lag_ps: Array,
    acf: Array,
    *,
    gamma: float | None = 1.0,
    weights: Array | None = None,
    resolution: float = 1e-8,
) -> DecayFit:
    """Least squares with 0 <= b^2 <= 1, A >= 0 and tau up to a decade beyond the lags.

    Use lags spaced evenly in log t: neighbouring lags are almost the same data, and equal weights
    on equally spaced lags would count the plateau thousands of times.

    Parameters
    ----------
    lag_ps : ndarray (n_lags,), ps
        Lags after the vibrations, > 0; at least four, five with `gamma` None.
    acf : ndarray (n_lags,) or (n_fits, n_lags)
        Autocorrelation functions divided by their zero-lag values.
    gamma : float or None
        Fixed stretching exponent, or None to fit it within `GAMMA_BOUNDS`.
    weights : ndarray (n_lags,), optional
        Weight of every lag's squared residual; equal when not given.
    resolution : float
        Spacing in log tau at which the search ends.

    Returns
    -------
    DecayFit
        A fit that finds no decaying part has b^2 = 1 and the longest tau allowed.

    Raises
    ------
    HopechoError
        If there are too few lags, or a value is not finite.
    """
    y = np.atleast_2d(np.asarray(acf, dtype=np.float64))
    lag_ps = np.asarray(lag_ps, dtype=np.float64)
    _check_data(lag_ps, y, n_min=4 if gamma is not None else 5)
    w = np.ones(lag_ps.size) if weights is None else np.asarray(weights, dtype=np.float64)
    w = w / w.sum()
    bounds = (np.log(lag_ps.min() / 10.0), np.log(lag_ps.max() * 10.0))
    log_taus = np.arange(bounds[0], bounds[1] + TAU_STEP, TAU_STEP).clip(max=bounds[1])
    low, high = GAMMA_BOUNDS if gamma is None else (gamma, gamma)
    gammas = np.arange(low, high + 1e-9, GAMMA_STEP)
    grid_tau, grid_gamma = (g.ravel() for g in np.meshgrid(log_taus, gammas, indexing="ij"))
    log_lag = np.log(lag_ps)
    best = np.concatenate(
        [
            _residual(part, w, _shape_function(log_lag, grid_tau, grid_gamma))[2].argmin(axis=1)
            for part in np.array_split(y, -(-len(y) // 256))
        ]
    )
    log_tau, exponent = _zoom(
        y,
        w,
        log_lag,
        start=(grid_tau[best], grid_gamma[best]),
        bounds=(bounds, (low, high)),
        n_steps=int(np.ceil(np.log(resolution / TAU_STEP) / np.log(ZOOM))),
    )
    return _collect(y, w, log_lag, log_tau, exponent, tau_max=np.exp(bounds[1]))


def integral_time_ps(lag_ps: Array, acf: Array, *, plateau: float) -> float:
    """Integral of C - plateau over the lags (trapezoids) divided by its first value, ps."""
    excess = np.asarray(acf) - plateau
    if excess[0] <= 0.0:
        return 0.0
    return float(np.trapezoid(excess, lag_ps) / excess[0])


def _check_data(lag_ps: Array, y: Array, *, n_min: int) -> None:
    if lag_ps.size < n_min or (lag_ps <= 0.0).any():
        raise HopechoError(
            f"A decay fit needs at least {n_min} lags above zero.",
            got=f"{lag_ps.size} lags: {lag_ps[:4]} ps ...",
            fix="lower correlation.t_min_ps, or store frames more often",
        )
    if y.shape[1] != lag_ps.size or not np.isfinite(y).all():
        raise HopechoError(
            "The autocorrelation must be finite and have one value for every lag.",
            got=f"shape {y.shape} for {lag_ps.size} lags, finite: {bool(np.isfinite(y).all())}",
            fix="check the series that went into it",
        )


def _shape_function(log_lag: Array, log_tau: Array, gamma: Array) -> Array:
    """exp[-(t/tau)^gamma], (..., n_lags) for log_tau and gamma of shape (...)."""
    return np.exp(-np.exp(gamma[..., None] * (log_lag - log_tau[..., None])))


def _residual(y: Array, w: Array, f: Array) -> tuple[Array, Array, Array]:
    """Best p >= 0 and d >= 0 and the residual for every function and shape.

    y is (n_fits, n_lags); f is (n_shapes, n_lags), or (n_fits, n_shapes, n_lags) when every fit has
    shapes of its own; the three results are (n_fits, n_shapes). The weights add up to 1.
    """
    mean_f = f @ w
    # Centred sums: the residual is then free of the cancellation of large squares.
    y_mean = y @ w
    y_c = y - y_mean[:, None]
    f_c = f - mean_f[..., None]
    ff = (f_c**2) @ w
    yf = (y_c * w) @ f_c.T if f.ndim == 2 else np.einsum("il,isl->is", y_c * w, f_c)
    yy = (y_c**2) @ w
    d = np.maximum(yf / np.maximum(ff, 1e-300), 0.0)
    p = y_mean[:, None] - d * mean_f
    residual = yy[:, None] - 2.0 * d * yf + d**2 * ff
    # A negative plateau is not allowed: fit d alone.
    ff_raw = ff + mean_f**2
    d_alone = np.maximum((yf + y_mean[:, None] * mean_f) / np.maximum(ff_raw, 1e-300), 0.0)
    alone = (
        yy[:, None]
        + y_mean[:, None] ** 2
        - 2.0 * d_alone * (yf + y_mean[:, None] * mean_f)
        + d_alone**2 * ff_raw
    )
    negative = p < 0.0
    return (
        np.where(negative, 0.0, p),
        np.where(negative, d_alone, d),
        np.where(negative, alone, residual),
    )


def _zoom(
    y: Array,
    w: Array,
    log_lag: Array,
    *,
    start: tuple[Array, Array],
    bounds: tuple[tuple[float, float], tuple[float, float]],
    n_steps: int,
) -> tuple[Array, Array]:
    """Refine (log tau, gamma) of every fit on shrinking grids around the best point so far."""
    log_tau, gamma = start
    free = bounds[1][1] > bounds[1][0]
    offsets = np.array([0.0, -1.0, -0.5, 0.5, 1.0])
    pairs = np.array([(a, b) for a in offsets for b in (offsets if free else (0.0,))])
    rows = np.arange(len(y))
    for step in range(n_steps):
        scale = ZOOM**step
        taus = (log_tau[:, None] + scale * TAU_STEP * pairs[:, 0]).clip(*bounds[0])
        gammas = (gamma[:, None] + scale * GAMMA_STEP * pairs[:, 1]).clip(*bounds[1])
        # Offset zero comes first, so that argmin stays where it is among equals.
        best = _residual(y, w, _shape_function(log_lag, taus, gammas))[2].argmin(axis=1)
        log_tau, gamma = taus[rows, best], gammas[rows, best]
    return log_tau, gamma


def _collect(
    y: Array, w: Array, log_lag: Array, log_tau: Array, gamma: Array, *, tau_max: float
) -> DecayFit:
    f = _shape_function(log_lag, log_tau[:, None], gamma[:, None])
    p, d, residual = (x[:, 0] for x in _residual(y, w, f))
    amplitude = p + d
    decays = d > 0.0
    b2 = np.divide(p, amplitude, out=np.ones_like(p), where=amplitude > 0.0)
    return DecayFit(
        amplitude=amplitude,
        plateau_b2=np.where(decays, b2, 1.0),
        tau_ps=np.where(decays, np.exp(log_tau), tau_max),
        gamma=gamma,
        residual=np.maximum(residual, 0.0),
    )
