"""Keys of the validation: times that do not fit one another are refused by name."""

import pytest

from hopecho.config import load, validate
from hopecho.config_text import PROJECT_ROOT
from hopecho.errors import HopechoError


@pytest.mark.parametrize(
    ("key", "value", "unit"),
    [
        ("echo_stride_ps", 0.07, "validation.stride_ps"),
        ("length_ps", 25.02, "validation.stride_ps"),
        ("stride_ps", 0.0501, "md.dt_fs"),
        ("burst_ps", 5.005, "md.bursts.stride_fs"),
    ],
)
def test_times_that_do_not_fit_are_refused_by_name(key, value, unit):
    config = load(PROJECT_ROOT / "config.yaml")
    config["validation"][key] = value
    with pytest.raises(HopechoError, match=f"validation.{key}.* does not fit {unit}"):
        validate(config)
