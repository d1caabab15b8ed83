import random
import re
from dataclasses import replace
from urllib.parse import unquote
from xml.etree.ElementTree import Element, fromstring

import pytest

from evalops_core.domain.drift.day import DriftDay
from evalops_core.trend.drift_thumbnail import drift_thumbnail
from evalops_core.trend.thumbnail import LIMIT
from tests.trend.drift_rows import drift_day, drift_days

_ALERTING = {"state": "alerting", "incident_id": 7}


def noisy(count: int, every: int = 1) -> list[DriftDay]:
    """Thresholds that change from day to day; `every` of so many days has a row."""
    generator = random.Random(count)
    days = [drift_day(place * every, generator.uniform(0.0, 0.4)) for place in range(count)]
    return [replace(day, threshold=generator.uniform(0.1, 0.2), incident_id=day.id // 2) for day in days]


def picture(markdown: str) -> Element:
    found = re.fullmatch(r"!\[\d+ days?\]\(<data:image/svg\+xml,([^<>]*)>\)", markdown)
    assert found is not None, markdown
    return fromstring(unquote(found[1]))  # noqa: S314  # ours


@pytest.mark.parametrize("every", [1, 3, 400])
@pytest.mark.parametrize("days", [1, 2, 7, 20, 40, 100])
def test_the_markdown_is_short_enough_to_be_shown_in_place(days: int, every: int) -> None:
    for shown in (noisy(days, every), drift_days([None] * days), drift_days([0.05, "gap", None] * days)):
        markdown = drift_thumbnail(shown)
        assert len(markdown) < LIMIT
        picture(markdown)


def test_a_month_of_an_ordinary_feature_is_shown_whole() -> None:
    generator = random.Random(1)
    assert drift_thumbnail(drift_days([generator.uniform(0.01, 0.1) for _ in range(30)])).startswith("![30 days]")


def test_it_has_axis_line_threshold_incident_and_the_days_that_were_not_compared() -> None:
    days = drift_days([None, 0.05, 0.06, "gap", 0.05, 0.3, 0.3], of={5: _ALERTING, 6: _ALERTING})
    svg = picture(drift_thumbnail(days))
    incident, axis, threshold, line, now = [item.attrib for item in svg.iter() if item.tag.endswith("path")]
    assert incident["fill"] == threshold["stroke"] == now["fill"] == "#d60"
    assert axis["d"].count("M") == 2, "the axis and one day below it"
    assert threshold["d"].count("M") == line["d"].count("M") == 2, "interrupted once"
    assert [item.text for item in svg.iter() if item.tag.endswith("text")] == ["0.300", "0.4", "0"]


def test_what_does_not_exist_is_not_drawn() -> None:
    svg = picture(drift_thumbnail(drift_days([None, None])))
    assert [item.text for item in svg.iter() if item.tag.endswith("text")] == ["0.2", "0"]
    assert not [item for item in svg.iter() if item.get("fill") == "#d60" or item.get("stroke") in ("#28c", "#d60")]
