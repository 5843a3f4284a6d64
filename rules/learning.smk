# Rounds of active learning. Round r: dataset -> potential -> MD of every phase and temperature with
# several seeds -> random frames are labelled (the audit) -> errors -> status. If the status is not
# "converged", the MD frames of round r feed the candidates of round r + 1.


rule initial_frames:
    input:
        starts=lambda w: [
            f"{RESULTS}/{w.material}/phases/{p}/start{q}.extxyz"
            for p in CAMPAIGN.config["learning"]["phases"]
            for q in range(learning_quenches(p))
        ],
        datasets=INITIAL_FILES,
    output:
        frames=material_file("al/0/candidates/frames.extxyz"),
    log:
        log_file("initial_frames/{material}.log"),
    conda:
        ENV
    params:
        settings=settings(
            "select",
            "learning.phases",
            "learning.initial_files",
            "learning.initial_per_phase",
            "learning.rattle_angstrom",
            "learning.strain",
            "learning.heldout_every",
            *IMPORTED,
            seed=seed("initial", "material"),
        ),
    shell:
        python("initial_frames") + " --starts {input.starts:q}"
        " --settings {params.settings:q} --frames {output.frames:q} --log {log:q}"


rule sampling_md:
    input:
        start=start_of,
        potential=round_file("potential.uf3"),
    output:
        frames=round_file("md/{phase}/{temperature}K/seed{seed}.extxyz"),
        report=round_file("md/{phase}/{temperature}K/seed{seed}.json"),
    log:
        log_file("sampling_md/{material}-{round}-{phase}-{temperature}K-{seed}.log"),
    benchmark:
        cost_file("sampling_md/{material}-{round}-{phase}-{temperature}K-{seed}.tsv")
    conda:
        ENV
    threads: MD_JOB["cpus"]
    resources:
        **MD_RESOURCES,
    params:
        settings=settings(
            "sampling",
            "learning.md_ps",
            "learning.stride_ps",
            "learning.dt_fs",
            "materials.{material}.elements",
            "materials.{material}.masses_u",
            "materials.{material}.polyanion",
            phase=lambda w: w.phase,
            temperature_k=lambda w: int(w.temperature),
            seed=seed("sampling", "material", "round", "phase", "temperature", "seed"),
            trajectory=lambda w: f"al{w.round}-{w.phase}-{w.temperature}K-seed{w.seed}",
        ),
        scratch=scratch_folder("{material}/al{round}/{phase}-{temperature}K-{seed}"),
    shell:
        python("sampling_md") + f" --lammps {LAMMPS} --pair-style {PAIR_STYLE}"
        " --start {input.start:q} --potential {input.potential:q}"
        " --settings {params.settings:q} --scratch {params.scratch:q} --frames {output.frames:q}"
        " --report {output.report:q} --log {log:q}"


rule audit_frames:
    input:
        runs=lambda w: learning_files(w.material, w.round, ".extxyz"),
    output:
        frames=round_file("audit/frames.extxyz"),
    log:
        log_file("audit_frames/{material}-{round}.log"),
    conda:
        ENV
    params:
        settings=settings(
            "select",
            "learning.audit_per_phase",
            "learning.min_distance_angstrom",
            seed=seed("audit", "material", "round"),
        ),
    shell:
        python("audit_frames")
        + " --runs {input.runs:q} --settings {params.settings:q}"
        " --frames {output.frames:q} --log {log:q}"


rule select:
    input:
        runs=lambda w: learning_files(w.material, int(w.round) - 1, ".extxyz"),
        dataset=lambda w: f"{RESULTS}/{w.material}/al/{int(w.round) - 1}/dataset.extxyz",
        audit=lambda w: f"{RESULTS}/{w.material}/al/{int(w.round) - 1}/audit/labelled.extxyz",
    output:
        frames=round_file("candidates/frames.extxyz"),
        report=round_file("candidates/selection.json"),
    log:
        log_file("select/{material}-{round}.log"),
    benchmark:
        cost_file("select/{material}-{round}.tsv")
    wildcard_constraints:
        round=r"[1-9]\d*",
    conda:
        ENV
    params:
        settings=settings(
            "select",
            "learning.select_per_round",
            "learning.strategy",
            "learning.duplicate_distance",
            "learning.min_distance_angstrom",
            seed=seed("select", "material", "round"),
        ),
    shell:
        python("select_frames") + " --runs {input.runs:q} --dataset {input.dataset:q}"
        " --audit {input.audit:q} --settings {params.settings:q} --frames {output.frames:q}"
        " --report {output.report:q} --log {log:q}"


rule dataset:
    input:
        labelled=dataset_inputs,
        withheld=lambda w: (
            [f"{RESULTS}/{w.material}/al/{int(w.round) - 1}/withheld.extxyz"]
            if int(w.round)
            else []
        ),
    output:
        dataset=round_file("dataset.extxyz"),
        withheld=round_file("withheld.extxyz"),
    log:
        log_file("dataset/{material}-{round}.log"),
    conda:
        ENV
    shell:
        python("dataset")
        + " --labelled {input.labelled:q} --before {input.withheld:q}"
        " --dataset {output.dataset:q} --withheld {output.withheld:q} --log {log:q}"


rule round_errors:
    input:
        potential=round_file("potential.uf3"),
        constants=round_file("potential.json"),
        dataset=round_file("dataset.extxyz"),
        withheld=round_file("withheld.extxyz"),
        audit=round_file("audit/labelled.extxyz"),
    output:
        errors=round_file("errors.json"),
    log:
        log_file("round_errors/{material}-{round}.log"),
    benchmark:
        cost_file("round_errors/{material}-{round}.tsv")
    conda:
        ENV
    shell:
        python("round_errors") + " --potential {input.potential:q}"
        " --constants {input.constants:q} --dataset {input.dataset:q}"
        " --withheld {input.withheld:q} --audit {input.audit:q} --errors {output.errors:q}"
        " --log {log:q}"


checkpoint round_status:
    input:
        errors=lambda w: [
            f"{RESULTS}/{w.material}/al/{r}/errors.json"
            for r in range(int(w.round) + 1)
        ],
        runs=lambda w: learning_files(w.material, w.round, ".json"),
    output:
        status=round_file("status.json"),
    log:
        log_file("round_status/{material}-{round}.log"),
    conda:
        ENV
    params:
        settings=settings(
            "select",
            "learning.target_force_ratio",
            "learning.target_energy_ev_atom",
            "learning.max_relative_change",
            "learning.max_noise",
            *([] if FOREIGN else ["learning.settled_rounds"]),
            "learning.min_distance_angstrom",
            "learning.max_temperature_sigma",
            "learning.max_drift_ev_atom_ps",
            seed=seed("status", "material", "round"),
        ),
    shell:
        python("round_status") + " --errors {input.errors:q} --runs {input.runs:q}"
        " --settings {params.settings:q} --status {output.status:q} --log {log:q}"
