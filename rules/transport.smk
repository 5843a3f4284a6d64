# Mobility and conductivity from the unwrapped positions, their temperature series, and what the
# bursts of velocities say.


rule transport_analysis:
    input:
        h5md=lambda w: phase_files(
            w.material, w.phase, w.temperature, "segment", ".h5md"
        ),
        own=own_record,
        code=code("transport"),
    output:
        msd=phase_file("{temperature}K/msd.csv"),
        msd_json=phase_file("{temperature}K/msd.json"),
        conductivity=phase_file("{temperature}K/conductivity.json"),
        collective=phase_file("{temperature}K/conductivity.csv"),
        hops=phase_file("{temperature}K/hops.json"),
        rdf=phase_file("{temperature}K/rdf.csv"),
        van_hove=phase_file("{temperature}K/van_hove.csv"),
        runs=phase_file("{temperature}K/conductivity_runs.csv"),
        ions=phase_file("{temperature}K/msd_ions.csv"),
    log:
        log_file("transport/{material}-{phase}-{temperature}K.log"),
    benchmark:
        cost_file("transport/{material}-{phase}-{temperature}K.tsv")
    conda:
        ENV
    params:
        settings=settings(
            None,
            "transport.max_lag_fraction",
            "transport.hop_distance_angstrom",
            "transport.hop_window_ps",
            "materials.{material}.mobile",
            "materials.{material}.oxidation",
            source=origin,
            temperature_k=lambda w: int(w.temperature),
            seed=seed("transport", "material", "phase", "temperature"),
        ),
    shell:
        python("transport") + " --h5md {input.h5md:q}"
        " --settings {params.settings:q} --msd {output.msd:q} --msd-json {output.msd_json:q}"
        " --conductivity {output.conductivity:q} --collective {output.collective:q}"
        " --hops {output.hops:q} --rdf {output.rdf:q} --van-hove {output.van_hove:q}"
        " --runs {output.runs:q} --ions {output.ions:q} --log {log:q}"


rule temperature_series:
    input:
        conductivity=lambda w: [
            f"{RESULTS}/{w.material}/phases/{w.phase}/{t}K/conductivity.json"
            for t in own_plan.temperatures(CAMPAIGN.config, w.phase)
        ],
        code=code("temperature_series"),
    output:
        series=phase_file("arrhenius.json"),
    log:
        log_file("transport/{material}-{phase}-series.log"),
    conda:
        ENV
    params:
        settings=settings(
            None,
            temperatures_k=lambda w: own_plan.temperatures(CAMPAIGN.config, w.phase),
            source=origin,
        ),
    shell:
        python("temperature_series") + " --conductivity {input.conductivity:q}"
        " --settings {params.settings:q} --series {output.series:q} --log {log:q}"


rule vibrations:
    input:
        bursts=lambda w: burst_files(w.material, w.phase, w.temperature, ".h5md"),
        code=code("vibrations"),
    output:
        vdos=phase_file("{temperature}K/vdos.csv"),
        vacf=phase_file("{temperature}K/vacf.csv"),
        json=phase_file("{temperature}K/vibrations.json"),
        current=phase_file("{temperature}K/current.csv"),
        current_json=phase_file("{temperature}K/current.json"),
    log:
        log_file("transport/{material}-{phase}-{temperature}K-vibrations.log"),
    benchmark:
        cost_file("vibrations/{material}-{phase}-{temperature}K.tsv")
    conda:
        ENV
    params:
        settings=settings(
            None,
            "materials.{material}.elements",
            "materials.{material}.masses_u",
            "materials.{material}.oxidation",
            "labels.source",
            temperature_k=lambda w: int(w.temperature),
        ),
    shell:
        python("vibrations") + " --bursts {input.bursts:q}"
        " --settings {params.settings:q} --vdos {output.vdos:q} --vacf {output.vacf:q}"
        " --json {output.json:q} --current {output.current:q}"
        " --current-json {output.current_json:q} --log {log:q}"


rule polyanions:
    input:
        h5md=lambda w: phase_files(
            w.material, w.phase, w.temperature, "segment", ".h5md"
        ),
        bursts=lambda w: burst_files(w.material, w.phase, w.temperature, ".h5md"),
        own=own_record,
        code=code("polyanions"),
    output:
        rotation=phase_file("{temperature}K/rotation.csv"),
        r_phi=phase_file("{temperature}K/r_phi.csv"),
        json=phase_file("{temperature}K/rotation.json"),
    log:
        log_file("transport/{material}-{phase}-{temperature}K-polyanions.log"),
    benchmark:
        cost_file("polyanions/{material}-{phase}-{temperature}K.tsv")
    conda:
        ENV
    params:
        settings=settings(
            None,
            "transport.hop_window_ps",
            "materials.{material}.elements",
            "materials.{material}.masses_u",
            "materials.{material}.mobile",
            "materials.{material}.polyanion",
            source=origin,
        ),
    shell:
        python("polyanions") + " --h5md {input.h5md:q} --bursts {input.bursts:q}"
        " --settings {params.settings:q} --rotation {output.rotation:q} --r-phi {output.r_phi:q}"
        " --json {output.json:q} --log {log:q}"
