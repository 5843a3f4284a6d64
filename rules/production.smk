# Production MD: equilibration, then segments that continue one another. Lengths are counts of
# segments, never parameters, so that a longer run adds segments and computes none again.


rule equilibrate:
    input:
        structure=phase_file("quench{quench}/structure.extxyz"),
        potential=accepted_potential,
    output:
        restart=run_file("equilibrated.restart"),
        report=run_file("equilibrated.json"),
    log:
        log_file("equilibrate/{material}-{phase}-{quench}-{temperature}K-{replica}.log"),
    benchmark:
        cost_file(
            "equilibrate/{material}-{phase}-{quench}-{temperature}K-{replica}.tsv"
        )
    conda:
        ENV
    threads: MD_JOB["cpus"]
    resources:
        **MD_RESOURCES,
    params:
        settings=md_settings(equilibrate_ps=CAMPAIGN.get("md.equilibrate_ps")),
        scratch=scratch_folder(
            "{material}/{phase}/{quench}-{temperature}K-{replica}/equilibrate"
        ),
    shell:
        python("equilibrate") + f" --lammps {LAMMPS} --pair-style {PAIR_STYLE}"
        " --structure {input.structure:q}"
        " --potential {input.potential:q} --settings {params.settings:q}"
        " --scratch {params.scratch:q} --restart {output.restart:q} --report {output.report:q}"
        " --log {log:q}"


rule segment:
    input:
        structure=phase_file("quench{quench}/structure.extxyz"),
        potential=accepted_potential,
        restart=segment_start,
    output:
        h5md=run_file("segment{segment}.h5md"),
        restart=run_file("segment{segment}.restart"),
        report=run_file("segment{segment}.json"),
    log:
        log_file(
            "segment/{material}-{phase}-{quench}-{temperature}K-{replica}-{segment}.log"
        ),
    benchmark:
        cost_file(
            "segment/{material}-{phase}-{quench}-{temperature}K-{replica}-{segment}.tsv"
        )
    conda:
        ENV
    threads: MD_JOB["cpus"]
    resources:
        **MD_RESOURCES,
    params:
        settings=md_settings(
            segment_ps=CAMPAIGN.get("md.segment_ps"),
            chunks_per_segment=CAMPAIGN.get("md.chunks_per_segment"),
            stride_ps=CAMPAIGN.get("md.stride_ps"),
            segment=lambda w: int(w.segment),
        ),
        scratch=scratch_folder(
            "{material}/{phase}/{quench}-{temperature}K-{replica}/segment{segment}"
        ),
    shell:
        python("segment") + f" --lammps {LAMMPS} --pair-style {PAIR_STYLE}"
        f" --max-wall-min {MD_WALL_MIN}"
        " --structure {input.structure:q}"
        " --potential {input.potential:q} --start {input.restart:q}"
        " --settings {params.settings:q} --scratch {params.scratch:q} --h5md {output.h5md:q}"
        " --restart {output.restart:q} --report {output.report:q} --log {log:q}"


rule burst:
    input:
        structure=phase_file("quench{quench}/structure.extxyz"),
        potential=accepted_potential,
        restart=burst_start,
    output:
        h5md=run_file("burst{burst}.h5md"),
        report=run_file("burst{burst}.json"),
    log:
        log_file(
            "burst/{material}-{phase}-{quench}-{temperature}K-{replica}-{burst}.log"
        ),
    benchmark:
        cost_file(
            "burst/{material}-{phase}-{quench}-{temperature}K-{replica}-{burst}.tsv"
        )
    conda:
        ENV
    threads: MD_JOB["cpus"]
    resources:
        **MD_RESOURCES,
    params:
        settings=burst_settings,
        scratch=scratch_folder(
            "{material}/{phase}/{quench}-{temperature}K-{replica}/burst{burst}"
        ),
    shell:
        python("burst") + f" --lammps {LAMMPS} --pair-style {PAIR_STYLE}"
        " --structure {input.structure:q}"
        " --potential {input.potential:q} --start {input.restart:q}"
        " --settings {params.settings:q} --scratch {params.scratch:q} --h5md {output.h5md:q}"
        " --report {output.report:q} --log {log:q}"


rule step_test:
    input:
        structure=phase_file("quench0/structure.extxyz"),
        potential=accepted_potential,
        restart=phase_file("quench0/{temperature}K/replica0/equilibrated.restart"),
    output:
        report=phase_file("{temperature}K/step_test.json"),
    log:
        log_file("step_test/{material}-{phase}-{temperature}K.log"),
    benchmark:
        cost_file("step_test/{material}-{phase}-{temperature}K.tsv")
    conda:
        ENV
    threads: MD_JOB["cpus"]
    resources:
        **MD_RESOURCES,
    params:
        settings=settings(
            "step_test",
            "materials.{material}.elements",
            "md.step_test",
            temperature_k=lambda w: int(w.temperature),
        ),
        scratch=scratch_folder("{material}/{phase}/step_test-{temperature}K"),
    shell:
        python("step_test") + f" --lammps {LAMMPS} --pair-style {PAIR_STYLE}"
        " --structure {input.structure:q}"
        " --potential {input.potential:q} --start {input.restart:q}"
        " --settings {params.settings:q} --scratch {params.scratch:q}"
        " --report {output.report:q} --log {log:q}"
