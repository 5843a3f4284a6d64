# Labels: every set of frames to label is one folder with frames.extxyz, labels{batch}.json (hashes
# and states; the labels themselves are in the store) and labelled.extxyz.


rule label_batch:
    input:
        frames=material_file("{label_set}/frames.extxyz"),
    output:
        index=material_file("{label_set}/labels{batch}.json"),
    log:
        log_file("label_batch/{material}/{label_set}-{batch}.log"),
    benchmark:
        cost_file("label_batch/{material}/{label_set}-{batch}.tsv")
    # What a killed job left undone is tried again at once; finished labels are in the store.
    retries: CAMPAIGN.get("labels.max_transient_failures") - 1
    conda:
        LABEL_ENV
    threads: CAMPAIGN.get("labels.resources.cpus")
    resources:
        **LABEL_RESOURCES,
    params:
        settings=settings(
            "label",
            "labels.code",
            "labels.version",
            "labels.dataset",
            "labels.efg",
            "labels.per_job",
            "labels.max_force_ev_a",
            "labels.max_stress_ev_a3",
            *LABEL_BLOCK,
            *IMPORTED,
            surface=surface_identity(),
        ),
        scratch=scratch_folder("{material}/{label_set}/labels{batch}"),
    shell:
        python("label_batch")
        + f" --command {LABEL_COMMAND} --efg-command {EFG_COMMAND} --attempts {LABEL_ATTEMPTS}"
        " --frames {input.frames:q} --batch {wildcards.batch}"
        " --settings {params.settings:q}"
        f" --store {LABEL_STORE}"
        " --scratch {params.scratch:q}"
        " --index {output.index:q} --log {log:q}"


rule collect_labels:
    input:
        frames=material_file("{label_set}/frames.extxyz"),
        batches=label_batches,
    output:
        labelled=material_file("{label_set}/labelled.extxyz"),
        report=material_file("{label_set}/labelled.json"),
    log:
        log_file("collect_labels/{material}/{label_set}.log"),
    conda:
        ENV
    params:
        settings=settings("label", "labels.source"),
    shell:
        python("collect_labels")
        + f" --store {LABEL_STORE} --max-failed-share {MAX_FAILED_SHARE}"
        " --frames {input.frames:q} --batches {input.batches:q}"
        " --settings {params.settings:q} --labelled {output.labelled:q}"
        " --report {output.report:q} --log {log:q}"
