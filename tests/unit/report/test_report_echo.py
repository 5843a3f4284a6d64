"""The echo with real pulses and T1 on the page: numbers, bounds, and what they rest on."""

import html
import re

from hopecho.io.results import read_json
from hopecho.report.campaign import CampaignView
from hopecho.report.echo_tables import echo_tables


def text_of(page):
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def test_every_route_stands_with_its_assumption_and_its_decay(campaign):
    said = text_of(echo_tables(CampaignView(campaign, read_json(campaign / "summary.json"))))
    assert "the longest run is 200 ps" in said
    assert "tensors as averaged over the run 0.12" in said
    assert "0.12 → 0.045, τ(tp) = 3.2 ms" in said
    assert "ions jump." in said


def test_t1_is_a_value_a_bound_or_nothing(campaign):
    said = text_of(echo_tables(CampaignView(campaign, read_json(campaign / "summary.json"))))
    assert "6.4 s (68 %: 5.6 to 7.1)" in said
    assert "< 4.6 s (95 %)" in said
    assert "not determined" in said
    assert "one exponential assumed" in said
