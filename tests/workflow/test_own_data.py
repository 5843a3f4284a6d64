"""Data of the user's own in place of MD, of predicted tensors and of a fitted model."""

import json

import numpy as np
import yaml

from hopecho.io.efg_table import EfgTrajectory, write_efg
from hopecho.io.results import sha256

EDGE, N_LI, UNITS, N_FRAMES, STRIDE = 14.0, 24, 4, 800, 0.5
HOP, RATE = 2.5, 0.1
"""Length of a jump, A, and jumps of an ion per ps; D = RATE HOP^2 / 6. A jump draws a tensor."""
ANALYSIS = {"correlation": 1, "sites": 1, "transport_analysis": 1, "polyanions": 1,
            "temperature_series": 1, "summary": 1, "report_page": 1}  # fmt: skip
TETRAHEDRON = 2.05 / 3**0.5 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])


def hopping(seed):
    """Positions (n_frames, n_atoms, 3) and tensors (n_frames, n_li, 5) of ions that jump freely."""
    rng = np.random.default_rng(seed)
    centres = 3.5 + 7.0 * np.array([[0, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1]])
    ligands = (centres[:, None] + TETRAHEDRON).reshape(-1, 3)
    start = np.vstack([rng.uniform(0, EDGE, (N_LI, 3)), centres, ligands])
    jumps = rng.random((N_FRAMES, N_LI)) < 1 - np.exp(-RATE * STRIDE)
    jumps[0] = False
    way = rng.normal(size=(N_FRAMES, N_LI, 3))
    way *= (HOP * jumps / np.linalg.norm(way, axis=2))[..., None]
    x = np.broadcast_to(start, (N_FRAMES, *start.shape)).copy()
    x[:, :N_LI] += np.cumsum(way, axis=0)
    visit = np.cumsum(jumps, axis=0)
    drawn = 0.01 * rng.normal(size=(visit.max() + 1, N_LI, 5))
    return x + rng.normal(scale=0.05, size=x.shape), drawn[visit, np.arange(N_LI)]


def write_dump(path, x, *, first=0):
    types = np.repeat([1, 2, 3], [N_LI, UNITS, 4 * UNITS])
    head = f"ITEM: BOX BOUNDS pp pp pp\n{f'0 {EDGE}{chr(10)}' * 3}ITEM: ATOMS id type xu yu zu\n"
    with path.open("w") as stream:
        for k, frame in enumerate(x):
            stream.write(f"ITEM: TIMESTEP\n{first + 250 * k}\n")
            stream.write(f"ITEM: NUMBER OF ATOMS\n{len(frame)}\n{head}")
            for i, (t, r) in enumerate(zip(types, frame, strict=True)):
                stream.write(f"{i + 1} {t} {r[0]:.5f} {r[1]:.5f} {r[2]:.5f}\n")


def bring(folder):
    """Two runs of a phase, one of them in two files, with their tensors; return the overlay."""
    runs, tables = [], []
    for k in range(2):
        x, efg = hopping(k)
        cuts = [slice(N_FRAMES)] if k else [slice(300), slice(300, N_FRAMES)]
        files = [f"run{k}-{part}.dump" for part in range(len(cuts))]
        for name, cut in zip(files, cuts, strict=True):
            write_dump(folder / name, x[cut], first=250 * cut.start if cut.start else 0)
        time = np.arange(N_FRAMES) * STRIDE
        write_efg(folder / f"efg{k}.h5", EfgTrajectory(time, np.arange(N_LI), efg))
        name = {"temperature_k": 400, "quench": 0, "replica": k}
        runs.append(name | {"files": files, "stride_ps": STRIDE})
        tables.append(name | {"files": [f"efg{k}.h5"]})
    return {
        "results": "mine",
        "run": {"li3ps4": ["friend"]},
        "phases": {"friend": {"trajectories": runs, "efg": tables}},
        "correlation": {"t_min_ps": 1.0, "bootstrap": 60},
    }


def write_overlay(project, name, overlay):
    (project.folder / name).write_text(yaml.safe_dump(overlay))
    return name


def test_a_campaign_of_own_data_from_import_to_report(project):
    overlay = bring(project.folder)
    mine = write_overlay(project, "mine.yaml", overlay)
    plan = {"own_run": 2, "own_runs": 1, "own_tensors": 2, **ANALYSIS}
    assert project.planned(configfile=mine) == plan
    done = project.run("--cores", "1", configfile=mine)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "nothing to simulate: no labels, no potential, no MD" in done.stdout
    material = project.folder / "mine/li3ps4"
    assert {p.name for p in material.iterdir()} == {"phases"}
    check_numbers(material / "phases/friend/400K")
    check_page(project)
    check_reruns(project, mine)


def check_numbers(folder):
    """D and tau are those that the runs were made with."""
    d = json.loads((folder / "conductivity.json").read_text())
    assert d["provenance"]["labels"] == "own trajectories"
    true = RATE * HOP**2 / 6 * 1e-8
    assert d["d_tracer"]["verdict"] == "resolved"
    assert abs(d["d_tracer"]["value"] - true) < 4 * d["d_tracer"]["stderr"]
    acf = json.loads((folder / "acf_powder.json").read_text())
    assert acf["provenance"]["labels"] == "own trajectories and tensors"
    tau = acf["tau_sae"]
    assert tau["verdict"] == "resolved"
    assert abs(tau["value"] - 1e-3 / RATE) < 4 * tau["stderr"]


def check_page(project):
    """The report names the files with their hashes and speaks of no model surface."""
    page = (project.folder / "mine/report.html").read_text()
    assert "model PES" not in page
    assert "The trajectories of friend are your own" in page
    assert "So are its tensors." in page
    for name in ("run0-0.dump", "run0-1.dump", "run1-0.dump", "efg0.h5", "efg1.h5"):
        assert name in page
        assert sha256(project.folder / name)[:16] in page
    summary = json.loads((project.folder / "mine/summary.json").read_text())
    runs = summary["own"]["li3ps4"]["friend"]["runs"]
    assert runs[1]["files"][0]["sha256"] == sha256(project.folder / "run1-0.dump")


def check_reruns(project, mine):
    """A changed file: its run and the analysis; a touched one: nothing."""
    assert project.planned(configfile=mine) == {}
    (project.folder / "run1-0.dump").touch()
    assert project.planned(configfile=mine) == {}
    x, _ = hopping(7)
    write_dump(project.folder / "run1-0.dump", x)
    plan = {"own_run": 1, "own_runs": 1, "own_tensors": 1, **ANALYSIS}
    assert project.planned(configfile=mine) == plan


def test_what_is_planned_and_refused_without_tables_and_with_a_model(project):
    overlay = bring(project.folder)
    del overlay["phases"]["friend"]["efg"]
    bare = write_overlay(project, "bare.yaml", overlay)
    transport = {k: n for k, n in ANALYSIS.items() if k not in ("correlation", "sites")}
    assert project.planned(configfile=bare) == {"own_run": 2, "own_runs": 1, **transport}
    said = {"sae": "give phases.<phase>.efg", "potential": "nothing is labelled"}
    for target, words in said.items():
        refused = project.run("-n", target, configfile=bare)
        assert refused.returncode != 0
        assert words in refused.stdout
    (project.folder / "model.npz").write_bytes(b"")
    modelled = write_overlay(project, "modelled.yaml", overlay | {"efg": {"file": "model.npz"}})
    plan = {"own_run": 2, "own_runs": 1, "import_efg": 1, "predict_efg": 2, **ANALYSIS}
    assert project.planned(configfile=modelled) == plan
    write_dump(project.folder / "run1-0.dump", hopping(1)[0] % EDGE)
    done = project.run("--cores", "1", "--keep-going", configfile=modelled)
    assert done.returncode != 0
    assert "efg.file: Cannot read the EFG model model.npz" in done.stdout
    assert "phases.friend.trajectories: run1-0.dump: The trajectory is wrapped" in done.stdout
    assert "fix: write unwrapped positions" in done.stdout
