# A Gaussian approximation potential on the labels of the accepted round, to compare with; no part of
# the default campaign: `snakemake gap`.


rule gap_comparison:
    input:
        dataset=training_data("dataset.extxyz"),
        fit=training_data("fit.json"),
        labelled=material_file("heldout/labelled.extxyz"),
        potential=accepted_potential,
        constants=material_file("potential/potential.json"),
        start=lambda w: f"{RESULTS}/{w.material}/phases/{CAMPAIGN.config['learning']['phases'][0]}/start0.extxyz",
        code=code("gap_comparison"),
    output:
        record=material_file("gap/gap.json"),
        curves=material_file("gap/gap.csv"),
    log:
        log_file("gap_comparison/{material}.log"),
    benchmark:
        cost_file("gap_comparison/{material}.tsv")
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
            "gap",
            seed=seed("gap", "material"),
        ),
        folder=scratch_folder("{material}/gap"),
    shell:
        python("gap_comparison")
        + " --dataset {input.dataset:q} --labelled {input.labelled:q}"
        " --potential {input.potential:q} --constants {input.constants:q} --fit {input.fit:q}"
        " --start {input.start:q} --settings {params.settings:q} --folder {params.folder:q}"
        " --record {output.record:q} --curves {output.curves:q} --log {log:q}"
