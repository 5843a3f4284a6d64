# Data that the user brings in place of MD, of predicted tensors, and of a fitted model of them: read,
# checked, and stored as the campaign's own, so that every analysis finds them in the usual place.


OWN_RUN_KEYS = {
    "phase": lambda w: w.phase,
    "temperature_k": lambda w: int(w.temperature),
    "quench": lambda w: int(w.quench),
    "replica": lambda w: int(w.replica),
}


if OWN_PHASES:

    ruleorder: own_run > segment

    rule own_run:
        input:
            files=lambda w: own_entry("trajectories", w)["files"],
        output:
            h5md=run_file("segment{segment}.h5md"),
            report=run_file("own{segment}.json"),
        log:
            log_file(
                "own_run/{material}-{phase}-{quench}-{temperature}K-{replica}-{segment}.log"
            ),
        benchmark:
            cost_file(
                "own_run/{material}-{phase}-{quench}-{temperature}K-{replica}-{segment}.tsv"
            )
        wildcard_constraints:
            phase="|".join(OWN_PHASES),
            segment="0",
        conda:
            ENV
        params:
            settings=settings(
                "own_run",
                "materials.{material}.elements",
                "materials.{material}.mobile",
                # In order of time, which a set of inputs does not keep.
                files=lambda w: own_entry("trajectories", w)["files"],
                stride_ps=lambda w: own_entry("trajectories", w).get("stride_ps"),
                **OWN_RUN_KEYS,
            ),
        shell:
            python("own_run")
            + " --files {input.files:q} --settings {params.settings:q}"
            " --h5md {output.h5md:q} --report {output.report:q} --log {log:q}"

    rule own_runs:
        input:
            runs=lambda w: phase_files(
                w.material, w.phase, w.temperature, "own", ".json"
            ),
            code=code("own_runs"),
        output:
            record=phase_file("{temperature}K/own.json"),
        log:
            log_file("own_runs/{material}-{phase}-{temperature}K.log"),
        wildcard_constraints:
            phase="|".join(OWN_PHASES),
        conda:
            ENV
        params:
            settings=settings(None, phase=lambda w: w.phase),
        shell:
            python("own_runs")
            + " --runs {input.runs:q} --settings {params.settings:q}"
            " --record {output.record:q} --log {log:q}"


if OWN_TENSORS:

    ruleorder: own_tensors > predict_efg

    rule own_tensors:
        input:
            files=lambda w: own_entry("efg", w)["files"],
            h5md=run_file("segment{segment}.h5md"),
            code=code("own_tensors"),
        output:
            efg=run_file("efg{segment}.h5"),
            report=run_file("efg{segment}.json"),
        log:
            log_file(
                "own_tensors/{material}-{phase}-{quench}-{temperature}K-{replica}-{segment}.log"
            ),
        benchmark:
            cost_file(
                "own_tensors/{material}-{phase}-{quench}-{temperature}K-{replica}-{segment}.tsv"
            )
        wildcard_constraints:
            phase="|".join(OWN_TENSORS),
            segment="0",
        conda:
            ENV
        params:
            settings=settings(
                None,
                "materials.{material}.mobile",
                files=lambda w: own_entry("efg", w)["files"],
                source=tensor_origin,
                **OWN_RUN_KEYS,
            ),
        shell:
            python("own_tensors") + " --files {input.files:q} --h5md {input.h5md:q}"
            " --settings {params.settings:q} --efg {output.efg:q} --report {output.report:q}"
            " --log {log:q}"


if EFG_FILE:

    ruleorder: import_efg > fit_efg

    rule import_efg:
        input:
            file=EFG_FILE,
            code=code("import_efg"),
        output:
            model=material_file("efg/model.npz"),
            report=material_file("efg/fit.json"),
        log:
            log_file("import_efg/{material}.log"),
        conda:
            ENV
        params:
            settings=settings(
                None, "materials.{material}.elements", "materials.{material}.isotope"
            ),
        shell:
            python("import_efg") + " --file {input.file:q}"
            " --settings {params.settings:q} --model {output.model:q}"
            " --report {output.report:q} --log {log:q}"
