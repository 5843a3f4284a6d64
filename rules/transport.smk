# Mobility and conductivity from the unwrapped positions.


rule transport_analysis:
    input:
        h5md=lambda w: phase_files(
            w.material, w.phase, w.temperature, "segment", ".h5md"
        ),
        code=code("transport"),
    output:
        msd=PHASE + "/{temperature}K/msd.csv",
        msd_json=PHASE + "/{temperature}K/msd.json",
        conductivity=PHASE + "/{temperature}K/conductivity.json",
        collective=PHASE + "/{temperature}K/conductivity.csv",
        hops=PHASE + "/{temperature}K/hops.json",
        rdf=PHASE + "/{temperature}K/rdf.csv",
    log:
        LOGS + "/transport/{material}-{phase}-{temperature}K.log",
    benchmark:
        COST + "/transport/{material}-{phase}-{temperature}K.tsv"
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
        "python {SCRIPTS}/transport.py --h5md {input.h5md:q}"
        " --settings {params.settings:q} --msd {output.msd:q} --msd-json {output.msd_json:q}"
        " --conductivity {output.conductivity:q} --collective {output.collective:q}"
        " --hops {output.hops:q} --rdf {output.rdf:q} --log {log:q}"
