"""The report: what it shows, that nothing in it can become markup, and that it needs nothing but itself."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, make_url, text

from evalops_core.domain.eval_run import Response, ScoreRow
from evalops_core.domain.score import Score, Unscored
from evalops_core.domain.suite import Case, Suite
from evalops_core.run.baseline_desk import pin_baseline
from evalops_core.run.detect import detect
from evalops_core.run.purge import purge_texts
from evalops_core.run.two_runs import Reference
from evalops_core.store.results import CaseResults
from evalops_core.trend.report import Report, Sources, collect, known_features, page
from evalops_core.trend.report.cases import paired, sides_of_run
from evalops_core.trend.report.collect import database_words
from evalops_core.trend.report.facts import CaseRow, Cases, CaseSide, Excerpt
from evalops_core.trend.report.payload import characters_each, payloads
from evalops_core.trend.report.texts import LONGEST, excerpt
from tests.builders import make_suite
from tests.run.drift.drifted import Drifted
from tests.run.scored import NOW, Scored, rules
from tests.run.test_compare import answers
from tests.trend.drift_rows import drift_days, keep_days

MADE = datetime(2026, 12, 1, 8, 30, tzinfo=timezone.utc)
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">&lt;\u2028"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page(HTMLParser):
    """A page as a browser reads it: elements with their attributes, what stands in scripts, and the text around."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self._inside: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def cases(self, number: int = 0) -> dict[str, Any]:
        """The rows of the table of that number, by id."""
        return {row["id"]: row for row in json.loads(self.scripts[number])["cases"]}


@pytest.fixture
def scored(engine: Engine) -> Scored:
    return Scored(engine)


def made(
    engine: Engine,
    suites: Mapping[str, Suite] | None = None,
    *,
    broken: Mapping[str, str] | None = None,
    pair: tuple[Reference, Reference] | None = None,
    limit: int = 60,
) -> Report:
    sources = Sources(engine, suites or {}, broken or {})
    return collect(sources, features=known_features(sources), limit=limit, now=MADE, pair=pair)


def suite_with(folder: Path, cases: list[Case], feature: str = "explain") -> Suite:
    return replace(make_suite(folder, "http://127.0.0.1:9/v1", cases=1), feature=feature, cases=tuple(cases))


def test_every_feature_with_a_suite_or_a_history_stands_in_the_overview_worst_first(
    engine: Engine, scored: Scored, tmp_path: Path
) -> None:
    scored.runs(["4.000", "3.900"], feature="falls")
    scored.runs(["4.000", "3.000"], feature="alarms")
    scored.runs(["3.000", "3.300"], feature="rises")
    scored.run(0, "4.000", feature="by_hand", run_type="manual")
    detect(engine, rules(drop="0.5"), NOW)
    suite = make_suite(tmp_path, "http://127.0.0.1:9/v1", feature="orders")
    report = made(engine, {"orders": suite}, broken={"torn": "suite.yaml:2: expected a mapping"})
    names = [feature.name for feature in report.features]
    assert names == ["alarms", "falls", "rises", "by_hand", "orders", "torn"]
    shown = Page(page(report))
    links = [attributes["href"] for tag, attributes in shown.elements if tag == "a"]
    assert [f"#feature-{name}" for name in names] == [link for link in links if str(link).startswith("#feature-")]
    ids = {attributes.get("id") for _, attributes in shown.elements}
    assert {str(link)[1:] for link in links} <= ids
    for words in ("1 regression", "▼ regressed", "suite removed", "suite cannot be read", "expected a mapping"):
        assert words in shown.text
    assert "made by hand, and is in no trend" in shown.text


def test_a_drift_is_said_in_its_own_words_beside_the_score(engine: Engine, scored: Scored) -> None:
    scored.runs(["4.000", "3.900"])
    incident = Drifted(engine).incident()
    shown = Page(page(made(engine, {})))
    assert f"{incident.id} drift" in shown.text
    assert "Incident 1 since 2026-11-08 01:00 UTC: input drift, what users ask has moved." in shown.text


def test_the_page_says_when_and_from_where_it_was_made_without_the_password(engine: Engine) -> None:
    text = Page(page(made(engine))).text
    assert "Made 2026-12-01 08:30 UTC from the database " in text
    assert "scheduled, valid runs only" in text
    url = make_url("postgresql://me:s3cret@db.example:5433/scores?sslpassword=s3cret&options=-csearch_path%3Dx")
    assert database_words(url) == "scores on db.example:5433"


def test_without_any_data_the_page_says_what_to_do(engine: Engine, tmp_path: Path) -> None:
    assert "There is no feature yet" in Page(page(made(engine))).text
    suite = make_suite(tmp_path, "http://127.0.0.1:9/v1")
    text = Page(page(made(engine, {"orders": suite}))).text
    assert "Nothing has been evaluated yet" in text
    assert "evalops run --feature orders" in text


def test_a_case_whose_texts_were_purged_says_so_and_keeps_its_scores(engine: Engine, scored: Scored) -> None:
    scored.run(1, "4.000", answers=answers())
    purge_texts(engine, NOW)
    scored.run(2, "4.000", answers=answers())
    read = Page(page(made(engine)))
    row = read.cases()["case-07"]
    assert (row["before"]["answer"], row["before"]["purged"], row["before"]["score"]) == (None, True, 4.1)
    assert (row["now"]["answer"], row["now"]["purged"]) == ("answer of case-07", False)
    assert any("the text was purged" in script for script in read.scripts)


def test_a_case_shows_what_it_was_asked_what_was_answered_in_both_runs_and_why_it_scored_so(
    engine: Engine, scored: Scored, tmp_path: Path
) -> None:
    scored.run(1, "4.000", answers=answers())
    scored.run(2, "3.900", answers=answers(of={"case-07": 2.0}))
    case = Case("case-07", {"word": "bank", "sentence": "the river's bank"}, reference=["edge", "side"])
    shown = Page(page(made(engine, {"explain": suite_with(tmp_path, [case])}))).cases()
    assert len(shown) == 20
    row = shown["case-07"]
    assert row["input"] == "word: bank\nsentence: the river's bank"
    assert row["reference"] == "edge | side"
    assert (row["before"]["score"], row["now"]["score"], row["change"]) == (4.1, 2.1, -2.0)
    assert row["now"]["answer"] == "answer of case-07"
    assert row["now"]["axes"] == [["quality", 2.1, "because of case-07"]]
    assert shown["case-01"]["input"] is None


def test_a_case_without_a_score_says_why_and_has_no_change(engine: Engine, scored: Scored) -> None:
    before = scored.run(1, "4.000", answers=answers())
    after = scored.run(2, "4.000", answers={k: v for k, v in answers().items() if k not in ("case-01", "case-02")})
    results = CaseResults(engine)
    results.save_responses(
        after.id,
        [Response("case-01", 0, error_class="Timeout", error_text="no answer in 30 s"), Response("new", 0, text="hm")],
    )
    results.save_scores(after.id, [ScoreRow("new", 0, "quality", "quality", Unscored("the judge wrote no number"))])
    shown = Page(page(made(engine))).cases()
    assert shown["case-01"]["now"]["why"] == "no response (Timeout): no answer in 30 s"
    assert (shown["case-01"]["now"]["score"], shown["case-01"]["change"]) == (None, None)
    assert (shown["case-02"]["now"], shown["case-02"]["before"]["score"]) == (None, pytest.approx(4.1))
    assert shown["new"]["before"] is None
    assert shown["new"]["now"]["axes"] == [["quality", None, "the judge wrote no number"]]
    assert before.id != after.id


def test_an_axis_is_the_mean_of_its_repeats_and_the_reasons_are_said_once(scored: Scored) -> None:
    run = scored.run(1, "3.000", key={"repeats": 2})
    rows = [
        ScoreRow("a", repeat, "quality", "quality", Score(value), rationale=why)
        for repeat, value, why in [(0, 2.0, "thin"), (1, 3.0, "thin")]
    ]
    side = sides_of_run(run, [Response("a", 0, text="one"), Response("a", 1, text="two")], rows)["a"]
    assert (side.score, side.answers, side.answer) == (2.5, 2, Excerpt("one", 3))
    assert [(axis.axis, axis.score, axis.said) for axis in side.axes] == [("quality", 2.5, Excerpt("thin", 4))]


def test_runs_that_are_measured_differently_stand_side_by_side_without_changes(engine: Engine, scored: Scored) -> None:
    scored.run(1, "4.000", answers=answers())
    scored.run(2, "3.000", answers=answers(fall=1.0), key={"judge": "strict-2"})
    shown = Page(page(made(engine)))
    assert "× not comparable" in shown.text
    assert "the judge changed (none → strict-2)" in shown.text
    row = shown.cases()["case-07"]
    assert (row["before"]["score"], row["now"]["score"], row["change"]) == (4.1, 3.1, None)


def test_a_missing_number_says_why_and_is_never_a_zero(engine: Engine, scored: Scored) -> None:
    scored.run(1, "4.000", answers=answers())
    text = Page(page(made(engine))).text
    for reason in ("– first of its model", "– not judged yet", "– price unknown", "– there is no valid scheduled run"):
        assert reason in text
    assert "$0" not in text
    assert not re.search(r"[+\u2212]0\.00", text)


def test_the_run_that_is_pinned_as_baseline_is_compared_with_the_one_before_it(engine: Engine, scored: Scored) -> None:
    first = scored.run(1, "4.000", answers=answers())
    last = scored.run(2, "4.000", answers=answers())
    pin_baseline(engine, last.id, "it is good", None, NOW)
    (feature,) = made(engine).features
    assert feature.last is not None
    assert feature.last.cases.before == f"run {first.id}"


def test_a_newest_run_that_cannot_be_trusted_is_told_of_beside_the_last_valid_one(
    engine: Engine, scored: Scored
) -> None:
    valid = scored.run(1, "4.000", answers=answers())
    invalid = scored.run(2, "2.000", status="invalid")
    report = made(engine)
    assert report.features[0].last is not None
    assert report.features[0].last.run.id == valid.id
    assert f"The newest run, {invalid.id} of window 2026-11-03 (scheduled), is invalid" in Page(page(report)).text


def test_a_pair_of_runs_stands_first_with_its_own_cases(engine: Engine, scored: Scored) -> None:
    one = scored.run(1, "4.100", answers=answers())
    scored.run(2, "4.100", answers=answers())
    other = scored.run(3, "3.100", answers=answers(fall=1.0))
    html = page(made(engine, pair=(one.id, other.id)))
    shown = Page(html)
    assert html.index('id="comparison"') < html.index('id="feature-explain"')
    assert f"explain: run {one.id} and run {other.id}" in shown.text
    assert {row["change"] for row in shown.cases(0).values()} == {-1.0}


def test_a_file_of_scores_is_compared_without_texts(engine: Engine, scored: Scored, tmp_path: Path) -> None:
    run = scored.run(1, "4.100", answers=answers())
    file = tmp_path / "scores.csv"
    file.write_text("case_id,score\n" + "".join(f"{case},{score - 0.5}\n" for case, (_, score) in answers().items()))
    row = Page(page(made(engine, pair=(run.id, file)))).cases(0)["case-07"]
    assert (row["change"], row["now"]["answer"], row["before"]["answer"]) == (-0.5, None, "answer of case-07")


def test_a_picture_has_at_most_as_many_runs_as_asked_for_and_the_table_twenty(engine: Engine, scored: Scored) -> None:
    scored.runs([f"4.0{day:02}" for day in range(25)])
    (feature,) = made(engine, limit=3).features
    assert feature.series is not None
    assert len(feature.series.marks) == 3
    html = page(made(engine, limit=3))
    assert "The last 20 scheduled runs" in html
    assert html.count("<svg") == 2


FEW: dict[str, Any] = {"state": "insufficient", "n": 2, "why": "2 of at least 10 traces with a user's message"}


def test_the_drift_of_a_feature_s_inputs_stands_beside_its_trend_with_what_the_newest_day_came_to(
    engine: Engine, scored: Scored
) -> None:
    scored.runs(["4.000", "4.100"])
    scored.runs(["4.000", "4.100"], feature="quiet")
    keep_days(engine, drift_days([None, 0.05, 0.29], of={2: {"farthest": ()}}))
    html = page(made(engine))
    explain, quiet = (html.index(f'id="feature-{name}"') for name in ("explain", "quiet"))
    section = html[explain:quiet] if explain < quiet else html[explain:]
    assert section.count("<svg") == html.count("cosine drift") + 1 == 2
    assert "The newest day, 2026-11-03: ◆ warning : drift 0.290 is above 0.150." in Page(section).text
    assert "tf-low" in section
    assert 'class="pictures"' not in html.replace(section, "")


def test_a_feature_of_which_inputs_alone_are_known_is_in_the_report(engine: Engine) -> None:
    keep_days(engine, drift_days([None, 0.05]))
    shown = Page(page(made(engine))).text
    assert "The newest day, 2026-11-02: ■ ok : drift 0.050 is within 0.150." in shown
    assert "No run has been completed yet" in shown


@pytest.mark.parametrize(
    ("drifts", "last", "named"),
    [
        ([0.05, 0.29], {}, "explain ◆ warning on 2026-11-02."),
        ([0.29, 0.29], {"state": "alerting"}, "explain ▼ alerting on 2026-11-02."),
        ([0.05, 0.29, None], FEW, "explain ◆ warning on 2026-11-02."),
        ([0.29, 0.05], {}, None),
        ([None, None], {}, None),
    ],
)
def test_the_overview_names_the_features_whose_inputs_were_last_above_their_threshold(
    engine: Engine, drifts: list[float | None], last: dict[str, Any], named: str | None
) -> None:
    keep_days(engine, drift_days(drifts, of={len(drifts) - 1: last}))
    keep_days(engine, drift_days([0.05], feature="orders"))
    shown = Page(page(made(engine))).text
    if named is None:
        assert "differs from the days before" not in shown
    else:
        assert f"What users ask differs from the days before: {named}" in shown.replace(" .", ".")


def test_a_drift_that_was_accepted_is_not_named_in_the_overview(engine: Engine) -> None:
    with engine.begin() as connection:
        incident = connection.execute(
            text("""
            INSERT INTO evalops.incidents (fingerprint, kind, feature, state, opened_at, resolved_at, resolution)
            VALUES ('drift:explain', 'drift', 'explain', 'resolved', '2026-11-03', '2026-11-04', 'accepted')
            RETURNING id
        """)
        ).scalar_one()
    keep_days(engine, drift_days([0.05, 0.29], of={1: {"state": "alerting", "incident_id": incident}}))
    shown = Page(page(made(engine))).text
    assert "differs from the days before" not in shown
    assert f"▼ alerting : drift 0.290 is above 0.150. incident {incident}, accepted" in shown


def test_what_stands_in_a_day_cannot_become_markup(engine: Engine) -> None:
    keep_days(engine, drift_days([0.05, 0.29], feature=HOSTILE, why=HOSTILE))
    shown = Page(page(made(engine)))
    assert not [tag for tag, _ in shown.elements if tag == "img"]
    assert len(shown.scripts) == 2


@pytest.fixture
def hostile(engine: Engine, scored: Scored, tmp_path: Path) -> str:
    """A page in which everything that comes from elsewhere would be markup if it could."""
    said = {**answers(), "case-07": (HOSTILE, 2.0)}
    scored.run(1, "4.000", answers=said)
    last = scored.run(2, "4.000", answers=said, model=HOSTILE, feature="explain", key={"judge": HOSTILE})
    row = ScoreRow("case-07", 0, "quality", "quality", Score(2.0), rationale=HOSTILE)
    CaseResults(engine).save_scores(last.id, [row])
    scored.run(3, "1.000", feature=HOSTILE, answers={HOSTILE: (HOSTILE, 1.0), **answers()})
    scored.run(4, None, status="invalid", feature="explain", model=HOSTILE)
    suite = suite_with(tmp_path, [Case("case-07", {"input": HOSTILE}, reference=HOSTILE)])
    suite = replace(suite, description=HOSTILE, owner=HOSTILE)
    return page(made(engine, {"explain": suite}, broken={"torn": HOSTILE}))


def test_a_model_s_text_cannot_become_markup(hostile: str) -> None:
    shown = Page(hostile)
    assert not [tag for tag, _ in shown.elements if tag in ("img", "iframe", "object", "embed", "link", "base")]
    assert not [name for _, attributes in shown.elements for name in attributes if name.startswith("on")]
    kinds = [attributes.get("type") for tag, attributes in shown.elements if tag == "script"]
    assert kinds == ["application/json"] * 2 + [None] * 2
    explain = next(table for table in (shown.cases(0), shown.cases(1)) if HOSTILE not in table)
    said = HOSTILE.replace("\u2028", "\n")
    assert explain["case-07"]["now"]["answer"] == said
    assert explain["case-07"]["now"]["axes"][0][2] == said
    assert (explain["case-07"]["input"], explain["case-07"]["reference"]) == (said, said)
    for document in shown.scripts[:2]:
        assert not set(document) & set("<>&\u2028\u2029")


def test_the_page_loads_nothing_and_runs_only_its_own_scripts(hostile: str) -> None:
    shown = Page(hostile)
    (policy,) = [a["content"] for _, a in shown.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    rules = {name: rest for name, _, rest in (part.strip().partition(" ") for part in policy.split(";"))}
    assert (rules["default-src"], rules["img-src"], rules["base-uri"]) == ("'none'", "data:", "'none'")
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in shown.scripts[2:]]
    assert rules["script-src"].split() == [f"'sha256-{digest}'" for digest in digests]
    addresses = [a.get(name) or "" for _, a in shown.elements for name in ("src", "href", "action", "srcset")]
    assert all(address == "" or address.startswith("#") for address in addresses)
    style = hostile[hostile.index("<style>") : hostile.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    for script in shown.scripts[2:]:
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|fetch\(|XMLHttp", script)
        assert "<!--" not in script


@pytest.mark.process
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed to open the page with")
def test_a_browser_shows_the_cases_and_no_text_of_theirs_acts(hostile: str, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(hostile, encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    window = ["--window-size=1400,9000", f"--user-data-dir={tmp_path / 'browser'}", "--virtual-time-budget=5000"]
    command = [str(BROWSER), *options, *window, "--dump-dom", file.as_uri()]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    shown = Page(said.stdout)
    assert "10 shown of 20 cases." in shown.text
    assert "Evaluation report, 2026-12-01 08:30 UTC" in shown.text
    assert shown.text.count("<img src=x onerror=") >= 2  # as text
    assert not [tag for tag, _ in shown.elements if tag == "img"]
    assert [a.get("aria-pressed") for _, a in shown.elements if a.get("data-order") == "worst"] == ["true", "true"]


def test_a_long_text_is_cut_and_its_length_known() -> None:
    said = excerpt("x" * 100_000)
    assert said == Excerpt("x" * LONGEST, 100_000, cut=True)
    assert excerpt("x" * LONGEST) == Excerpt("x" * LONGEST, LONGEST)
    assert excerpt("") is None


def test_what_hides_or_reorders_text_is_shown_by_its_code() -> None:
    said = excerpt("pay \u202eevil\u2069 \U000e0041\x1b[31m \ud800\r\nend")
    assert said is not None
    assert said.text == "pay ⟨U+202E⟩evil⟨U+2069⟩ ⟨U+E0041⟩⟨U+001B⟩[31m \ufffd\nend"


def test_line_breaks_and_indentation_stay() -> None:
    code = "def f(x):\n    return '<b>'\n\n\tשלום 👩‍👩‍👧"
    assert excerpt(code) == Excerpt(code, len(code))


def table(count: int, length: int) -> Cases:
    text = excerpt("x" * length)
    row = CaseRow(case_id="a", input=text, reference=None, before=None, now=CaseSide(score=3.0), change=None)
    return Cases(now="run 2", before=None, rows=(row,) * count)


def test_many_long_texts_are_cut_shorter_so_that_a_browser_opens_them_at_once() -> None:
    assert characters_each([table(10, 4000)]) == LONGEST
    assert characters_each([table(10, 4000), table(10, 4000)], most=60_000) == 1500
    assert characters_each([table(10, 100)], most=60_000) == LONGEST
    assert characters_each([table(10, 4000)], most=1) == 200
    document = json.loads(payloads({"one": table(1, 9000)})["one"])
    assert document["cases"][0]["input"] == ["x" * LONGEST, 9000]


def test_cases_of_both_runs_are_paired_by_id() -> None:
    rows = paired({"a": CaseSide(score=3.0), "gone": CaseSide(score=2.0)}, {"a": CaseSide(score=4.5)}, (), alike=True)
    assert [(row.case_id, row.change) for row in rows] == [("a", 1.5), ("gone", None)]
    assert rows[1].now is None


def test_the_deltas_of_the_overview_are_those_of_the_trend(engine: Engine, scored: Scored) -> None:
    scored.runs(["4.000", "3.550"])
    (feature,) = made(engine).features
    assert feature.row is not None
    assert feature.row.delta == Decimal("-0.450")
    assert "▼ \u22120.45" in Page(page(made(engine))).text
