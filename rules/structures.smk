# Starting structures, and the structures that production runs from.


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
        "md.lammps.command",
        phase=wildcards.phase,
        quench=int(wildcards.quench),
        seed=seed("start", "material", "phase", "quench"),
    )(wildcards)


def start_file(wildcards):
    """The file that a phase of kind `file` is read from."""
    entry = CAMPAIGN.config["phases"][wildcards.phase]
    return [entry["structure"]] if entry["kind"] == "file" else []


rule start_structure:
    input:
        start_file,
    output:
        structure=PHASE + "/start{quench}.extxyz",
        report=PHASE + "/start{quench}.json",
    log:
        LOGS + "/start_structure/{material}-{phase}-{quench}.log",
    benchmark:
        COST + "/start_structure/{material}-{phase}-{quench}.tsv"
    conda:
        ENV
    params:
        settings=start_settings,
        scratch=SCRATCH + "/{material}/{phase}/start{quench}",
    shell:
        "python {SCRIPTS}/start_structure.py --settings {params.settings:q}"
        " --scratch {params.scratch:q} --structure {output.structure:q}"
        " --report {output.report:q} --log {log:q}"


rule structure:
    input:
        start=PHASE + "/start{quench}.extxyz",
        potential=accepted_potential,
    output:
        structure=PHASE + "/quench{quench}/structure.extxyz",
        report=PHASE + "/quench{quench}/structure.json",
    log:
        LOGS + "/structure/{material}-{phase}-{quench}.log",
    benchmark:
        COST + "/structure/{material}-{phase}-{quench}.tsv"
    conda:
        ENV
    params:
        settings=settings(
            "structure",
            "materials.{material}.elements",
            "materials.{material}.masses_u",
            "materials.{material}.polyanion",
            "md.equilibrate_ps",
            "md.dt_fs",
            "md.damping_ps",
            "md.lammps.command",
            temperature_k=lambda w: CAMPAIGN.config["md"]["temperatures_k"][0],
            seed=seed("structure", "material", "phase", "quench"),
        ),
        scratch=SCRATCH + "/{material}/{phase}/structure{quench}",
    shell:
        "python {SCRIPTS}/structure.py --start {input.start:q} --potential {input.potential:q}"
        " --settings {params.settings:q} --scratch {params.scratch:q}"
        " --structure {output.structure:q} --report {output.report:q} --log {log:q}"
