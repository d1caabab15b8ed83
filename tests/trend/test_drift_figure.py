import itertools
import re
from dataclasses import replace
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest

from evalops_core.domain.drift.day import DriftDay
from evalops_core.trend.drawing import FIGURE_CSS
from evalops_core.trend.drift_figure import drift_figure
from evalops_core.trend.drift_series import drift_series
from tests.trend.drift_rows import drift_day, drift_days
from tests.trend.test_figure import shapes, words

_SVG = "{http://www.w3.org/2000/svg}"
_ALERTING = {"state": "alerting", "incident_id": 7}
_FEW: dict[str, Any] = {"state": "insufficient", "n": 2, "why": "2 of at least 10 traces with a user's message"}


def drawn(days: list[DriftDay]) -> Element:
    return fromstring(drift_figure(days))  # noqa: S314  # ours


def titles(svg: Element, kind: str) -> list[str]:
    return [shape.findtext(f"{_SVG}title") or "" for shape in shapes(svg, kind)]


def xs(path: Element) -> list[float]:
    return [float(x) for x in re.findall(r"[ML](-?[\d.]+) ", path.get("d", ""))]


def test_a_day_within_its_threshold_is_a_dot_and_one_above_a_diamond_and_both_say_why() -> None:
    svg = drawn(drift_days([0.05, 0.06, 0.2, 0.3], of={3: _ALERTING}))
    assert titles(svg, "tf-run")[0] == "2026-11-01: ok, drift 0.050 is within 0.150"
    assert titles(svg, "tf-low") == [
        "2026-11-03: warning, drift 0.200 is above 0.150",
        "2026-11-04: alerting, drift 0.300 is above 0.150; incident 7 is open",
    ]
    assert all(shape.tag == f"{_SVG}circle" for shape in shapes(svg, "tf-run"))
    assert all(shape.tag == f"{_SVG}path" for shape in shapes(svg, "tf-low"))
    assert "◆ above the threshold" in words(svg)


def test_a_day_without_a_row_keeps_its_place_and_no_line_crosses_it() -> None:
    svg = drawn(drift_days([0.05, 0.06, "gap", "gap", 0.05, 0.06]))
    before, after = map(xs, shapes(svg, "tf-line"))
    step = before[1] - before[0]
    assert after[0] - before[1] == pytest.approx(3 * step, abs=0.2)
    assert len(shapes(svg, "tf-run")) == 4
    assert len(shapes(svg, "tf-threshold")) == 2
    assert not shapes(svg, "tf-hollow")


def test_a_day_that_was_not_compared_is_hollow_below_the_axis_and_never_a_drift_of_zero() -> None:
    undecided = {"state": None, "why": "", "decided_at": None}
    svg = drawn(drift_days([None, 0.05, 0.06, None, 0.05, None], of={3: _FEW, 5: undecided}))
    assert [titles.partition(",")[0] for titles in titles(svg, "tf-hollow")] == [
        "2026-11-01: baseline",
        "2026-11-04: insufficient",
        "2026-11-06: not decided yet",
    ]
    circle, square, undecided_square = shapes(svg, "tf-hollow")
    assert (circle.tag, square.tag, undecided_square.tag) == (f"{_SVG}circle", f"{_SVG}rect", f"{_SVG}rect")
    axis = max(float(path.get("d", "").rpartition(" ")[2]) for path in shapes(svg, "tf-grid"))
    assert float(circle.get("cy", "")) - float(circle.get("r", "")) > axis
    assert float(square.get("y", "")) > axis
    assert len(shapes(svg, "tf-run")) == 3
    assert len(shapes(svg, "tf-line")) == 1
    assert "○ first days, nothing to compare\u2003□ too few traces\u2003□ not decided yet" in words(svg)


def test_the_threshold_has_each_day_s_own_height() -> None:
    days = [replace(day, threshold=0.1 + 0.01 * day.id) for day in drift_days([0.05, 0.05, 0.05])]
    (path,) = shapes(drawn(days), "tf-threshold")
    ys = [float(y) for y in re.findall(r" (-?[\d.]+)", path.get("d", ""))]
    assert ys[0] == ys[1] > ys[2] == ys[3] > ys[4] == ys[5]
    assert xs(path)[::5] == [40, 590]


def test_the_days_of_an_incident_are_shaded_with_what_lies_between() -> None:
    closed = {"state": "alerting", "incident_id": 3, "incident_resolution": "accepted"}
    days = drift_days([0.3, 0.05, 0.3, "gap", 0.3], of={0: closed, 2: _ALERTING, 4: _ALERTING})
    first, second = shapes(drawn(days), "tf-incident")
    assert first.findtext(f"{_SVG}title") == "incident 3, accepted"
    assert second.findtext(f"{_SVG}title") == "incident 7 is open"
    assert float(second.get("width", "")) == pytest.approx(3 * float(first.get("width", "")), abs=0.2)
    assert float(second.get("x", "")) + float(second.get("width", "")) == pytest.approx(590)


@pytest.mark.parametrize("highest", [0.0, 0.004, 0.0701, 0.15, 0.3, 0.99, 1.3, 2.0])
@pytest.mark.parametrize("threshold", [0.0, 0.15])
def test_the_axis_goes_from_zero_to_well_above_everything_in_round_steps(highest: float, threshold: float) -> None:
    ticks = drift_series(drift_days([0.0, highest], threshold=threshold)).ticks
    assert ticks[0] == 0
    assert ticks[-1] >= 1.3 * max(highest, threshold)
    assert 4 <= len(ticks) <= 6
    named = [text for text in words(drawn(drift_days([0.0, highest], threshold=threshold))) if text[-1].isdigit()]
    assert [float(text) for text in named if "-" not in text] == pytest.approx(list(ticks))


def test_last_drift_and_threshold_are_named_at_the_right_and_never_lie_upon_each_other() -> None:
    svg = drawn(drift_days([0.05, 0.149]))
    assert {"0.149 now", "0.150 threshold"} <= set(words(svg))
    ys = sorted(float(item.get("y", "")) for item in svg.iter(f"{_SVG}text") if float(item.get("x", "")) > 590)
    assert all(after - before >= 15 for before, after in itertools.pairwise(ys))
    assert "0.050 on 11-01" in words(drawn(drift_days([0.05, None], of={1: _FEW})))


def test_nothing_is_named_while_nothing_was_compared() -> None:
    svg = drawn(drift_days([None, None]))
    assert not shapes(svg, "tf-threshold")
    assert not [text for text in words(svg) if "now" in text or text.endswith(" threshold")]


@pytest.mark.parametrize("places", [1, 2, 6, 7, 30, 400])
def test_names_of_days_do_not_overlap_and_the_newest_is_among_them(places: int) -> None:
    svg = drawn([drift_day(0, 0.05), *([drift_day(places - 1, 0.05)] if places > 1 else [])])
    named = sorted(
        (float(item.get("x", "")), item.text or "")
        for item in svg.iter(f"{_SVG}text")
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", item.text or "")
    )
    assert named[-1][1] == str(drift_day(places - 1, 0.05).day)
    assert all(after - before > 70 for (before, _), (after, _) in itertools.pairwise(named))
    assert named[-1][0] + 34 < 720


def test_a_sentence_stands_for_the_picture() -> None:
    svg = drawn(drift_days([0.05, 0.06, None], of={2: _FEW}))
    assert svg.findtext(f"{_SVG}title") == (
        "explain: drift of the inputs, 3 days since 2026-11-01; 2026-11-03: insufficient, 2 of at least 10 traces with "
        "a user's message; compared last on 2026-11-02, drift 0.060"
    )
    one = drawn(drift_days([0.05])).findtext(f"{_SVG}title")
    assert one == "explain: drift of the inputs, 1 day; 2026-11-01: ok, drift 0.050 is within 0.150"


def test_the_order_of_the_days_does_not_matter() -> None:
    days = drift_days([0.05, "gap", 0.06, 0.2])
    assert drift_figure(days) == drift_figure(days[::-1])


def test_no_days_and_those_of_several_features_are_no_picture() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        drift_figure([])
    with pytest.raises(ValueError, match="one feature"):
        drift_figure([drift_day(0, 0.1), drift_day(1, 0.1, feature="orders")])


def test_a_name_cannot_become_markup() -> None:
    hostile = "</title><script>alert(1)</script>"
    svg = drift_figure([drift_day(0, 0.2, feature=hostile, why=hostile)])
    assert "<script" not in svg
    assert hostile in (fromstring(svg).findtext(f"{_SVG}title") or "")  # noqa: S314  # ours


def test_a_page_s_own_style_sheet_takes_the_place_of_the_picture_s() -> None:
    days = drift_days([None, 0.05, 0.3], of={2: _ALERTING})
    assert "<style>" in drift_figure(days)
    plain = drift_figure(days, styled=False)
    assert "<style>" not in plain
    for kind in re.findall(r'class="(tf-[a-z]+)"', plain):
        assert f".{kind}" in FIGURE_CSS
