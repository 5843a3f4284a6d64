# Production MD: equilibration, then segments that continue one another. Lengths are counts of
# segments, never parameters, so that a longer run adds segments and computes none again.


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
        "md.lammps.command",
        temperature_k=lambda w: int(w.temperature),
        replica=lambda w: int(w.replica),
        seed=seed(
            "production", "material", "phase", "quench", "temperature", "replica"
        ),
        **extra,
    )


rule equilibrate:
    input:
        structure=PHASE + "/quench{quench}/structure.extxyz",
        potential=accepted_potential,
    output:
        restart=RUN + "/equilibrated.restart",
        report=RUN + "/equilibrated.json",
    log:
        LOGS + "/equilibrate/{material}-{phase}-{quench}-{temperature}K-{replica}.log",
    benchmark:
        COST + "/equilibrate/{material}-{phase}-{quench}-{temperature}K-{replica}.tsv"
    conda:
        ENV
    params:
        settings=md_settings(equilibrate_ps=CAMPAIGN.get("md.equilibrate_ps")),
        scratch=SCRATCH
        + "/{material}/{phase}/{quench}-{temperature}K-{replica}/equilibrate",
    shell:
        "python {SCRIPTS}/equilibrate.py --structure {input.structure:q}"
        " --potential {input.potential:q} --settings {params.settings:q}"
        " --scratch {params.scratch:q} --restart {output.restart:q} --report {output.report:q}"
        " --log {log:q}"


def segment_start(wildcards):
    """The end of the segment before, or of the equilibration."""
    folder = RUN.format(**dict(wildcards))
    index = int(wildcards.segment)
    return (
        f"{folder}/segment{index - 1}.restart"
        if index
        else f"{folder}/equilibrated.restart"
    )


rule segment:
    input:
        structure=PHASE + "/quench{quench}/structure.extxyz",
        potential=accepted_potential,
        restart=segment_start,
    output:
        h5md=RUN + "/segment{segment}.h5md",
        restart=RUN + "/segment{segment}.restart",
        report=RUN + "/segment{segment}.json",
    log:
        LOGS
        + "/segment/{material}-{phase}-{quench}-{temperature}K-{replica}-{segment}.log",
    benchmark:
        COST
        + "/segment/{material}-{phase}-{quench}-{temperature}K-{replica}-{segment}.tsv"
    conda:
        ENV
    params:
        settings=md_settings(
            segment_ps=CAMPAIGN.get("md.segment_ps"),
            chunks_per_segment=CAMPAIGN.get("md.chunks_per_segment"),
            stride_ps=CAMPAIGN.get("md.stride_ps"),
            max_sigma_temperature=CAMPAIGN.get("md.max_sigma_temperature"),
            segment=lambda w: int(w.segment),
        ),
        scratch=SCRATCH
        + "/{material}/{phase}/{quench}-{temperature}K-{replica}/segment{segment}",
    shell:
        "python {SCRIPTS}/segment.py --structure {input.structure:q}"
        " --potential {input.potential:q} --start {input.restart:q}"
        " --settings {params.settings:q} --scratch {params.scratch:q} --h5md {output.h5md:q}"
        " --restart {output.restart:q} --report {output.report:q} --log {log:q}"
