import base64
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalops_core.domain.mail import Mail
from evalops_core.mail.body import LONGEST_HTML, MOST_ITEMS
from evalops_core.mail.compose import compose, standalone_html
from evalops_core.mail.facts import Firing, Letter, Reminder, Resolved
from tests.mail.letters import (
    CASE,
    DRIFT,
    DRIFT_REMINDER,
    DRIFT_RESOLVED,
    HOSTILE,
    LETTERS,
    NO_DATA,
    REGRESSION,
    REMINDER,
    RESOLVED,
    UI,
    firing,
    hostile,
    hostile_drift,
)
from tests.mail.reading import read

EVERY_LETTER = pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS.keys())


def both(mail: Mail) -> tuple[str, str]:
    """What a reader of the HTML and one of the plain text see, spaces as one."""
    return read(mail.html).text, " ".join(mail.text.split())


@EVERY_LETTER
def test_the_same_letter_makes_the_same_mail(letter: Letter) -> None:
    assert compose(letter) == compose(letter)


@EVERY_LETTER
def test_a_mail_loads_nothing_and_runs_nothing(letter: Letter) -> None:
    mail = compose(letter)
    page = read(mail.html)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "embed", "form", "svg", "base"}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert [image["src"] for image in page.of("img")] == [f"cid:{image.cid}" for image in mail.images]
    assert "url(" not in mail.html
    assert "@import" not in mail.html
    assert all((link["href"] or "").startswith(UI) for link in page.of("a"))


@EVERY_LETTER
def test_the_html_is_well_nested_and_made_for_phones_and_dark_screens(letter: Letter) -> None:
    page = read(compose(letter).html)
    assert page.open == []
    assert {"name": "viewport", "content": "width=device-width,initial-scale=1"} in page.of("meta")
    assert {"name": "color-scheme", "content": "light dark"} in page.of("meta")


@EVERY_LETTER
def test_a_mail_can_be_stored(letter: Letter) -> None:
    mail = compose(letter)
    for text in (mail.subject, mail.html, mail.text, *(image.alt for image in mail.images)):
        assert "\x00" not in text
        text.encode()
    assert Mail.from_json(mail.as_json()) == mail


@pytest.mark.parametrize(
    "fact",
    [
        "explain",
        "gpt-5-mini",
        "2026-11-24",
        "4.20 → 3.60",
        "−0.60",
        "Scored cases",
        "50",
        "0.08",
        "a drop of 0.50",
        "run 41 (2026-11-23)",
        "2 cases only in the run before",
        "code (git): 3f2a9c1 → 8be0d44",
        "prompt: 11 → 22",
        "Unchanged: cases: 33.",
        "sky",
        "5.00 → 1.50 −3.50",
        CASE.input,
        CASE.reference,
        CASE.answer_before,
        CASE.answer_after,
        CASE.why,
        "evalops incidents ack 7",
        "evalops incidents silence 7 --until 2026-12-01",
        'evalops incidents accept 7 --reason "…"',
    ],
)
def test_a_regression_is_told_in_full_in_html_and_in_plain_text(fact: str) -> None:
    html, text = both(compose(firing()))
    assert fact in html
    assert fact in text


def test_a_regression_leads_to_the_asset_and_the_run() -> None:
    mail = compose(firing())
    links = [link["href"] for link in read(mail.html).of("a")]
    for url in (REGRESSION.asset_url, REGRESSION.run_url):
        assert url in links
        assert url in mail.text.split()


def test_the_picture_is_in_the_mail_and_says_in_words_what_it_shows() -> None:
    (image,) = compose(firing()).images
    assert image.png.startswith(b"\x89PNG")
    assert image.alt == (
        "Score of explain over 5 runs, lately 2026-11-22 4.15, 2026-11-23 4.20, 2026-11-24 3.60; "
        "baseline 4.20, threshold 3.70"
    )


def test_without_points_there_is_no_picture() -> None:
    assert compose(firing(replace(REGRESSION, points=()))).images == ()


def test_hostile_texts_are_shown_as_text() -> None:
    html, text = both(compose(firing(hostile())))
    shown = (
        "<script>alert(1)</script><img src=https://evil.example/x.png onerror=alert(1)></td></table><!-- {{ 7 * 7 }}"
    )
    assert html.count(shown) >= 20
    assert text.count(shown) >= 20
    assert "49" not in html
    assert "gnp\ufffd &lt;b&gt; \"'" in html
    assert not set(html + text) & set("\x00\x1b\u202e\u2066")


def test_no_line_of_a_cases_text_is_taken_for_the_mails_own() -> None:
    forged = "fine\n\nWhat to do about it:\n  evalops incidents accept 7"
    mail = compose(firing(replace(REGRESSION, fallen=(replace(CASE, answer_after=forged),))))
    assert [line for line in mail.text.splitlines() if line.startswith("What to do")] == ["What to do about it:"]
    assert "      > What to do about it:" in mail.text.splitlines()


@settings(max_examples=20, deadline=None)
@given(st.text(max_size=200))
def test_whatever_a_case_says_the_page_stays_whole(text: str) -> None:
    item = replace(hostile(text), points=(), fewer_cases=None)
    page = read(compose(firing(item)).html)
    usual = read(compose(firing(replace(hostile("x"), points=(), fewer_cases=None))).html)
    assert page.open == []
    assert [tag for tag, _ in page.tags if tag not in ("br", "div")] == [
        tag for tag, _ in usual.tags if tag not in ("br", "div")
    ]


@pytest.mark.parametrize("text", ["word " * 20_000, '"' * 100_000, "字" * 100_000, "a\n" * 50_000, "&<>" * 40_000])
def test_long_texts_are_cut_so_that_no_mail_reader_hides_the_end(text: str) -> None:
    many = [replace(hostile(text), incident_id=at, feature=f"f{at}", points=()) for at in range(8)]
    mail = compose(firing(*many))
    assert len(mail.html.encode()) <= LONGEST_HTML
    assert len(mail.text.encode()) <= LONGEST_HTML
    assert "…" in mail.text


def test_the_five_cases_of_a_regression_are_told_with_300_characters_each() -> None:
    long = "a sentence of many words " * 100
    cases = tuple(replace(CASE, case_id=f"case-{at}", input=long) for at in range(5))
    html, text = both(compose(firing(replace(REGRESSION, fallen=cases))))
    for shown in (html, text):
        assert all(f"case-{at}" in shown for at in range(5))
        assert shown.count(long[:275].rstrip()) == 5
        assert long[:320] not in shown


def test_every_one_of_many_incidents_is_listed_and_the_worst_are_told_in_full() -> None:
    many = [
        replace(REGRESSION, incident_id=100 + at, feature=f"feature-{at:02}", drop=Decimal(f"0.{50 + at}"))
        for at in range(12)
    ]
    mail = compose(firing(*many))
    html, text = both(mail)
    for shown in (html, text):
        assert all(f"feature-{at:02}" in shown and f"incident {100 + at}" in shown for at in range(12))
        assert "evalops incidents ack 111" in shown
        assert "evalops incidents ack 100" not in shown
    assert [image.cid for image in mail.images] == [f"trend-{111 - at}" for at in range(MOST_ITEMS)]


def test_an_incident_beyond_what_a_mail_can_list_is_counted() -> None:
    many = [replace(NO_DATA, incident_id=at, feature=f"feature-{at}") for at in range(70)]
    for shown in both(compose(firing(*many))):
        assert "and 20 more" in shown


def test_what_is_not_known_is_said_and_never_a_zero() -> None:
    item = replace(REGRESSION, n=None, se=None, fewer_cases=None, run_url=None, model_id=None, unchanged=())
    html, text = both(compose(firing(item)))
    for shown in (html, text):
        assert "not recorded" in shown
        assert "not known" in shown
        assert "None" not in shown
        assert "Unchanged" not in shown


def test_a_case_without_a_score_now_has_a_reason_instead() -> None:
    case = replace(CASE, after=None, answer_after=None, why="the judge's reply was no JSON")
    html, text = both(compose(firing(replace(REGRESSION, fallen=(case,)))))
    for shown in (html, text):
        assert "5.00 → no score" in shown
        assert "Why no score" in shown
        assert "the judge's reply was no JSON" in shown
        assert "Answer now" not in shown


def test_that_nothing_recorded_changed_is_said_in_words() -> None:
    for shown in both(compose(firing(replace(REGRESSION, changes=())))):
        assert "Nothing that EvalOps records." in shown


def test_without_the_baselines_run_nothing_is_said_about_changes() -> None:
    gone = replace(REGRESSION, changes=(), unchanged=(), baseline_run=None, baseline_window=None)
    for shown in both(compose(firing(gone))):
        assert "Not known: the run that this one was compared with is gone." in shown
        assert "Nothing that EvalOps records" not in shown
        assert "None" not in shown


def test_redacted_cases_keep_their_numbers_and_say_why_there_is_no_text() -> None:
    case = replace(CASE, input=None, reference=None, answer_before=None, answer_after=None, why=None)
    html, text = both(compose(firing(replace(REGRESSION, fallen=(case,), texts_included=False))))
    for shown in (html, text):
        assert "5.00 → 1.50 −3.50" in shown
        assert "are kept out of this feature" in shown
        assert "Answer" not in shown.replace("answers", "")


def test_an_empty_answer_is_said_to_be_empty() -> None:
    html, text = both(compose(firing(replace(REGRESSION, fallen=(replace(CASE, answer_after=" \n\x00"),)))))
    assert "Answer now (empty)" in html
    assert "Answer now: > (empty)" in text


def test_missing_data_is_told_with_what_became_of_the_last_runs() -> None:
    html, text = both(compose(firing(NO_DATA)))
    for shown in (html, text):
        assert "Nothing valid for 36 h" in shown
        assert "2026-11-22 18:05 UTC" in shown
        assert "24 h" in shown
        assert "2026-11-23: failed, the endpoint answered 401" in shown
        assert "evalops incidents ack 10" in shown
        assert "accept" not in shown


def test_a_feature_that_never_had_data_is_said_to_be_watched() -> None:
    never = replace(NO_DATA, last_valid_at=None, as_of=None, why=None)
    for shown in both(compose(firing(never))):
        assert "Nothing valid since 2026-10-01 00:00 UTC" in shown
        assert "none since it is watched" in shown
        assert "no run started" in shown


@pytest.mark.parametrize(
    "fact",
    [
        "Input drift",
        "explain",
        "0.231",
        "threshold 0.150",
        "What users ask has moved: it is farther from what they asked on the days before",
        "The score may still be fine; golden cases may no longer stand for what is asked.",
        "2026-11-24 (UTC)",
        "2 days",
        "50 prompts",
        "7 good days, 2026-11-14 to 2026-11-21",
        "embed-small",
        "a fixed threshold",
        "trace-9",
        "distance 0.812",
        "Write my tax return for me.",
        "trace-4",
        "Its trace is not kept any more.",
        "Look at the prompts",
        "Add cases like them to the suite",
        "evalops incidents ack 12",
        "evalops incidents silence 12 --until 2026-12-01",
        'evalops incidents accept 12 --reason "…"',
        "This is how people ask from now on",
    ],
)
def test_a_drift_is_told_in_full_in_html_and_in_plain_text(fact: str) -> None:
    html, text = both(compose(firing(DRIFT)))
    assert fact in html
    assert fact in text


def test_a_drift_leads_to_its_asset_and_its_picture_says_in_words_what_it_shows() -> None:
    mail = compose(firing(DRIFT))
    assert DRIFT.asset_url in [link["href"] for link in read(mail.html).of("a")]
    assert DRIFT.asset_url in mail.text.split()
    (image,) = mail.images
    assert image.cid == "drift-12"
    assert image.png.startswith(b"\x89PNG")
    assert image.alt == (
        "Input drift of explain over 7 days, lately 2026-11-22 not compared, 2026-11-23 0.190, 2026-11-24 0.231; "
        "threshold 0.150"
    )
    assert "2026-11-22  not compared (insufficient)" in mail.text
    assert compose(firing(replace(DRIFT, points=()))).images == ()


def test_a_learned_threshold_says_how_often_chance_exceeds_it() -> None:
    for shown in both(compose(firing(replace(DRIFT, rule="auto", alpha=0.005)))):
        assert "chance alone exceeds it on 0.5% of days" in shown


def test_hostile_prompts_are_shown_as_text() -> None:
    html, text = both(compose(firing(hostile_drift())))
    shown = (
        "<script>alert(1)</script><img src=https://evil.example/x.png onerror=alert(1)></td></table><!-- {{ 7 * 7 }}"
    )
    for page in (html, text):
        assert page.count(shown) >= 6  # the prompts and why; names are cut
        assert "49" not in page
        assert not set(page) & set("\x00\x1b\u202e\u2066")


def test_no_line_of_a_prompt_is_taken_for_the_mails_own() -> None:
    forged = "fine\n\nWhat to do about it:\n  evalops incidents accept 12"
    prompt = replace(DRIFT.farthest[0], text=forged)
    lines = compose(firing(replace(DRIFT, farthest=(prompt,)))).text.splitlines()
    assert [line for line in lines if line.startswith("What to do")] == ["What to do about it:"]
    assert "      > What to do about it:" in lines


@pytest.mark.parametrize("text", ["word " * 20_000, "字" * 100_000, "&<>" * 40_000])
def test_long_prompts_are_cut_so_that_no_mail_reader_hides_the_end(text: str) -> None:
    many = [replace(hostile_drift(text), incident_id=at, feature=f"f{at}", points=()) for at in range(8)]
    assert len(compose(firing(*many)).html.encode()) <= LONGEST_HTML


def test_prompts_that_are_kept_out_keep_their_ids_and_the_mail_says_what_would_show_them() -> None:
    prompts = tuple(replace(prompt, text=None) for prompt in DRIFT.farthest)
    for shown in both(compose(firing(replace(DRIFT, farthest=prompts, texts_included=False)))):
        assert "trace-9" in shown
        assert "What was asked is kept out of this mail." in shown
        assert "`drift: {include_texts: true}`" in shown
        assert "not kept any more" not in shown, "nobody looked"


def test_a_drift_of_which_nothing_is_left_has_no_numbers() -> None:
    gone = replace(
        DRIFT,
        day=None,
        drift=None,
        threshold=None,
        rule=None,
        days_in_a_row=None,
        n=None,
        baseline_days=(),
        embedding_model=None,
        why="",
        points=(),
        farthest=(),
    )
    for shown in both(compose(firing(gone, NO_DATA))):
        assert "None" not in shown
        assert "0.0" not in shown
        assert "their rows are gone" in shown


def test_each_kind_is_counted_and_told_in_its_own_card() -> None:
    mail = compose(firing(NO_DATA, DRIFT, replace(DRIFT, incident_id=13, feature="extract"), REGRESSION))
    html, text = both(mail)
    assert "Eval regression: 1 incident, input drift: 2 features, no eval data: 1 feature" in html
    for shown in (html, text):
        assert shown.index("4.20 → 3.60") < shown.index("0.231") < shown.index("Nothing valid for 36 h")
    assert [image.cid for image in mail.images] == ["trend-7", "drift-12", "drift-13"]
    only_drift = both(compose(firing(DRIFT, replace(DRIFT, incident_id=13, feature="extract"))))[0]
    assert "Input drift: 2 features" in only_drift


def test_a_drift_that_is_over_is_told_with_the_day_that_ended_it_and_how_long_it_lasted() -> None:
    for shown in both(compose(Resolved(items=(DRIFT_RESOLVED,), ui_url=UI))):
        for fact in ("hat users ask is as before again", "0.082", "0.150", "2026-11-26", "2 days"):
            assert fact in shown
        assert "Reference" not in shown
    unknown = replace(DRIFT_RESOLVED, window=None, drift=None, threshold=None, days=None)
    for shown in both(compose(Resolved(items=(unknown,), ui_url=UI))):
        assert "None" not in shown


def test_a_reminder_of_a_drift_tells_where_it_was_last_and_how_to_accept_it() -> None:
    for shown in both(compose(Reminder(items=(DRIFT_REMINDER,), ui_url=UI))):
        for fact in ("input drift", "0.244", "threshold 0.150", "2026-11-25", "2 days", "incidents accept 12"):
            assert fact in shown
        assert "The new score is meant" not in shown


def test_a_resolved_incident_is_told_with_both_scores_and_how_long_it_was_open() -> None:
    html, text = both(compose(Resolved(items=(RESOLVED,), ui_url=UI)))
    for shown in (html, text):
        assert "4.15" in shown
        assert "4.20" in shown
        assert "24 h" in shown


def test_a_resolved_gap_needs_no_scores() -> None:
    gap = replace(RESOLVED, kind="no_data", model_id=None, window=None, reference=None, current=None)
    for shown in both(compose(Resolved(items=(gap,), ui_url=UI))):
        assert "eval data again" in shown
        assert "None" not in shown
        assert "Reference" not in shown


def test_a_reminder_tells_since_when_and_how_to_end_it() -> None:
    items = (
        REMINDER,
        replace(REMINDER, incident_id=8, feature="extract", kind="no_data", reference=None, current=None),
    )
    for shown in both(compose(Reminder(items=items, ui_url=UI))):
        assert "2026-11-24 06:05 UTC" in shown
        assert "4.20 → 3.60" in shown
        assert "extract" in shown
        assert "evalops incidents silence 7 --until YYYY-MM-DD" in shown


def test_only_web_addresses_become_links() -> None:
    item = replace(REGRESSION, asset_url="javascript:alert(1)", run_url=None)
    mail = compose(Firing(items=(item,), ui_url=""))
    assert read(mail.html).of("a") == []
    assert "javascript" not in mail.html


def test_a_letter_about_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        compose(Firing(items=(), ui_url=UI))


def test_the_page_as_a_file_holds_its_pictures_and_nothing_else_changes() -> None:
    mail = compose(firing(replace(hostile(HOSTILE + ' src="cid:trend-7"'), incident_id=7)))
    alone = standalone_html(mail)
    data = base64.b64encode(mail.images[0].png).decode()
    assert [image["src"] for image in read(alone).of("img")] == [f"data:image/png;base64,{data}"]
    assert read(alone).text == read(mail.html).text


def test_incidents_with_similar_numbers_keep_their_own_pictures() -> None:
    mail = compose(firing(REGRESSION, replace(REGRESSION, incident_id=77, feature="extract")))
    assert [image.cid for image in mail.images] == ["trend-7", "trend-77"]
    assert "cid:" not in standalone_html(mail)
