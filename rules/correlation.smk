# The echo: autocorrelation functions of the tensors, their fits and verdicts.


rule correlation:
    input:
        efg=lambda w: phase_files(w.material, w.phase, w.temperature, "efg", ".h5"),
        own=own_record,
        code=code("correlation"),
    output:
        csv=[phase_file(f"{{temperature}}K/{curve}.csv") for curve in CURVES],
        json=[phase_file(f"{{temperature}}K/{curve}.json") for curve in CURVES],
        ions=phase_file("{temperature}K/acf_ions.csv"),
        sae=phase_file("{temperature}K/sae.csv"),
        sae_json=phase_file("{temperature}K/sae.json"),
        spectrum=phase_file("{temperature}K/spectral_density.csv"),
        relaxation=phase_file("{temperature}K/relaxation.json"),
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
            "correlation.average_ps",
            "correlation.t_min_ps",
            "correlation.max_lag_fraction",
            "correlation.stretch",
            "correlation.bootstrap",
            "correlation.wanted_error",
            "correlation.echo_tp_us",
            "correlation.echo_tm_us",
            "correlation.echo_dead_time_us",
            "correlation.fields_t",
            "materials.{material}.isotope",
            source=tensor_origin,
            seed=seed("correlation", "material", "phase", "temperature"),
        ),
    shell:
        python("correlation") + " --efg {input.efg:q} --settings {params.settings:q}"
        " --csv {output.csv:q} --json {output.json:q} --ions {output.ions:q}"
        " --sae {output.sae:q} --sae-json {output.sae_json:q} --spectrum {output.spectrum:q}"
        " --relaxation {output.relaxation:q} --log {log:q}"


rule sites:
    input:
        h5md=lambda w: phase_files(
            w.material, w.phase, w.temperature, "segment", ".h5md"
        ),
        efg=lambda w: phase_files(w.material, w.phase, w.temperature, "efg", ".h5"),
        own=own_record,
        crystal=crystal_file,
        code=code("sites"),
    output:
        json=phase_file("{temperature}K/sites.json"),
        histograms=phase_file("{temperature}K/site_histograms.csv"),
        traces=phase_file("{temperature}K/ion_traces.csv"),
        angles=phase_file("{temperature}K/angles.csv"),
        acf=phase_file("{temperature}K/acf_groups.csv"),
        hops=phase_file("{temperature}K/hop_log.csv"),
    log:
        log_file("sites/{material}-{phase}-{temperature}K.log"),
    benchmark:
        cost_file("sites/{material}-{phase}-{temperature}K.tsv")
    conda:
        ENV
    params:
        settings=settings(
            None,
            "correlation.b0",
            "correlation.max_lag_fraction",
            "correlation.echo_tp_us",
            "correlation.echo_tm_us",
            "correlation.echo_dead_time_us",
            "transport.hop_distance_angstrom",
            "transport.hop_window_ps",
            "transport.site_cutoff_angstrom",
            "materials.{material}.mobile",
            "materials.{material}.oxidation",
            "materials.{material}.polyanion",
            "materials.{material}.isotope",
            source=tensor_origin,
            supercell=lambda w: CAMPAIGN.config["phases"][w.phase].get("supercell"),
            seed=seed("sites", "material", "phase", "temperature"),
        ),
    shell:
        python("sites") + " --h5md {input.h5md:q} --efg {input.efg:q}"
        " --crystal {input.crystal:q} --settings {params.settings:q} --json {output.json:q}"
        " --histograms {output.histograms:q} --traces {output.traces:q}"
        " --angles {output.angles:q} --acf {output.acf:q} --hops {output.hops:q} --log {log:q}"
