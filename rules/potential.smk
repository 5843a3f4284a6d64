# The fit of a round, the accepted potential, and its errors on frames that nothing has seen.


POTENTIAL_KEYS = [
    *(f"potential.{name}" for name in (*BASIS, *PENALTIES)),
    "potential.weight_energy",
    "potential.weight_force",
    "potential.weight_stress",
    "materials.{material}.elements",
]


rule grid_candidate:
    input:
        dataset=material_file("al/0/dataset.extxyz"),
    output:
        result=material_file("grid/{candidate}.json"),
    log:
        log_file("grid_candidate/{material}-{candidate}.log"),
    benchmark:
        cost_file("grid_candidate/{material}-{candidate}.tsv")
    conda:
        ENV
    params:
        settings=settings(
            "fit",
            *POTENTIAL_KEYS,
            "potential.grid_folds",
            basis=lambda w: GRID_BASES[int(w.candidate)],
            penalties=penalties(CAMPAIGN.get("potential.grid")),
        ),
    shell:
        python("grid_candidate") + " --dataset {input.dataset:q}"
        " --settings {params.settings:q} --result {output.result:q} --log {log:q}"


rule grid_choice:
    input:
        candidates=[
            material_file(f"grid/{number}.json") for number in range(len(GRID_BASES))
        ],
    output:
        grid=material_file("grid/grid.json"),
    log:
        log_file("grid_choice/{material}.log"),
    conda:
        ENV
    shell:
        python("grid") + " --candidates {input.candidates:q} --grid {output.grid:q}"
        " --log {log:q}"


if FOREIGN:

    rule import_potential:
        input:
            potential=FOREIGN,
            dataset=material_file("al/0/dataset.extxyz"),
        output:
            uf3=material_file("al/0/potential.uf3"),
            constants=material_file("al/0/potential.json"),
            report=material_file("al/0/fit.json"),
        log:
            log_file("import_potential/{material}.log"),
        conda:
            ENV
        params:
            settings=settings("fit", "materials.{material}.elements"),
        shell:
            python("import_potential")
            + " --potential {input.potential:q} --dataset {input.dataset:q}"
            " --settings {params.settings:q} --uf3 {output.uf3:q}"
            " --constants {output.constants:q} --report {output.report:q} --log {log:q}"

    ruleorder: import_potential > fit_potential


rule fit_potential:
    input:
        dataset=round_file("dataset.extxyz"),
        grid=material_file("grid/grid.json") if CAMPAIGN.get("potential.grid") else [],
    output:
        uf3=round_file("potential.uf3"),
        constants=round_file("potential.json"),
        leverage=round_file("leverage.npz"),
        report=round_file("fit.json"),
    log:
        log_file("fit_potential/{material}-{round}.log"),
    benchmark:
        cost_file("fit_potential/{material}-{round}.tsv")
    conda:
        ENV
    params:
        settings=settings("fit", *POTENTIAL_KEYS, "potential.screen"),
    shell:
        python("fit_potential") + " --dataset {input.dataset:q} --grid {input.grid:q}"
        " --settings {params.settings:q} --uf3 {output.uf3:q} --constants {output.constants:q}"
        " --leverage {output.leverage:q} --report {output.report:q} --log {log:q}"


checkpoint accept_potential:
    input:
        uf3=accepted_files("potential.uf3"),
        constants=accepted_files("potential.json"),
    output:
        uf3=material_file("potential/potential.uf3"),
        constants=material_file("potential/potential.json"),
    log:
        log_file("accept_potential/{material}.log"),
    conda:
        ENV
    shell:
        "cp {input.uf3:q} {output.uf3:q} && cp {input.constants:q} {output.constants:q}"


rule heldout_md:
    input:
        start=heldout_start,
        potential=accepted_potential,
    output:
        frames=material_file("heldout/md/{phase}/run{seed}.extxyz"),
        report=material_file("heldout/md/{phase}/run{seed}.json"),
    log:
        log_file("heldout_md/{material}-{phase}-{seed}.log"),
    benchmark:
        cost_file("heldout_md/{material}-{phase}-{seed}.tsv")
    conda:
        ENV
    threads: MD_JOB["cpus"]
    resources:
        **MD_RESOURCES,
    params:
        settings=settings(
            "sampling",
            "heldout.md_ps",
            "heldout.temperature_k",
            "learning.dt_fs",
            "materials.{material}.elements",
            "materials.{material}.masses_u",
            "materials.{material}.polyanion",
            phase=lambda w: w.phase,
            must_survive=True,
            # The first half of a run is equilibration; the frames come from the second.
            stride_ps=CAMPAIGN.get("heldout.md_ps")
            / 2
            / CAMPAIGN.get("heldout.frames_per_run"),
            seed=seed("heldout", "material", "phase", "seed"),
            trajectory=lambda w: f"heldout-{w.phase}-run{w.seed}",
        ),
        scratch=scratch_folder("{material}/heldout/{phase}-{seed}"),
    shell:
        python("sampling_md") + f" --lammps {LAMMPS} --pair-style {PAIR_STYLE}"
        " --start {input.start:q} --potential {input.potential:q}"
        " --settings {params.settings:q} --scratch {params.scratch:q} --frames {output.frames:q}"
        " --report {output.report:q} --log {log:q}"


rule heldout_frames:
    input:
        runs=lambda w: [
            f"{RESULTS}/{w.material}/heldout/md/{p}/run{k}.extxyz"
            for p in CAMPAIGN.config["learning"]["phases"]
            for k in range(CAMPAIGN.config["heldout"]["runs"])
        ],
    output:
        frames=material_file("heldout/frames.extxyz"),
    log:
        log_file("heldout_frames/{material}.log"),
    conda:
        ENV
    params:
        settings=settings("select", "heldout.frames_per_run"),
    shell:
        python("last_frames") + " --runs {input.runs:q} --settings {params.settings:q}"
        " --frames {output.frames:q} --log {log:q}"


rule heldout_errors:
    input:
        potential=accepted_potential,
        constants=material_file("potential/potential.json"),
        model=material_file("efg/model.npz") if EFG else [],
        labelled=material_file("heldout/labelled.extxyz"),
        # Nothing knows what a potential made elsewhere was fitted to.
        leverage=[] if FOREIGN else accepted_files("leverage.npz"),
        audit=accepted_files("audit/labelled.extxyz"),
        code=code("heldout_errors"),
    output:
        errors=material_file("heldout/errors.json"),
        tensors=material_file("heldout/parity.npz"),
    log:
        log_file("heldout_errors/{material}.log"),
    benchmark:
        cost_file("heldout_errors/{material}.tsv")
    conda:
        ENV
    params:
        settings=settings(
            None,
            "materials.{material}.mobile",
            "materials.{material}.isotope",
            "materials.{material}.polyanion.ligand",
            "labels.source",
            seed=seed("heldout", "material"),
        ),
    shell:
        python("heldout_errors") + " --potential {input.potential:q}"
        " --constants {input.constants:q} --model {input.model:q} --labelled {input.labelled:q}"
        " --leverage {input.leverage:q} --audit {input.audit:q}"
        " --settings {params.settings:q} --errors {output.errors:q} --tensors {output.tensors:q}"
        " --log {log:q}"


rule learning_curve:
    input:
        dataset=training_data("dataset.extxyz"),
        fit=training_data("fit.json"),
        labelled=material_file("heldout/labelled.extxyz"),
        code=code("learning_curve"),
    output:
        table=material_file("heldout/learning_curve.csv"),
    log:
        log_file("learning_curve/{material}.log"),
    benchmark:
        cost_file("learning_curve/{material}.tsv")
    conda:
        ENV
    params:
        settings=settings(
            None,
            "potential.weight_energy",
            "potential.weight_force",
            "potential.weight_stress",
            "materials.{material}.elements",
            "labels.source",
            seed=seed("learning_curve", "material"),
        ),
    shell:
        python("learning_curve") + " --dataset {input.dataset:q} --fit {input.fit:q}"
        " --labelled {input.labelled:q} --settings {params.settings:q} --table {output.table:q}"
        " --log {log:q}"


rule extrapolation:
    input:
        leverage=training_data("leverage.npz"),
        dataset=training_data("dataset.extxyz"),
        errors=material_file("heldout/errors.json"),
        h5md=lambda w: phase_files(
            w.material, w.phase, w.temperature, "segment", ".h5md"
        ),
        code=code("extrapolation"),
    output:
        table=phase_file("{temperature}K/extrapolation.csv"),
        record=phase_file("{temperature}K/extrapolation.json"),
    log:
        log_file("extrapolation/{material}-{phase}-{temperature}K.log"),
    benchmark:
        cost_file("extrapolation/{material}-{phase}-{temperature}K.tsv")
    conda:
        ENV
    params:
        settings=settings(None, "potential.watch_stride_ps", "labels.source"),
    shell:
        python("extrapolation")
        + " --leverage {input.leverage:q} --dataset {input.dataset:q}"
        " --errors {input.errors:q} --h5md {input.h5md:q} --settings {params.settings:q}"
        " --table {output.table:q} --record {output.record:q} --log {log:q}"
