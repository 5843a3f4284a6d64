# One self-contained page, the same claims as JSON, and what every stage cost.


def learning_status(wildcards):
    """Status and errors of every round up to the accepted one."""
    return [
        f"{RESULTS}/{m}/al/{r}/{name}.json"
        for m in CAMPAIGN.config["run"]
        for r in range(accepted_round(m) + 1)
        for name in ("status", "errors")
    ]


def structure_reports(wildcards):
    return [
        f"{RESULTS}/{m}/phases/{p}/{name}.json"
        for m, phases in CAMPAIGN.config["run"].items()
        for p in phases
        for q in range(CAMPAIGN.config["phases"][p]["quenches"])
        for name in (f"start{q}", f"quench{q}/structure")
    ]


rule summary:
    input:
        learning=learning_status,
        structures=structure_reports,
        heldout=[f"{RESULTS}/{m}/heldout/errors.json" for m in CAMPAIGN.config["run"]],
        efg=[f"{RESULTS}/{m}/efg/fit.json" for m in CAMPAIGN.config["run"]],
        segments=every_segment(".json"),
        acf=[path for c in CURVES for path in every_phase(f"{c}.json")],
        transport=[
            path
            for name in ("msd", "conductivity", "hops")
            for path in every_phase(f"{name}.json")
        ],
        code=code("summary"),
    output:
        summary=f"{RESULTS}/summary.json",
        ledger=f"{RESULTS}/ledger.csv",
    log:
        LOGS + "/summary.log",
    conda:
        ENV
    params:
        settings=settings(
            None,
            "run",
            "labels.source",
            "md.temperatures_k",
            "learning.target_force_ratio",
            "learning.target_energy_ev_atom",
        ),
        results=RESULTS,
    shell:
        "python {SCRIPTS}/summary.py --results {params.results:q} --settings {params.settings:q}"
        " --summary {output.summary:q} --ledger {output.ledger:q} --log {log:q}"


rule report_page:
    input:
        summary=f"{RESULTS}/summary.json",
        ledger=f"{RESULTS}/ledger.csv",
        tensors=[f"{RESULTS}/{m}/heldout/parity.npz" for m in CAMPAIGN.config["run"]],
        curves=[
            path
            for c in CURVES
            for suffix in ("csv", "json")
            for path in every_phase(f"{c}.{suffix}")
        ],
        transport=[
            path
            for name in ("msd.csv", "conductivity.csv", "conductivity.json", "rdf.csv")
            for path in every_phase(name)
        ],
        code=code("report"),
    output:
        page=report(
            f"{RESULTS}/report.html", caption="../report/report.rst", category="Report"
        ),
    log:
        LOGS + "/report.log",
    conda:
        ENV
    params:
        results=RESULTS,
    shell:
        "python {SCRIPTS}/report.py --results {params.results:q} --summary {input.summary:q}"
        " --page {output.page:q} --log {log:q}"
