from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/structures.smk"
include: "rules/labels.smk"
include: "rules/learning.smk"
include: "rules/potential.smk"
include: "rules/gap.smk"
include: "rules/production.smk"
include: "rules/efg.smk"
include: "rules/correlation.smk"
include: "rules/transport.smk"
include: "rules/validation.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        f"{RESULTS}/report.html",


rule labels:
    input:
        [f"{RESULTS}/{m}/al/0/dataset.extxyz" for m in CAMPAIGN.config["run"]],


rule potential:
    input:
        [f"{RESULTS}/{m}/heldout/errors.json" for m in CAMPAIGN.config["run"]],


rule production:
    input:
        every_segment(".h5md"),


rule bursts:
    input:
        every_burst(".h5md"),


rule efg:
    input:
        tensors_only(every_efg()),


rule sae:
    input:
        tensors_only(every_phase("sae.json") + every_phase("sites.json")),


rule transport:
    input:
        every_phase("conductivity.json"),
        every_phase("rotation.json"),
        [path for name in BURST_RESULTS for path in every_phase(f"{name}.json")],
        [
            f"{RESULTS}/{m}/phases/{p}/arrhenius.json"
            for m, phases in CAMPAIGN.config["run"].items()
            for p in phases
        ],


rule gap:
    input:
        [f"{RESULTS}/{m}/gap/gap.json" for m in CAMPAIGN.config["run"]],


rule validation:
    input:
        surface_only([f"{RESULTS}/validation.html"]),


rule report:
    input:
        f"{RESULTS}/report.html",
