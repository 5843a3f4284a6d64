"""The campaign's report shows the validation where it is given its files, and only there."""

import shutil

import numpy as np
import pandas as pd

from hopecho.io.results import write_csv, write_json
from hopecho.report.page import build_page
from hopecho.units import Quantity

ORIGIN = {"labels": "model PES", "hopecho": "0", "seed": 1, "settings_sha256": "", "inputs": {}}


def test_the_report_holds_the_validation_that_it_is_given(campaign, page, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(campaign, results)
    distance = Quantity(0.02, 0.004, (0.015, 0.025), "1", 10.0).to_dict()
    entry = {"kind": "l1_shells", "distance": distance, "by_chance": 0.01, "p_value": 0.008}
    record = {
        "battery": {"rdf Li-S": entry}, "n_runs": 5, "run_ps": 25.0, "different": ["rdf Li-S"],
        "echo": None, "temperature_k": 400, "failed_gates": [],
    }  # fmt: skip
    path = results / "li3ps4/validation/beta.json"
    write_json(path, record, provenance=ORIGIN)
    columns = {"x": [2.0, 2.5, 3.0], "value": [0.0, 4.0, 1.0], "stderr": [0.0, 0.1, 0.1]}
    table = pd.concat(
        pd.DataFrame({"observable": name, "side": side} | columns)
        for name in ("rdf Li-S", "vdos Li", "msd Li", "van_hove_self")
        for side in ("ufp", "reference")
    )
    bins = np.arange(40.0 * 60.0)
    around = {"observable": "r_phi", "x": bins, "value": 1e-3 * bins, "stderr": 0.0}
    maps = [pd.DataFrame({"side": side} | around) for side in ("ufp", "reference")]
    table = pd.concat([table, *maps])
    write_csv(path.with_suffix(".csv"), table, provenance=ORIGIN)
    without, page = page, build_page(results, results / "summary.json", [path])
    assert "Against the surface itself" in page
    assert "Of 1 observables 1 differ by more than chance: rdf Li-S" in page
    assert "figure-validation-li3ps4-beta-r-phi" in page
    assert "displacement at the longest lag" in page
    assert "li3ps4/validation/" in page.replace("<wbr>", "")
    assert "Against the surface itself" not in without
