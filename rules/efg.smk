# The model of the electric field gradient: training frames from the MD that accepted the potential
# (never from production), fit, and inference over every production snapshot.


EFG_KEYS = [
    *(f"efg.{name}" for name in (*EXPANSION, "model", "zeta", "inducing", "folds")),
    "materials.{material}.elements",
    "materials.{material}.mobile",
]


rule efg_frames:
    input:
        runs=lambda w: learning_files(w.material, accepted_round(w.material), ".extxyz"),
    output:
        frames=material_file("efg/frames.extxyz"),
    log:
        log_file("efg_frames/{material}.log"),
    conda:
        ENV
    params:
        settings=settings(
            "select",
            "learning.min_distance_angstrom",
            frames_per_run=CAMPAIGN.get("efg.train_frames_per_run"),
        ),
    shell:
        python("last_frames") + " --runs {input.runs:q} --settings {params.settings:q}"
        " --frames {output.frames:q} --log {log:q}"


rule efg_candidate:
    input:
        frames=material_file("efg/labelled.extxyz"),
        dataset=accepted_files("dataset.extxyz"),
        code=code("efg_candidate"),
    output:
        result=material_file("efg/grid/{candidate}.json"),
    log:
        log_file("efg_candidate/{material}-{candidate}.log"),
    benchmark:
        cost_file("efg_candidate/{material}-{candidate}.tsv")
    conda:
        ENV
    params:
        settings=settings(None, *EFG_KEYS, basis=lambda w: EFG_BASES[int(w.candidate)]),
    shell:
        python("efg_candidate")
        + " --frames {input.frames:q} --dataset {input.dataset:q}"
        " --settings {params.settings:q} --result {output.result:q} --log {log:q}"


rule efg_choice:
    input:
        candidates=[
            material_file(f"efg/grid/{number}.json")
            for number in range(len(EFG_BASES))
        ],
    output:
        grid=material_file("efg/grid/grid.json"),
    log:
        log_file("efg_choice/{material}.log"),
    conda:
        ENV
    shell:
        python("grid") + " --candidates {input.candidates:q} --grid {output.grid:q}"
        " --log {log:q}"


rule fit_efg:
    input:
        frames=material_file("efg/labelled.extxyz"),
        dataset=accepted_files("dataset.extxyz"),
        grid=material_file("efg/grid/grid.json") if CAMPAIGN.get("efg.grid") else [],
        code=code("fit_efg"),
    output:
        model=material_file("efg/model.npz"),
        report=material_file("efg/fit.json"),
    log:
        log_file("fit_efg/{material}.log"),
    benchmark:
        cost_file("fit_efg/{material}.tsv")
    conda:
        ENV
    params:
        settings=settings(
            None,
            *EFG_KEYS,
            "materials.{material}.isotope",
            "labels.source",
            seed=seed("efg", "material"),
        ),
    shell:
        python("fit_efg") + " --frames {input.frames:q} --dataset {input.dataset:q}"
        " --grid {input.grid:q} --settings {params.settings:q} --model {output.model:q}"
        " --report {output.report:q} --log {log:q}"


rule efg_learning_curve:
    input:
        frames=material_file("efg/labelled.extxyz"),
        dataset=accepted_files("dataset.extxyz"),
        fit=material_file("efg/fit.json"),
        labelled=material_file("heldout/labelled.extxyz"),
        code=code("efg_learning_curve"),
    output:
        table=material_file("heldout/efg_learning_curve.csv"),
    log:
        log_file("efg_learning_curve/{material}.log"),
    benchmark:
        cost_file("efg_learning_curve/{material}.tsv")
    conda:
        ENV
    params:
        settings=settings(
            None,
            "efg.cutoff_angstrom",
            "efg.n_radial",
            "efg.l_max",
            "efg.sigma_angstrom",
            "efg.folds",
            "materials.{material}.mobile",
            "materials.{material}.isotope",
            "labels.source",
            seed=seed("efg_learning_curve", "material"),
        ),
    shell:
        python("efg_learning_curve")
        + " --frames {input.frames:q} --dataset {input.dataset:q}"
        " --fit {input.fit:q} --labelled {input.labelled:q}"
        " --settings {params.settings:q} --table {output.table:q} --log {log:q}"


rule predict_efg:
    input:
        model=material_file("efg/model.npz"),
        h5md=run_file("segment{segment}.h5md"),
        code=code("predict_efg"),
    output:
        efg=run_file("efg{segment}.h5"),
        report=run_file("efg{segment}.json"),
    log:
        log_file(
            "predict_efg/{material}-{phase}-{quench}-{temperature}K-{replica}-{segment}.log"
        ),
    benchmark:
        cost_file(
            "predict_efg/{material}-{phase}-{quench}-{temperature}K-{replica}-{segment}.tsv"
        )
    conda:
        ENV
    params:
        settings=settings(
            None,
            "materials.{material}.isotope",
            source=tensor_origin,
            phase=lambda w: w.phase,
            temperature_k=lambda w: int(w.temperature),
        ),
    shell:
        python("predict_efg") + " --model {input.model:q} --h5md {input.h5md:q}"
        " --settings {params.settings:q} --efg {output.efg:q} --report {output.report:q}"
        " --log {log:q}"
