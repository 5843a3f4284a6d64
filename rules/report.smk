# One self-contained page, the same claims as JSON, and what every stage cost.


rule summary:
    input:
        learning=learning_status,
        structures=structure_reports,
        heldout=[f"{RESULTS}/{m}/heldout/errors.json" for m in LEARNED],
        efg=[f"{RESULTS}/{m}/efg/fit.json" for m in MODELLED],
        efg_grid=[
            f"{RESULTS}/{m}/efg/grid/grid.json" for m in MODELLED if EFG_BASES != [{}]
        ],
        segments=every_segment(".json", MD_CASES),
        own=every_phase("own.json", OWN_CASES),
        extrapolation=[] if FOREIGN else every_phase("extrapolation.json", MD_CASES),
        bursts=every_burst(".json"),
        step_tests=step_tests(),
        tensors=every_efg(".json"),
        acf=[path for c in CURVES for path in every_phase(f"{c}.json", TENSOR_CASES)],
        powder=every_phase("acf_powder.csv", TENSOR_CASES),
        transport=[
            path
            for name in ("msd", "conductivity", "hops", "rotation")
            for path in every_phase(f"{name}.json")
        ],
        velocities=[
            path
            for name in BURST_RESULTS
            for path in every_phase(f"{name}.json", MD_CASES)
        ],
        code=code("summary"),
    output:
        summary=report(
            f"{RESULTS}/summary.json",
            caption="../report/summary.rst",
            category="Tables",
        ),
        ledger=report(
            f"{RESULTS}/ledger.csv", caption="../report/ledger.rst", category="Tables"
        ),
    log:
        log_file("summary.log"),
    conda:
        ENV
    params:
        settings=settings(
            None,
            "run",
            "potential.grid",
            "md.temperatures_k",
            "correlation.grains",
            "learning.target_force_ratio",
            "learning.target_energy_ev_atom",
            source=CAMPAIGN.get("labels.source") if LEARNED else own_plan.TRAJECTORIES,
            efg=bool(EFG or EFG_FILE),
            efg_grid=CAMPAIGN.get("efg.grid"),
            bursts=bool(BURST_RESULTS),
            own=own_plan.own_phases(CAMPAIGN.config),
        ),
        results=lambda w, output: os.path.dirname(output[0]),
    shell:
        python("summary")
        + " --results {params.results:q} --settings {params.settings:q}"
        f" --store {LABEL_STORE}"
        " --members {input.learning:q} {input.structures:q} {input.segments:q}"
        " {input.bursts:q} {input.step_tests:q} {input.tensors:q} {input.own:q}"
        " --summary {output.summary:q} --ledger {output.ledger:q} --log {log:q}"


rule report_page:
    input:
        summary=f"{RESULTS}/summary.json",
        ledger=f"{RESULTS}/ledger.csv",
        tensors=[f"{RESULTS}/{m}/heldout/parity.npz" for m in LEARNED],
        learning=[
            f"{RESULTS}/{m}/heldout/{name}learning_curve.csv"
            for m in LEARNED
            for name in ([] if FOREIGN else [""])
            + (["efg_"] if EFG and not EFG_FILE else [])
        ],
        curves=[
            path
            for c in CURVES
            for suffix in ("csv", "json")
            for path in every_phase(f"{c}.{suffix}", TENSOR_CASES)
        ],
        echo=[
            path
            for name in (
                "sae.csv",
                "sae.json",
                "spectral_density.csv",
                "relaxation.json",
                "sites.json",
                "site_histograms.csv",
                "ion_traces.csv",
                "angles.csv",
                "acf_groups.csv",
                "acf_ions.csv",
            )
            for path in every_phase(name, TENSOR_CASES)
        ],
        transport=[
            path
            for name in (
                "msd.csv",
                "msd.json",
                "msd_ions.csv",
                "conductivity.csv",
                "conductivity_runs.csv",
                "conductivity.json",
                "rdf.csv",
                "van_hove.csv",
                "rotation.csv",
                "r_phi.csv",
            )
            for path in every_phase(name)
        ],
        velocities=[
            path
            for name in (
                *(f"{name}.csv" for name in BURST_FIGURES),
                *(["current.json"] if BURST_FIGURES else []),
            )
            for path in every_phase(name, MD_CASES)
        ],
        series=every_series(),
        validation=lambda w: (
            surface_only(validation_results(".json"))(w)
            if CAMPAIGN.get("validation.in_report")
            else []
        ),
        code=code("report"),
    output:
        page=report(
            f"{RESULTS}/report.html", caption="../report/report.rst", category="Report"
        ),
    log:
        log_file("report.log"),
    conda:
        ENV
    params:
        results=lambda w, output: os.path.dirname(output[0]),
    shell:
        python("report") + " --results {params.results:q} --summary {input.summary:q}"
        " --validation {input.validation:q} --page {output.page:q} --log {log:q}"
