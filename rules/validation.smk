# The potential and the EFG model against the surface that made their labels, from the same starts;
# no part of the default campaign: `snakemake validation`.


rule validation_run:
    input:
        structure=phase_file("quench{quench}/structure.extxyz"),
        potential=lambda w: accepted_potential(w) if w.side == "ufp" else [],
    output:
        h5md=validation_file(
            "{side}/quench{quench}/{temperature}K/replica{replica}/segment0.h5md"
        ),
        burst=validation_file(
            "{side}/quench{quench}/{temperature}K/replica{replica}/burst0.h5md"
        ),
        report=validation_file(
            "{side}/quench{quench}/{temperature}K/replica{replica}/run.json"
        ),
    log:
        log_file(
            "validation_run/{material}-{phase}-{side}-{quench}-{temperature}K-{replica}.log"
        ),
    benchmark:
        cost_file(
            "validation_run/{material}-{phase}-{side}-{quench}-{temperature}K-{replica}.tsv"
        )
    wildcard_constraints:
        side="ufp|reference",
    conda:
        ENV
    threads: MD_JOB["cpus"]
    resources:
        **MD_RESOURCES,
    params:
        settings=settings(
            "validation",
            "materials.{material}.elements",
            "materials.{material}.masses_u",
            "materials.{material}.polyanion",
            "materials.{material}.mobile",
            "md.dt_fs",
            "md.ensemble",
            "md.damping_ps",
            "md.equilibrate_ps",
            "md.bursts.stride_fs",
            "validation.length_ps",
            "validation.stride_ps",
            "validation.burst_ps",
            temperature_k=lambda w: int(w.temperature),
            replica=lambda w: int(w.replica),
            surface=lambda w: surface_identity() if w.side == "reference" else None,
            seed=seed(
                "validation",
                "material",
                "phase",
                "side",
                "quench",
                "temperature",
                "replica",
            ),
        ),
        scratch=scratch_folder(
            "{material}/{phase}/validation-{side}-{quench}-{temperature}K-{replica}"
        ),
    shell:
        python("validation_run") + f" --lammps {LAMMPS} --pair-style {PAIR_STYLE}"
        " --structure {input.structure:q} --potential {input.potential:q}"
        " --settings {params.settings:q} --scratch {params.scratch:q}"
        " --h5md {output.h5md:q} --burst {output.burst:q} --report {output.report:q} --log {log:q}"


rule validation_tensors:
    input:
        h5md=validation_file(
            "{side}/quench{quench}/{temperature}K/replica{replica}/segment0.h5md"
        ),
        model=lambda w: (
            f"{RESULTS}/{w.material}/efg/model.npz" if w.kind == "efg" else []
        ),
        code=code("validation_tensors"),
    output:
        efg=validation_file(
            "{side}/quench{quench}/{temperature}K/replica{replica}/{kind}0.h5"
        ),
    log:
        log_file(
            "validation_tensors/{material}-{phase}-{side}-{quench}-{temperature}K-{replica}-{kind}.log"
        ),
    benchmark:
        cost_file(
            "validation_tensors/{material}-{phase}-{side}-{quench}-{temperature}K-{replica}-{kind}.tsv"
        )
    wildcard_constraints:
        side="ufp|reference",
        kind="efg|exact",
    conda:
        ENV
    params:
        settings=settings(
            None,
            "materials.{material}.mobile",
            "validation.stride_ps",
            "validation.echo_stride_ps",
            "labels.source",
        ),
    shell:
        python("validation_tensors") + " --h5md {input.h5md:q} --model {input.model:q}"
        " --settings {params.settings:q} --efg {output.efg:q} --log {log:q}"


rule validation_phase:
    input:
        ufp=validation_files("ufp", "segment0.h5md"),
        reference=validation_files("reference", "segment0.h5md"),
        ufp_bursts=validation_files("ufp", "burst0.h5md"),
        reference_bursts=validation_files("reference", "burst0.h5md"),
        ufp_model=validation_files("ufp", "efg0.h5") if EFG else [],
        ufp_exact=validation_files("ufp", "exact0.h5") if EFG else [],
        reference_exact=validation_files("reference", "exact0.h5") if EFG else [],
        reports=lambda w: [
            path
            for side in ("ufp", "reference")
            for path in validation_files(side, "run.json")(w)
        ],
        code=code("validation_phase"),
    output:
        record=material_file("validation/{phase}.json"),
        curves=material_file("validation/{phase}.csv"),
    log:
        log_file("validation_phase/{material}-{phase}.log"),
    benchmark:
        cost_file("validation_phase/{material}-{phase}.tsv")
    conda:
        ENV
    params:
        settings=settings(
            None,
            "materials.{material}.mobile",
            "materials.{material}.oxidation",
            "materials.{material}.polyanion",
            "materials.{material}.masses_u",
            "materials.{material}.isotope",
            "validation.temperature_k",
            "correlation.t_min_ps",
            "correlation.max_lag_fraction",
            "correlation.stretch",
            "correlation.bootstrap",
            "correlation.echo_tp_us",
            "correlation.echo_dead_time_us",
            "labels.source",
            msd_lag_fraction=CAMPAIGN.get("transport.max_lag_fraction"),
            seed=seed("validation", "material", "phase"),
        ),
    shell:
        python("validation_phase")
        + " --ufp {input.ufp:q} --reference {input.reference:q}"
        " --ufp-bursts {input.ufp_bursts:q} --reference-bursts {input.reference_bursts:q}"
        " --ufp-model {input.ufp_model:q} --ufp-exact {input.ufp_exact:q}"
        " --reference-exact {input.reference_exact:q} --reports {input.reports:q}"
        " --settings {params.settings:q} --record {output.record:q} --curves {output.curves:q}"
        " --log {log:q}"


rule validation_page:
    input:
        records=validation_results(".json"),
        curves=validation_results(".csv"),
        code=code("validation_page"),
    output:
        page=report(
            f"{RESULTS}/validation.html",
            caption="../report/validation.rst",
            category="Report",
        ),
    log:
        log_file("validation_page.log"),
    conda:
        ENV
    params:
        results=lambda w, output: os.path.dirname(output[0]),
    shell:
        python("validation_page")
        + " --results {params.results:q} --records {input.records:q} --page {output.page:q}"
        " --log {log:q}"
