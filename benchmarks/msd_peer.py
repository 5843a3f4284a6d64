"""MSD by other packages, run by msd.py in an environment of its own.

``python msd_peer.py positions.npy lags.npy result.npz`` (freud, tidynamics, MDAnalysis, kinisi; no
hopecho here); with one of their names in place of the result it prints the memory of that one, MiB.
Positions are (n_frames, n_ions, 3), A, unwrapped, in the middle of a cell so large
that no package can fold them. Writes for each package the processor time, s (best of five, after a
call on a short run; of two for calls over 3 s), and the MSD at the lags, A^2, mean over ions.
"""

import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import freud
import MDAnalysis
import numpy as np
import scipp as sc
import tidynamics
from kinisi.displacement import calculate_msd
from kinisi.parser import Parser
from MDAnalysis.analysis.msd import EinsteinMSD

EDGE_A = 1e5
SLOW_S = 3.0


def by_freud(x: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """All lags by FFT, per ion; in threads of its own unless told otherwise."""
    freud.parallel.set_num_threads(1)
    msd = freud.msd.MSD(mode="window").compute(x)
    return msd.particle_msd.mean(1)[lags]


def by_tidynamics(x: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """All lags by FFT, one ion after the other."""
    return np.mean([tidynamics.msd(x[:, i]) for i in range(x.shape[1])], axis=0)[lags]


def by_mdanalysis(x: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """All lags by FFT (with tidynamics), per ion, from a universe in memory."""
    universe = MDAnalysis.Universe.empty(x.shape[1], trajectory=True)
    universe.load_new(x.astype(np.float32), order="fac")
    analysis = EinsteinMSD(universe, select="all", msd_type="xyz", fft=True).run()
    return analysis.results.msds_by_particle.mean(1)[lags]


def by_kinisi(x: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """The given lags only, lag by lag, with variances; an ion at rest serves as the framework."""
    everything = np.concatenate([x, np.zeros((len(x), 1, 3))], axis=1) / EDGE_A
    n_ions = x.shape[1]
    parser = Parser(
        coords=sc.array(dims=["time", "particle", "dimension"], values=everything),
        latt=sc.array(
            dims=["time", "row", "column"],
            values=np.broadcast_to(EDGE_A * np.eye(3), (len(x), 3, 3)).copy(),
            unit="angstrom",
        ),
        time_step=sc.scalar(1.0, unit="ps"),
        step_skip=sc.scalar(1),
        dt=sc.array(dims=["time interval"], values=lags.astype(float), unit="ps"),
        specie_indices=sc.array(dims=["particle"], values=np.arange(n_ions)),
        drift_indices=sc.array(dims=["particle"], values=np.array([n_ions])),
    )
    return calculate_msd(parser, progress=False)["da"].values


PEERS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "freud": by_freud,
    "tidynamics": by_tidynamics,
    "MDAnalysis": by_mdanalysis,
    "kinisi": by_kinisi,
}


def main(positions: str, lags_path: str, result: str) -> None:
    """Time every package on the same positions."""
    warnings.simplefilter("ignore")
    x, lags = (np.load(path, allow_pickle=False) for path in (positions, lags_path))
    out: dict[str, np.ndarray | float] = {}
    for name, compute in PEERS.items():
        compute(x[:200, :4], lags[lags < 100])
        seconds: list[float] = []
        while len(seconds) < (5 if not seconds or min(seconds) < SLOW_S else 2):
            start = time.process_time()
            out[f"{name}/msd"] = compute(x, lags)
            seconds.append(time.process_time() - start)
        out[f"{name}/seconds"] = min(seconds)
    np.savez(result, **out)


def memory(positions: str, lags_path: str, name: str) -> None:
    """Print the peak of one package above what this process held before, MiB."""
    warnings.simplefilter("ignore")
    x, lags = (np.load(path, allow_pickle=False) for path in (positions, lags_path))
    PEERS[name](x[:200, :4], lags[lags < 100])
    before = status_mb("VmRSS")
    PEERS[name](x, lags)
    print(status_mb("VmHWM") - before)


def status_mb(key: str) -> float:
    """Resident memory of this process, now (VmRSS) or at its peak (VmHWM), MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(key))


if __name__ == "__main__":
    (memory if sys.argv[3] in PEERS else main)(*sys.argv[1:])
