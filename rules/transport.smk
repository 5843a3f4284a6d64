# Mobility and conductivity from the unwrapped positions.


rule transport_analysis:
    input:
        h5md=lambda w: phase_files(
            w.material, w.phase, w.temperature, "segment", ".h5md"
        ),
        code=code("transport"),
    output:
        msd=phase_file("{temperature}K/msd.csv"),
        msd_json=phase_file("{temperature}K/msd.json"),
        conductivity=phase_file("{temperature}K/conductivity.json"),
        collective=phase_file("{temperature}K/conductivity.csv"),
        hops=phase_file("{temperature}K/hops.json"),
        rdf=phase_file("{temperature}K/rdf.csv"),
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
            "labels.source",
            temperature_k=lambda w: int(w.temperature),
            seed=seed("transport", "material", "phase", "temperature"),
        ),
    shell:
        python("transport") + " --h5md {input.h5md:q}"
        " --settings {params.settings:q} --msd {output.msd:q} --msd-json {output.msd_json:q}"
        " --conductivity {output.conductivity:q} --collective {output.collective:q}"
        " --hops {output.hops:q} --rdf {output.rdf:q} --log {log:q}"
