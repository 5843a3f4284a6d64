# The echo: autocorrelation functions of the tensors, their fits and verdicts.


rule correlation:
    input:
        efg=lambda w: phase_files(w.material, w.phase, w.temperature, "efg", ".h5"),
        code=code("correlation"),
    output:
        csv=[phase_file(f"{{temperature}}K/{curve}.csv") for curve in CURVES],
        json=[phase_file(f"{{temperature}}K/{curve}.json") for curve in CURVES],
    log:
        log_file("correlation/{material}-{phase}-{temperature}K.log"),
    benchmark:
        cost_file("correlation/{material}-{phase}-{temperature}K.tsv")
    conda:
        ENV
    params:
        settings=settings(
            None,
            "correlation.b0",
            "correlation.t_min_ps",
            "correlation.max_lag_fraction",
            "correlation.stretch",
            "correlation.bootstrap",
            "materials.{material}.isotope",
            "labels.source",
            seed=seed("correlation", "material", "phase", "temperature"),
        ),
    shell:
        python("correlation") + " --efg {input.efg:q} --settings {params.settings:q}"
        " --csv {output.csv:q} --json {output.json:q} --log {log:q}"
