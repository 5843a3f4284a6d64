# Functions that the rules share; no rule stands here.
import math
import os
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# Of this checkout, also when another workflow imports this one as a module.
BASEDIR = os.path.dirname(workflow.current_basedir.get_path_or_uri(secret_free=True))
sys.path.insert(0, BASEDIR)

from hopecho import own_plan
from hopecho.config import Campaign, validate
from hopecho.efg.grid import BASIS as EXPANSION
from hopecho.efg.grid import expansions
from hopecho.environment import prepare_jobs
from hopecho.errors import HopechoError
from hopecho.sources import source_files
from hopecho.ufp.grid import BASIS, PENALTIES, bases, penalties
from hopecho.versions import RESULT_VERSIONS, surface_identity

prepare_jobs(BASEDIR)

# Relative, so that a checkout that is moved does not look like changed commands.
SCRIPTS = os.path.relpath(f"{BASEDIR}/scripts")
ENV = f"{BASEDIR}/envs/hopecho.yaml"
ENGINE_ENVS = {c: f"{BASEDIR}/envs/{c}.yaml" for c in ("espresso", "abinit", "xtb")}

# Snakemake lists overlays before the file that they are merged over.
_BASE = Path("config.yaml")
_OVERLAYS = [
    Path(p) for p in workflow.configfiles if Path(p).resolve() != _BASE.resolve()
]

try:
    CAMPAIGN = Campaign(validate(config, files=[_BASE, *_OVERLAYS]))
except HopechoError as error:
    raise WorkflowError(str(error)) from None


def quoted(text):
    """A value of the configuration as one word of a shell command, of which Snakemake fills no part."""
    return shlex.quote(text).replace("{", "{{").replace("}", "}}")


RESULTS = CAMPAIGN.config["results"]
# How programs are started is no part of a result: in no rule's parameters.
LABEL_COMMAND = quoted(CAMPAIGN.get("labels.command"))
EFG_COMMAND = quoted(CAMPAIGN.get("labels.efg_command"))
# Nor how often and with which detours a label is tried: `hopecho labels retry` asks for more.
LABEL_ATTEMPTS = quoted(
    CAMPAIGN.settings(
        "labels.retries", "labels.max_wall_min", "labels.max_transient_failures"
    )
)
# Nor where labels are kept, nor how many of a set may fail before the campaign stops.
LABEL_STORE = quoted(CAMPAIGN.get("labels.store"))
MAX_FAILED_SHARE = CAMPAIGN.get("labels.max_failed_share")
LAMMPS = quoted(CAMPAIGN.get("md.lammps.command"))
PAIR_STYLE = CAMPAIGN.get("md.lammps.pair_style")
MD_WALL_MIN = CAMPAIGN.get("md.max_wall_min")
MD_JOB = CAMPAIGN.get("md.resources")
# Every further attempt asks for more memory. More time is asked for by labels only: a segment goes
# on at its last chunk, and twice the time may be more than a partition allows.
MD_RESOURCES = {
    "mem_mb": lambda wildcards, attempt: attempt * MD_JOB["mem_mb"],
    "runtime": MD_JOB["runtime_min"],
    "gpu": MD_JOB["gpus"],
}
LABEL_ENV = ENGINE_ENVS.get(CAMPAIGN.get("labels.code"), ENV)
LABEL_JOB = CAMPAIGN.get("labels.resources")
LABEL_RESOURCES = {
    "mem_mb": lambda wildcards, attempt: attempt * LABEL_JOB["mem_mb"],
    "runtime": lambda wildcards, attempt: attempt * LABEL_JOB["runtime_min"],
}
INITIAL_FILES = [
    path for paths in CAMPAIGN.get("learning.initial_files").values() for path in paths
]
IMPORTED = ["labels.imported"] if INITIAL_FILES else []
# The settings of the code in use; the model surface has none.
LABEL_BLOCK = [
    f"labels.{name}"
    for name in CAMPAIGN.config["labels"]
    if name == CAMPAIGN.get("labels.code")
]
# A potential made elsewhere takes the place of the fits: one round, to test it and to label.
FOREIGN = CAMPAIGN.get("potential.file")
GRID_BASES = bases(CAMPAIGN.get("potential.grid"))
EFG_BASES = expansions(CAMPAIGN.get("efg.grid"))
# Whether labels hold field gradients; tensors of a phase may also be from elsewhere.
EFG = CAMPAIGN.get("labels.efg")
EFG_FILE = CAMPAIGN.get("efg.file")
CASES = list(CAMPAIGN.cases())
# What the user brings is not simulated; materials of which something is have labels and a potential.
LEARNED = own_plan.learned(CAMPAIGN.config)
OWN_CASES = [c for c in CASES if own_plan.is_own(CAMPAIGN.config, c.phase)]
MD_CASES = [c for c in CASES if c not in OWN_CASES]
OWN_PHASES = sorted({c.phase for c in OWN_CASES})
TENSORS = {
    (c.material, c.phase): own_plan.tensors(CAMPAIGN.config, c.material, c.phase)
    for c in CASES
}
TENSOR_CASES = [c for c in CASES if TENSORS[c.material, c.phase]]
OWN_TENSORS = sorted({p for (_, p), how in TENSORS.items() if how == "table"})
# Materials whose tensors are predicted by a model.
MODELLED = sorted({m for (m, _), how in TENSORS.items() if how in ("fit", "file")})
CURVES = ("acf_powder", "acf_omega_q", "acf_cq", "acf_pq") if TENSOR_CASES else ()
# What only campaigns with bursts of velocities have: JSON with claims, CSV that is drawn.
BURSTS = CAMPAIGN.get("md.bursts.count") > 0 and bool(MD_CASES)
BURST_RESULTS = ("vibrations", "current") if BURSTS else ()
BURST_FIGURES = ("vdos", "current") if BURSTS else ()


wildcard_constraints:
    material="|".join(CAMPAIGN.config["materials"]),
    phase="|".join(CAMPAIGN.config["phases"]),
    round=r"\d+",
    batch=r"\d+",
    quench=r"\d+",
    temperature=r"\d+",
    replica=r"\d+",
    segment=r"\d+",
    burst=r"\d+",
    candidate=r"\d+",
    seed=r"\d+",
    label_set=r"al/\d+/candidates|al/\d+/audit|heldout|efg",


onstart:
    # Not above: pandas and ase take longer to import than all the rest, also in a dry run.
    from hopecho.forecast import forecast_lines

    cores = workflow.resource_settings.cores or workflow.resource_settings.nodes
    print("\n".join(forecast_lines(CAMPAIGN, cores)), file=sys.stderr)


def python(script):
    """The command that runs a script."""
    return f"python {quoted(SCRIPTS)}/{script}.py"


def code(script):
    """The script and every package module that it imports: inputs of rules that follow the code."""
    return [os.path.relpath(path) for path in source_files(f"{SCRIPTS}/{script}.py")]


def material_file(path):
    return f"{RESULTS}/{{material}}/{path}"


def phase_file(path):
    return material_file(f"phases/{{phase}}/{path}")


def run_file(path):
    return phase_file(f"quench{{quench}}/{{temperature}}K/replica{{replica}}/{path}")


def round_file(path):
    return material_file(f"al/{{round}}/{path}")


def log_file(path):
    return f"{RESULTS}/logs/{path}"


def cost_file(path):
    return f"{RESULTS}/benchmarks/{path}"


def scratch_folder(path):
    return f"{RESULTS}/scratch/{path}"


def settings(stage, *keys, **extra):
    """A function of wildcards: named config values (and the stage's version) as one string.

    ``{material}`` and ``{phase}`` in a key are filled in from the wildcards. Snakemake compares the
    string as a whole, so that two swapped values are seen and the order of keys is not.
    """

    def build(wildcards):
        names = [key.format(**dict(wildcards)) for key in keys]
        values = {k: v(wildcards) if callable(v) else v for k, v in extra.items()}
        if stage:
            values["result_version"] = RESULT_VERSIONS[stage]
        return CAMPAIGN.settings(*names, **values)

    return build


def seed(*names):
    """A function of wildcards: the seed of a stage, from the root seed and the wildcards named."""
    return lambda wildcards: CAMPAIGN.seed(*(getattr(wildcards, n, n) for n in names))


def run_folder(material, phase, quench, temperature_k, replica):
    return f"{RESULTS}/{material}/phases/{phase}/quench{quench}/{temperature_k}K/replica{replica}"


def phase_files(material, phase, temperature_k, stem, suffix):
    """One kind of segment file of every run of a phase at a temperature, in order."""
    return [
        f"{run_folder(r.material, r.phase, r.quench, r.temperature_k, r.replica)}/{stem}{s}{suffix}"
        for r in CAMPAIGN.runs(material, phase, temperature_k)
        for s in range(CAMPAIGN.segments(phase, temperature_k))
    ]


def _every(build, cases=CASES):
    return [path for c in cases for path in build(c.material, c.phase, c.temperature_k)]


def every_segment(suffix, cases=CASES):
    return _every(lambda m, p, t: phase_files(m, p, t, "segment", suffix), cases)


def burst_files(material, phase, temperature_k, suffix):
    """The bursts of every run of a phase at a temperature, in order: velocities (.h5md), gates (.json)."""
    if phase in OWN_PHASES:
        return []
    return [
        f"{run_folder(r.material, r.phase, r.quench, r.temperature_k, r.replica)}/burst{b}{suffix}"
        for r in CAMPAIGN.runs(material, phase, temperature_k)
        for b in range(CAMPAIGN.get("md.bursts.count"))
    ]


def every_burst(suffix):
    return _every(lambda m, p, t: burst_files(m, p, t, suffix))


def step_tests():
    """The test of the time step for every phase, at the temperature that asks most of it."""
    if not CAMPAIGN.get("md.step_test.dt_fs"):
        return []
    hottest = max(CAMPAIGN.get("md.temperatures_k"))
    return [
        f"{RESULTS}/{m}/phases/{p}/{hottest}K/step_test.json"
        for m in LEARNED
        for p in own_plan.simulated(CAMPAIGN.config, m)
    ]


def tensors_only(paths):
    """Paths of a target that needs field gradients, or why there are none."""

    def wanted(wildcards):
        if not TENSOR_CASES and MD_CASES:
            raise WorkflowError(
                "labels.efg is false: this campaign has no field gradients and no echo"
                "\nset labels.efg: true, with a code that gives them"
            )
        if not TENSOR_CASES:
            raise WorkflowError(
                "trajectories of your own without tensors: this campaign has no field gradients and"
                " no echo\ngive phases.<phase>.efg (tables) or efg.file (a model that predicts them)"
            )
        return paths

    return wanted


def simulated_only(paths):
    """Paths of a target that needs labels and a potential, or why there are none."""

    def wanted(wildcards):
        if not LEARNED:
            raise WorkflowError(
                "every phase of `run` brings trajectories of its own: nothing is labelled, learned or"
                "\nsimulated; run the targets transport, sae or report"
            )
        return paths

    return wanted


def every_efg(suffix=".h5"):
    return _every(lambda m, p, t: phase_files(m, p, t, "efg", suffix), TENSOR_CASES)


def every_phase(name, cases=CASES):
    return _every(lambda m, p, t: [f"{RESULTS}/{m}/phases/{p}/{t}K/{name}"], cases)


def every_series():
    """The temperature series of every phase."""
    return [
        f"{RESULTS}/{m}/phases/{p}/arrhenius.json"
        for m, phases in CAMPAIGN.config["run"].items()
        for p in phases
    ]


def own_entry(kind, wildcards):
    """The entry of a run that the user brings: of `trajectories` or `efg`."""
    parts = (wildcards.temperature, wildcards.quench, wildcards.replica)
    try:
        name = own_plan.RunName(*(int(part) for part in parts))
        return CAMPAIGN.own_run(kind, wildcards.phase, name)
    except HopechoError as error:
        raise WorkflowError(str(error)) from None


def own_record(wildcards):
    """Of a phase that brings its runs: that they were found to belong together."""
    if wildcards.phase not in OWN_PHASES:
        return []
    return [phase_file("{temperature}K/own.json").format(**dict(wildcards))]


def origin(wildcards):
    """What is said to be the source of results made from the trajectories of a phase."""
    return own_plan.origin(CAMPAIGN.config, wildcards.material, wildcards.phase)


def tensor_origin(wildcards):
    """The same of results that are made from tensors, too."""
    return own_plan.origin(
        CAMPAIGN.config, wildcards.material, wildcards.phase, with_tensors=True
    )


def learning_runs():
    """(phase, temperature, seed) of every sampling run of a round."""
    learning = CAMPAIGN.config["learning"]
    return [
        (p, t, s)
        for p in learning["phases"]
        for t in learning["temperatures_k"]
        for s in range(learning["seeds"])
    ]


def learning_files(material, round_, suffix):
    return [
        f"{RESULTS}/{material}/al/{round_}/md/{p}/{t}K/seed{s}{suffix}"
        for p, t, s in learning_runs()
    ]


def start_of(wildcards):
    """The starting structure of a sampling run: seeds and rounds go round the quenches of a glass."""
    quenches = learning_quenches(wildcards.phase)
    turn = int(wildcards.round) * CAMPAIGN.config["learning"]["seeds"] + int(
        wildcards.seed
    )
    return f"{RESULTS}/{wildcards.material}/phases/{wildcards.phase}/start{turn % quenches}.extxyz"


def learning_quenches(phase):
    """Quenches that the rounds know: of a glass a number of their own, so that more of them for
    production touch no potential."""
    is_glass = CAMPAIGN.config["phases"][phase]["kind"] == "glass"
    return CAMPAIGN.config["learning"]["quenches"] if is_glass else 1


def heldout_start(wildcards):
    """Held-out runs of a glass start from a quench that nothing else has seen."""
    entry = CAMPAIGN.config["phases"][wildcards.phase]
    quench = CAMPAIGN.config["heldout"]["quench"] if entry["kind"] == "glass" else 0
    return (
        f"{RESULTS}/{wildcards.material}/phases/{wildcards.phase}/start{quench}.extxyz"
    )


def frames_in(paths):
    if not paths:
        return 0
    from hopecho.io.extxyz import count_frames

    return sum(count_frames(path) for path in paths)


def label_set_size(label_set):
    """Largest number of frames that a set of labels can hold: fixes the number of batches."""
    learning, heldout = CAMPAIGN.config["learning"], CAMPAIGN.config["heldout"]
    n_phases = len(learning["phases"])
    if label_set == "heldout":
        return n_phases * heldout["runs"] * heldout["frames_per_run"]
    if label_set == "efg":
        return len(learning_runs()) * CAMPAIGN.config["efg"]["train_frames_per_run"]
    if label_set.endswith("audit"):
        return n_phases * learning["audit_per_phase"]
    if label_set == "al/0/candidates":
        return n_phases * learning["initial_per_phase"] + frames_in(INITIAL_FILES)
    return learning["select_per_round"]


def label_batches(wildcards):
    """The batch indices of a set of labels."""
    count = math.ceil(
        label_set_size(wildcards.label_set) / CAMPAIGN.config["labels"]["per_job"]
    )
    return [
        f"{RESULTS}/{wildcards.material}/{wildcards.label_set}/labels{b}.json"
        for b in range(count)
    ]


def accepted_round(material):
    """Walk through the rounds until one is accepted; each step waits for its checkpoint."""
    learning = CAMPAIGN.config["learning"]
    for round_ in range(1 if FOREIGN else learning["max_rounds"]):
        path = checkpoints.round_status.get(
            material=material, round=round_
        ).output.status
        status = read_status(path)
        if status["accepted"]:
            return round_
    # An unstable potential is never let into production.
    if learning["accept_unconverged"] and status["gate"]["accepted"]:
        return round_
    what, fix = (
        (f"the potential {FOREIGN} is not accurate or stable enough", "give another")
        if FOREIGN
        else (
            f"learning.max_rounds = {learning['max_rounds']} reached for {material} without convergence",
            "raise learning.max_rounds",
        )
    )
    raise WorkflowError(
        f"{what}:\n  "
        + "\n  ".join(f"{gate['name']}: {gate['text']}" for gate in status["unmet"])
        + f"\n{fix}, loosen the target that is named, or set"
        " learning.accept_unconverged: true (the report will say so)"
    )


def read_status(path):
    import json

    with open(path) as stream:
        return json.load(stream)


def accepted_potential(wildcards):
    """The accepted potential, once its checkpoint has run."""
    return checkpoints.accept_potential.get(material=wildcards.material).output.uf3


def start_settings(wildcards):
    keys = [
        "phases.{phase}.kind",
        "phases.{phase}.structure",
        "phases.{phase}.supercell",
    ]
    if CAMPAIGN.config["phases"][wildcards.phase]["kind"] == "glass":
        keys.append("phases.{phase}.build")
    return settings(
        "start",
        *keys,
        "materials.{material}.elements",
        "materials.{material}.masses_u",
        "materials.{material}.polyanion",
        phase=wildcards.phase,
        quench=int(wildcards.quench),
        surface=surface_identity() if len(keys) > 3 else None,
        seed=seed("start", "material", "phase", "quench"),
    )(wildcards)


def start_file(wildcards):
    """The file that a phase is read from: its own, or a crystal's that is shipped."""
    entry = CAMPAIGN.config["phases"][wildcards.phase]
    if entry["kind"] == "file":
        return [entry["structure"]]
    return [
        os.path.relpath(f"{BASEDIR}/resources/structures/{entry['structure']}.yaml")
    ]


def crystal_file(wildcards):
    """The list of sites of a crystal that is shipped; nothing for a glass or a file."""
    kind = CAMPAIGN.config["phases"][wildcards.phase].get("kind")
    return start_file(wildcards) if kind == "crystal" else []


def dataset_inputs(wildcards):
    """The labels of a round, and everything that the rounds before it were trained on."""
    material, round_ = f"{RESULTS}/{wildcards.material}", int(wildcards.round)
    new = [f"{material}/al/{round_}/candidates/labelled.extxyz"]
    if round_ == 0:
        return new
    before = f"{material}/al/{round_ - 1}"
    return [f"{before}/dataset.extxyz", f"{before}/audit/labelled.extxyz", *new]


def accepted_files(name):
    return lambda w: f"{RESULTS}/{w.material}/al/{accepted_round(w.material)}/{name}"


def training_data(name):
    """A file of the accepted fit; nothing knows what a potential made elsewhere was fitted to."""

    def wanted(wildcards):
        if FOREIGN:
            raise WorkflowError(
                f"potential.file is set: {FOREIGN} was not fitted here, so that this target has"
                "\nno training data; leave potential.file empty to fit a potential"
            )
        return accepted_files(name)(wildcards)

    return wanted


def md_settings(**extra):
    return settings(
        "production",
        "materials.{material}.elements",
        "materials.{material}.masses_u",
        "materials.{material}.polyanion",
        "materials.{material}.mobile",
        "md.dt_fs",
        "md.ensemble",
        "md.damping_ps",
        temperature_k=lambda w: int(w.temperature),
        replica=lambda w: int(w.replica),
        seed=seed(
            "production", "material", "phase", "quench", "temperature", "replica"
        ),
        **extra,
    )


def burst_settings(wildcards):
    return settings(
        "burst",
        "materials.{material}.elements",
        "materials.{material}.masses_u",
        "materials.{material}.polyanion",
        "materials.{material}.mobile",
        "md.dt_fs",
        "md.bursts.length_ps",
        "md.bursts.stride_fs",
        temperature_k=lambda w: int(w.temperature),
        replica=lambda w: int(w.replica),
        burst=lambda w: int(w.burst),
    )(wildcards)


def segment_start(wildcards):
    return start_state(wildcards, int(wildcards.segment))


def burst_start(wildcards):
    """A burst starts where the segment of the same number does."""
    return start_state(wildcards, int(wildcards.burst))


def start_state(wildcards, index):
    """The end of the segment before, or of the equilibration."""
    folder = run_file("").format(**dict(wildcards)).rstrip("/")
    return (
        f"{folder}/segment{index - 1}.restart"
        if index
        else f"{folder}/equilibrated.restart"
    )


def learning_status(wildcards):
    """Status and errors of every round up to the accepted one."""
    return [
        f"{RESULTS}/{m}/al/{r}/{name}.json"
        for m in LEARNED
        for r in range(accepted_round(m) + 1)
        for name in ("status", "errors", "fit")
    ]


def structure_reports(wildcards):
    return [
        f"{RESULTS}/{m}/phases/{p}/{name}.json"
        for m in LEARNED
        for p in own_plan.simulated(CAMPAIGN.config, m)
        for q in range(CAMPAIGN.config["phases"][p]["quenches"])
        for name in (f"start{q}", f"quench{q}/structure")
    ]


def validation_file(path):
    return material_file(f"validation/{{phase}}/{path}")


def validation_runs(phase):
    """(quench, replica) of every run of a side: round the quenches of a glass, then again."""
    quenches = CAMPAIGN.config["phases"][phase]["quenches"]
    return [
        (k % quenches, k // quenches)
        for k in range(CAMPAIGN.get("validation.replicas"))
    ]


def validation_files(side, name):
    """One kind of file of every run of a side, by quench and replica."""
    t = CAMPAIGN.get("validation.temperature_k")
    return lambda w: [
        f"{RESULTS}/{w.material}/validation/{w.phase}/{side}/quench{q}/{t}K/replica{r}/{name}"
        for q, r in sorted(validation_runs(w.phase))
    ]


def validation_results(suffix):
    return [
        f"{RESULTS}/{m}/validation/{p}{suffix}"
        for m in LEARNED
        for p in own_plan.simulated(CAMPAIGN.config, m)
    ]


def surface_only(paths):
    """Paths of the target, or why there can be none."""

    def wanted(wildcards):
        simulated_only(paths)(wildcards)
        source, v = CAMPAIGN.get("labels.source"), CAMPAIGN.config["validation"]
        if "model PES" not in source:
            raise WorkflowError(
                f"validation runs the surface of the labels itself, and labels.source is {source}:"
                f"\nit would need {v['replicas']} runs of {v['length_ps']:g} ps of each phase driven by"
                "\nthat code, which hopecho does not start; compare held-out errors"
                " (`snakemake potential`), or validate a campaign of the model surface"
            )
        echo = CAMPAIGN.config["correlation"]
        shortest = 4 * max(echo["t_min_ps"], 2 * v["echo_stride_ps"])
        shortest /= echo["max_lag_fraction"]
        if EFG and v["length_ps"] < shortest * (1 - 1e-9):
            raise WorkflowError(
                f"validation.length_ps = {v['length_ps']:g} leaves no lags to fit"
                f"\nset it to at least {shortest:g}, or lower correlation.t_min_ps"
            )
        return paths

    return wanted
