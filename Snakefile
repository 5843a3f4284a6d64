from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/structures.smk"
include: "rules/labels.smk"
include: "rules/learning.smk"
include: "rules/potential.smk"
include: "rules/gap.smk"
include: "rules/production.smk"
include: "rules/own.smk"
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
        simulated_only([f"{RESULTS}/{m}/al/0/dataset.extxyz" for m in LEARNED]),


rule potential:
    input:
        simulated_only([f"{RESULTS}/{m}/heldout/errors.json" for m in LEARNED]),


rule production:
    input:
        every_segment(".h5md"),


rule bursts:
    input:
        simulated_only(every_burst(".h5md")),


rule efg:
    input:
        tensors_only(every_efg()),


rule sae:
    input:
        tensors_only(every_phase("sae.json", TENSOR_CASES)),
        every_phase("sites.json", TENSOR_CASES),


rule transport:
    input:
        every_phase("conductivity.json"),
        every_phase("rotation.json"),
        [
            path
            for name in BURST_RESULTS
            for path in every_phase(f"{name}.json", MD_CASES)
        ],
        every_series(),


rule gap:
    input:
        simulated_only([f"{RESULTS}/{m}/gap/gap.json" for m in LEARNED]),


rule validation:
    input:
        surface_only([f"{RESULTS}/validation.html"]),


rule report:
    input:
        f"{RESULTS}/report.html",
