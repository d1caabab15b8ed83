import random
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import unquote
from xml.etree.ElementTree import Element, fromstring

import pytest

from evalops_core.trend.series import Series, series_of
from evalops_core.trend.thumbnail import LIMIT, thumbnail
from tests.trend.rows import rows


def noisy(
    runs: int, *, of: Mapping[int, Mapping[str, Any]] | None = None, width: str = "0.2", hours: int = 24
) -> Series:
    generator = random.Random(runs)
    scores: list[str | None] = [f"{generator.uniform(1, 5):.3f}" for _ in range(runs)]
    newest = {runs - 1: {"reference": Decimal("3.0")}}
    return series_of(rows(scores, of={**(of or {}), **newest}, width=width, hours=hours), Decimal("0.5"))


def picture(markdown: str) -> tuple[Element, str]:
    """The SVG and what is written below it."""
    found = re.fullmatch(r"!\[\d+ runs\]\(<data:image/svg\+xml,([^<>]*)>\)(.*)", markdown, re.DOTALL)
    assert found is not None, markdown
    return fromstring(unquote(found[1])), found[2]  # noqa: S314  # ours


@pytest.mark.parametrize("runs", [1, 2, 3, 7, 20, 21, 40, 100])
def test_the_markdown_is_short_enough_to_be_shown_in_place(runs: int) -> None:
    worst = {place: {"changed": "dataset, judge, model, prompt", "incident_id": place} for place in range(0, runs, 2)}
    for series in (noisy(runs), noisy(runs, of=worst), noisy(runs, hours=1)):
        markdown = thumbnail(series)
        assert len(markdown) < LIMIT
        picture(markdown)


def test_as_many_of_the_newest_runs_are_shown_as_fit() -> None:
    shown = re.match(r"!\[(\d+) runs", thumbnail(noisy(60, width="0.1")))
    assert shown is not None
    assert 20 <= int(shown[1]) <= 40


def test_it_has_line_band_reference_threshold_incident_and_break() -> None:
    scores: list[str | None] = ["4.0", "4.1", None, "4.0", "3.0"]
    of = {3: {"changed": "judge"}, 4: {"incident_id": 1, "verdict": "regressed", "reference": Decimal("4.0")}}
    svg, caption = picture(thumbnail(series_of(rows(scores, of=of), Decimal("0.5"))))
    paths = [item.attrib for item in svg.iter() if item.tag.endswith("path")]
    incident, levels, threshold, band, line = paths
    assert incident["fill"] == threshold["stroke"] == "#d60"
    assert levels["d"].count("M") == 2, "a break and the reference"
    assert band["d"].count("z") == line["d"].count("M") == 2, "interrupted once"
    assert caption == "\n\n┆ judge changed, 2026-10-04"
    assert [item.text for item in svg.iter() if item.tag.endswith("text")] == ["3.00", "4.5", "2.5"]


def test_what_does_not_exist_is_not_drawn() -> None:
    svg, caption = picture(thumbnail(series_of(rows(["4.0", "4.1"], width="0"), None)))
    assert caption == ""
    assert all(item.get("fill") != "#d60" and item.get("stroke") != "#d60" for item in svg.iter())
    assert not [item for item in svg.iter() if item.get("stroke-dasharray")]
