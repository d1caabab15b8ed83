import itertools
import re
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest

from evalops_core.trend.drawing import FIGURE_CSS
from evalops_core.trend.figure import figure
from evalops_core.trend.series import series_of
from tests.trend.rows import row, rows

_SVG = "{http://www.w3.org/2000/svg}"
_FALLEN = {3: {"verdict": "regressed", "incident_id": 1, "reference": Decimal("4.0"), "delta": Decimal("-1.000")}}


def drawn(scores: list[str | None], **given: Any) -> Element:
    return fromstring(figure(series_of(rows(scores, **given), Decimal("0.5"))))  # noqa: S314  # ours


def shapes(svg: Element, kind: str) -> list[Element]:
    return [item for item in svg.iter() if item.get("class") == kind]


def words(svg: Element) -> list[str]:
    return [item.text or "" for item in svg.iter(f"{_SVG}text")]


def test_every_run_is_a_shape_that_names_its_window_score_and_verdict() -> None:
    svg = drawn(["4.0", "4.1", "4.0", "3.0"], of=_FALLEN)
    assert len(shapes(svg, "tf-run")) == 3
    (fallen,) = shapes(svg, "tf-low")
    assert fallen.findtext(f"{_SVG}title") == "2026-10-04: 3.000 (2.80 to 3.20), -1.000, regressed, eval run 4"


def test_the_line_and_its_band_are_interrupted_where_windows_are_missing_and_where_something_changed() -> None:
    assert len(shapes(drawn(["4.0"] * 6), "tf-line")) == 1
    svg = drawn(["4.0", "4.1", None, "4.0", "4.0", "4.0", "4.2"], of={5: {"changed": "dataset, judge"}})
    assert len(shapes(svg, "tf-line")) == len(shapes(svg, "tf-band")) == 3
    assert len(shapes(svg, "tf-break")) == 1
    assert "dataset, judge" in words(svg)


def test_reference_threshold_and_score_are_named_beside_their_lines() -> None:
    svg = drawn(["4.0", "4.1", "4.0", "3.0"], of=_FALLEN)
    assert {"3.00 now", "4.00 reference", "3.50 alert"} <= set(words(svg))
    assert len(shapes(svg, "tf-reference")) == len(shapes(svg, "tf-threshold")) == 1


def test_names_at_the_right_never_lie_upon_each_other() -> None:
    svg = drawn(["4.0", "4.0"], of={1: {"reference": Decimal("4.0"), "ci_low": None, "ci_high": None}})
    ys = sorted(float(item.get("y", "")) for item in svg.iter(f"{_SVG}text") if float(item.get("x", "")) > 590)
    assert all(after - before >= 15 for before, after in itertools.pairwise(ys))
    assert len(ys) == 3


def test_an_incident_is_shaded_over_its_windows() -> None:
    svg = drawn(["4.0", "4.1", "4.0", "3.0"], of=_FALLEN)
    (box,) = shapes(svg, "tf-incident")
    assert float(box.get("x", "")) + float(box.get("width", "")) == pytest.approx(590)


def test_a_single_run_is_a_dot_with_a_bar_and_no_line() -> None:
    svg = drawn(["4.0"])
    assert (len(shapes(svg, "tf-run")), len(shapes(svg, "tf-bar")), shapes(svg, "tf-line")) == (1, 1, [])


def test_names_of_windows_do_not_overlap_however_long_they_are() -> None:
    svg = fromstring(figure(series_of(rows(["4.0"] * 100, hours=1), None)))  # noqa: S314  # ours
    named = sorted(
        (float(item.get("x", "")), item.text or "")
        for item in svg.iter(f"{_SVG}text")
        if re.match(r"\d{4}-\d{2}-\d{2}", item.text or "")
    )
    assert len(named) >= 3
    assert named[-1][1] == "2026-10-05-03:00", "the newest is named"
    assert all(after - before > 6 * 16 for (before, _), (after, _) in itertools.pairwise(named))


def test_a_feature_s_name_cannot_become_markup() -> None:
    hostile = "</title><script>alert(1)</script>"
    svg = figure(series_of([row(0, "4.0", feature=hostile, partition_key=hostile)], None))
    assert "<script" not in svg
    assert hostile in (fromstring(svg).findtext(f"{_SVG}title") or "")  # noqa: S314  # ours


def test_a_page_s_own_style_sheet_takes_the_place_of_the_picture_s() -> None:
    series = series_of(rows(["4.0"]), None)
    assert "<style>" in figure(series)
    assert "<style>" not in figure(series, styled=False)
    for kind in re.findall(r'class="(tf-[a-z]+)"', figure(series, styled=False)):
        assert f".{kind}" in FIGURE_CSS
