"""Every claim of a campaign in one JSON object, each with the path of the file that it is from."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hopecho.config_text import PROJECT_ROOT
from hopecho.correlation.microstructure import family
from hopecho.io.results import read_json
from hopecho.labels.store import LabelStore
from hopecho.report.decay_details import activation_energies, tensor_error_effects
from hopecho.report.label_sets import gather
from hopecho.report.own import own_records

CLAIMS: Sequence[tuple[str, str]] = (
    ("acf_powder.json", "tau_sae"),
    ("acf_powder.json", "plateau_b2"),
    ("acf_powder.json", "stretch_gamma"),
    ("acf_powder.json", "vibrational_amplitude"),
    ("acf_omega_q.json", "tau_sae"),
    ("acf_cq.json", "tau_sae"),
    ("acf_pq.json", "tau_sae"),
    ("conductivity.json", "d_tracer"),
    ("hops.json", "hop_rate"),
    ("conductivity.json", "sigma_ne"),
    ("conductivity.json", "sigma_einstein"),
    ("current.json", "sigma_gk"),
    ("conductivity.json", "sigma_self"),
    ("conductivity.json", "sigma_distinct"),
    ("conductivity.json", "haven_ratio"),
    ("vibrations.json", "band_centre"),
    ("rotation.json", "tilt_angle_width"),
    ("rotation.json", "angular_velocity_width"),
    ("rotation.json", "rotation_width"),
    ("rotation.json", "bond_life"),
)
"""File and name of every claim, in the order of the table."""

Own = Mapping[str, Mapping[str, Mapping[str, Any]]]

BURST_FILES = ("current.json", "vibrations.json")
"""Those that only campaigns with bursts have."""


def summarise(
    results: Path,
    *,
    run: Mapping[str, Sequence[str]],
    temperatures_k: Sequence[int],
    source: str,
    store: LabelStore,
    efg: bool = True,
    grid: bool = False,
    efg_grid: bool = False,
    bursts: bool = True,
    members: Collection[str] | None = None,
    targets: Mapping[str, float] | None = None,
    own: Own | None = None,
    grains: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Gather the claims, gates and errors of a finished campaign.

    Parameters
    ----------
    results : Path
        The campaign's folder.
    run : mapping
        Phases of each material.
    temperatures_k : sequence of int
        Production temperatures, K.
    source : str
        What the labels are; of a campaign without any, what else its results rest on.
    store : LabelStore
        Where they are.
    efg : bool
        Whether phases that are simulated have field gradients.
    grid : bool
        Whether settings of the potential were chosen from a grid.
    efg_grid : bool
        The same for the field-gradient model.
    bursts : bool
        Whether the campaign has bursts of velocities.
    members : collection of str, optional
        The structure, segment and status files of the campaign as it is configured now; others in
        the folder are left from other settings and do not count. All when left out.
    targets : mapping, optional
        Limits of the audit errors in the learning loop: ``force_relative``, ``rmse_energy``
        (eV/atom).
    own : mapping, optional
        Material -> phase -> ``temperatures_k`` and ``tensors`` of those whose trajectories were
        brought, as `hopecho.own_plan.own_phases` gives them.
    grains : mapping, optional
        ``correlation.grains``: the model of glass ceramics, of materials that run both phases.

    Returns
    -------
    dict
        ``labels``, ``claims``, ``learning``, ``heldout``, ``uncertainty``, ``efg``, ``efg_grid``,
        ``efg_segments``, ``structures``, ``segments``, ``bursts``, ``step_tests``, ``label_sets``,
        ``fit``, ``extrapolation``, ``grid``, ``reference``, ``targets``, ``activation_energy``,
        ``tensor_errors``, ``microstructure``, ``own``. Without field gradients ``efg`` is empty and
        no claim is made of correlation functions; of a potential made elsewhere ``extrapolation``
        is not known. A material with nothing simulated has no ``learning`` and what goes with it.
    """
    brought = {m: dict((own or {}).get(m, {})) for m in run}
    simulated = {m: [p for p in run[m] if p not in brought[m]] for m in run}
    learned = [m for m in run if simulated[m]]
    claims = [
        claim
        for material, phases in run.items()
        for phase in phases
        for claim in _phase_claims(
            results / material, phase, temperatures_k, brought[material], efg=efg, bursts=bursts
        )
    ]
    errors = {m: read_json(results / m / "heldout/errors.json") for m in learned}
    learning = {m: _learning(results / m, members) for m in learned}
    fits = {m: read_json(results / m / f"al/{learning[m][-1]['round']}/fit.json") for m in learned}
    predicted = {m: [p for p in run[m] if _predicted(brought[m].get(p), efg=efg)] for m in run}
    modelled = [m for m in run if predicted[m]]
    return {
        "labels": source,
        "claims": claims,
        "own": {m: own_records(results / m, brought[m], members) for m in run if brought[m]},
        "learning": learning,
        "fit": fits,
        "extrapolation": {
            m: {
                f"{phase}/{t}K": _without_provenance(
                    results / m / "phases" / phase / f"{t}K/extrapolation.json"
                )
                for phase in simulated[m]
                for t in temperatures_k
            }
            for m in learned
            if "file" not in fits[m]
        },
        "grid": {m: read_json(results / m / "grid/grid.json") for m in learned if grid},
        "heldout": {m: errors[m]["phases"] for m in learned},
        "uncertainty": {m: errors[m]["uncertainty"] for m in learned},
        "efg": {m: _without_provenance(results / m / "efg/fit.json") for m in modelled},
        "efg_grid": {
            m: read_json(results / m / "efg/grid/grid.json") for m in modelled if efg_grid
        },
        "efg_segments": {m: _tensors(results / m, predicted[m], members) for m in modelled},
        "structures": {m: _structures(results / m, simulated[m], members) for m in learned},
        "segments": {m: _segments(results / m, simulated[m], members) for m in run},
        "bursts": {m: _segments(results / m, simulated[m], members, kind="burst") for m in run},
        "step_tests": {m: _step_tests(results / m, simulated[m], members) for m in run},
        "label_sets": {m: gather(results / m, store) for m in learned},
        "reference": {m: _reference(m) for m in run},
        "activation_energy": activation_energies(claims),
        "tensor_errors": tensor_error_effects(
            results, [c for c in claims if c["phase"] in predicted[c["material"]]], errors
        ),
        "microstructure": _microstructure(results, claims, grains) if grains else [],
        "targets": dict(targets or {}),
    }


def _microstructure(
    results: Path, claims: Sequence[Mapping[str, Any]], grains: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Model of glass ceramics of every material and temperature."""
    return [
        {"material": m, "temperature_k": t} | _grains(results / m / "phases", t, grains)
        for m, t in _with_both(claims, grains)
    ]


def _with_both(
    claims: Sequence[Mapping[str, Any]], grains: Mapping[str, Any]
) -> list[tuple[str, int]]:
    """Materials and temperatures at which the tensors of both phases are known."""
    known = {
        (c["material"], c["temperature_k"], c["phase"])
        for c in claims
        if c["curve"] == "acf_powder"
    }
    pair = (grains["glass"], grains["crystal"])
    return sorted({(m, t) for m, t, _ in known if all((m, t, p) in known for p in pair)})


def _grains(phases: Path, temperature: int, grains: Mapping[str, Any]) -> dict[str, Any]:
    """Model of glass ceramics at one temperature, from the decays of both phases."""
    glass, crystal = (phases / grains[name] / f"{temperature}K" for name in ("glass", "crystal"))
    return family(
        read_json(glass / "acf_powder.json"),
        read_json(crystal / "acf_powder.json"),
        diffusion=read_json(crystal / "conductivity.json")["d_tracer"],
        crystalline_shares=grains["crystalline_shares"],
        exchange_ms=grains["exchange_ms"],
    )


def _without_provenance(path: Path) -> dict[str, Any]:
    return {k: v for k, v in read_json(path).items() if k != "provenance"}


def _predicted(brought: Mapping[str, Any] | None, *, efg: bool) -> bool:
    """Whether the tensors of a phase, brought or simulated, are a model's."""
    return efg if brought is None else brought["tensors"] in ("fit", "file")


def _phase_claims(
    folder: Path,
    phase: str,
    temperatures_k: Sequence[int],
    own: Mapping[str, Any],
    *,
    efg: bool,
    bursts: bool,
) -> Iterator[dict[str, Any]]:
    """Claims of a phase at all its temperatures."""
    known = own.get(phase)
    if known is not None:
        temperatures_k, efg, bursts = known["temperatures_k"], bool(known["tensors"]), False
    for temperature in temperatures_k:
        yield from _claims(folder, phase, temperature, efg=efg, bursts=bursts)


def _claims(
    folder: Path, phase: str, temperature: int, *, efg: bool, bursts: bool
) -> Iterator[dict[str, Any]]:
    folder, material = folder / "phases" / phase / f"{temperature}K", folder.name
    for name, key in CLAIMS:
        if (name.startswith("acf") and not efg) or (name in BURST_FILES and not bursts):
            continue
        record = read_json(folder / name)
        # A material without tetrahedra has no angles, a campaign without bursts no rates.
        if name == "rotation.json" and key not in record:
            continue
        curve = name.removesuffix(".json") if name.startswith("acf") else None
        single = {None: record[key]}
        for element, quantity in (record[key] if key == "band_centre" else single).items():
            claim = {
                "claim": key,
                "curve": curve,
                "material": material,
                "phase": phase,
                "temperature_k": temperature,
                "quantity": quantity,
                "path": str(folder / name),
            }
            if element is not None:
                claim["element"] = element
            if key == "sigma_gk":
                claim["reason"] = record["reason"]
            if key == "tau_sae":
                detail = ("fits", "headline_fit", "regime", "reason", "smallest_decay", "run_ps")
                claim |= {k: record.get(k) for k in ("advice", "seen_by", "integral_time_ns")}
                claim |= {k: record.get(k) for k in ("plateau_mean_square", "plateau_first_last")}
                claim |= {k: record[k] for k in detail}
            yield claim


def _members(paths: Sequence[Path], members: Collection[str] | None) -> list[Path]:
    """Keep the files that belong to the campaign."""
    return [path for path in paths if members is None or str(path) in members]


def _learning(folder: Path, members: Collection[str] | None) -> list[dict[str, Any]]:
    """Status of every round up to the accepted one; later ones are left from other settings."""
    paths = sorted(folder.glob("al/*/status.json"), key=lambda p: int(p.parent.name))
    rounds: list[dict[str, Any]] = []
    for path in _members(paths, members):
        rounds.append(read_json(path))
        if rounds[-1]["accepted"]:
            break
    return rounds


def _structures(
    folder: Path, phases: Sequence[str], members: Collection[str] | None
) -> dict[str, Any]:
    return {
        f"{phase}/{path.parent.name if name == 'quench*/structure' else path.stem}": (
            _without_provenance(path)
        )
        for phase in phases
        for name in ("start*", "quench*/structure")
        for path in _members(sorted((folder / "phases" / phase).glob(f"{name}.json")), members)
    }


def _segments(
    folder: Path, phases: Sequence[str], members: Collection[str] | None, *, kind: str = "segment"
) -> list[dict[str, Any]]:
    """Gates of every production segment, or of every burst."""
    return [
        read_json(path) | {"phase": phase, "path": str(path)}
        for phase in phases
        for path in _members(
            sorted((folder / "phases" / phase).glob(f"quench*/*K/replica*/{kind}*.json")), members
        )
    ]


def _step_tests(
    folder: Path, phases: Sequence[str], members: Collection[str] | None
) -> list[dict[str, Any]]:
    """Which time steps conserve the energy."""
    return [
        read_json(path) | {"phase": phase, "path": str(path)}
        for phase in phases
        for path in _members(sorted((folder / "phases" / phase).glob("*K/step_test.json")), members)
    ]


def _tensors(
    folder: Path, phases: Sequence[str], members: Collection[str] | None
) -> list[dict[str, Any]]:
    """Unknown environments and predicted errors of the tensors, per phase and temperature."""
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for phase in phases:
        paths = sorted((folder / "phases" / phase).glob("quench*/*K/replica*/efg*.json"))
        for path in _members(paths, members):
            own = _without_provenance(path)
            own["worst"] = own["worst"] | {"path": str(path.with_suffix(".h5"))}
            groups.setdefault((phase, own["temperature_k"]), []).append(own)
    return [
        {"phase": phase, "temperature_k": temperature_k, **_joined(own)}
        for (phase, temperature_k), own in groups.items()
    ]


def _joined(segments: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    counts = [s["n_frames"] * s["n_ions"] for s in segments]
    squares = sum(n * s["sigma_khz"] ** 2 for n, s in zip(counts, segments, strict=True))
    flagged = sum(s["n_flagged"] for s in segments)
    return {
        "n_tensors": sum(counts),
        "n_flagged": flagged,
        "flagged_share": flagged / sum(counts),
        "sigma_khz": float((squares / sum(counts)) ** 0.5),
        "worst": max((s["worst"] for s in segments), key=lambda worst: float(worst["score"])),
    }


def _reference(material: str) -> dict[str, Any]:
    """Published values to stand beside ours, if there are any for the material."""
    path = PROJECT_ROOT / "resources" / "reference" / f"{material}.json"
    return read_json(path) if path.is_file() else {}
