# Starting structures, and the structures that production runs from.


rule start_structure:
    input:
        start_file,
    output:
        structure=phase_file("start{quench}.extxyz"),
        report=phase_file("start{quench}.json"),
    log:
        log_file("start_structure/{material}-{phase}-{quench}.log"),
    benchmark:
        cost_file("start_structure/{material}-{phase}-{quench}.tsv")
    conda:
        ENV
    params:
        settings=start_settings,
        scratch=scratch_folder("{material}/{phase}/start{quench}"),
    shell:
        python("start_structure") + f" --lammps {LAMMPS}"
        " --settings {params.settings:q}"
        " --scratch {params.scratch:q} --structure {output.structure:q}"
        " --report {output.report:q} --log {log:q}"


rule structure:
    input:
        start=phase_file("start{quench}.extxyz"),
        potential=accepted_potential,
    output:
        structure=phase_file("quench{quench}/structure.extxyz"),
        report=phase_file("quench{quench}/structure.json"),
    log:
        log_file("structure/{material}-{phase}-{quench}.log"),
    benchmark:
        cost_file("structure/{material}-{phase}-{quench}.tsv")
    conda:
        ENV
    threads: MD_JOB["cpus"]
    resources:
        **MD_RESOURCES,
    params:
        settings=settings(
            "structure",
            "materials.{material}.elements",
            "materials.{material}.masses_u",
            "materials.{material}.polyanion",
            "md.equilibrate_ps",
            "md.dt_fs",
            "md.damping_ps",
            temperature_k=CAMPAIGN.get("md.structure_temperature_k"),
            seed=seed("structure", "material", "phase", "quench"),
        ),
        scratch=scratch_folder("{material}/{phase}/structure{quench}"),
    shell:
        python("structure") + f" --lammps {LAMMPS} --pair-style {PAIR_STYLE}"
        " --start {input.start:q} --potential {input.potential:q}"
        " --settings {params.settings:q} --scratch {params.scratch:q}"
        " --structure {output.structure:q} --report {output.report:q} --log {log:q}"
