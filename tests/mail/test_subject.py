import unicodedata
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalops_core.mail.facts import Letter, Reminder, Resolved, Test
from evalops_core.mail.subject import LONGEST_SUBJECT, subject
from tests.mail.letters import (
    DRIFT,
    DRIFT_REMINDER,
    DRIFT_RESOLVED,
    LETTERS,
    NO_DATA,
    REGRESSION,
    REMINDER,
    RESOLVED,
    UI,
    firing,
)


@pytest.mark.parametrize(
    ("letter", "said"),
    [
        (firing(), "Eval regression: explain (gpt-5-mini) 4.20 → 3.60, −0.60"),
        (firing(replace(REGRESSION, model_id=None)), "Eval regression: explain 4.20 → 3.60, −0.60"),
        (firing(NO_DATA), "No eval data: translate (nothing valid for 36 h)"),
        (firing(replace(NO_DATA, as_of=None)), "No eval data: translate (nothing valid since 2026-11-22 18:05 UTC)"),
        (firing(NO_DATA, replace(NO_DATA, feature="explain")), "No eval data: translate, explain"),
        (firing(NO_DATA, REGRESSION), "Eval regression: explain (gpt-5-mini) 4.20 → 3.60, −0.60; no data: translate"),
        (firing(DRIFT), "Input drift: explain 0.231 (threshold 0.150)"),
        (firing(replace(DRIFT, drift=None, threshold=None)), "Input drift: explain"),
        (firing(NO_DATA, DRIFT), "Input drift: explain 0.231 (threshold 0.150); no data: translate"),
        (
            firing(NO_DATA, DRIFT, REGRESSION),
            "Eval regression: explain (gpt-5-mini) 4.20 → 3.60, −0.60; drift: explain; no data: translate",
        ),
        (Resolved(items=(DRIFT_RESOLVED,), ui_url=UI), "Resolved: explain is asked as before again (drift 0.082)"),
        (
            Resolved(items=(replace(DRIFT_RESOLVED, drift=None),), ui_url=UI),
            "Resolved: explain is asked as before again",
        ),
        (Reminder(items=(DRIFT_REMINDER,), ui_url=UI), "Still open: explain input drift 0.244"),
        (Resolved(items=(RESOLVED,), ui_url=UI), "Resolved: explain (gpt-5-mini) is back at 4.15"),
        (
            Resolved(items=(replace(RESOLVED, kind="no_data", model_id=None, current=None),), ui_url=UI),
            "Resolved: explain has eval data again",
        ),
        (Resolved(items=(replace(RESOLVED, current=None),), ui_url=UI), "Resolved: explain (gpt-5-mini)"),
        (Reminder(items=(REMINDER,), ui_url=UI), "Still open: explain (gpt-5-mini) 4.20 → 3.60"),
        (Reminder(items=(replace(REMINDER, current=None),), ui_url=UI), "Still open: explain (gpt-5-mini)"),
        (Test(ui_url=UI), "Test mail"),
    ],
)
def test_a_subject_says_what_happened(letter: Letter, said: str) -> None:
    assert subject(letter) == f"[EvalOps] {said}"


def test_several_regressions_are_named_furthest_fallen_first() -> None:
    items = [
        replace(REGRESSION, incident_id=at, feature=name, drop=Decimal(drop))
        for at, (name, drop) in enumerate([("extract", "0.55"), ("explain", "0.6"), ("summarise", "0.51")])
    ]
    said = "[EvalOps] Eval regression in 3 features: explain −0.60, extract −0.55, summarise −0.51"
    assert subject(firing(*items)) == said


def test_several_drifts_are_named_by_how_many_times_their_threshold_they_are() -> None:
    items = [
        replace(DRIFT, incident_id=at, feature=name, drift=drift, threshold=threshold)
        for at, (name, drift, threshold) in enumerate(
            [("gone", None, None), ("extract", 0.3, 0.2), ("explain", 0.2, 0.05), ("summarise", 0.6, 0.3)]
        )
    ]
    said = "[EvalOps] Input drift in 4 features: explain 0.200, summarise 0.600, extract 0.300, gone"
    assert subject(firing(*items)) == said


def test_two_models_of_one_feature_are_one_feature() -> None:
    said = subject(firing(REGRESSION, replace(REGRESSION, incident_id=8, model_id="other")))
    assert said.startswith("[EvalOps] Eval regression in 1 feature: ")


def test_many_regressions_end_in_an_ellipsis() -> None:
    said = subject(firing(*(replace(REGRESSION, incident_id=at, feature=f"feature-{at:02}") for at in range(40))))
    assert said.startswith("[EvalOps] Eval regression in 40 features: feature-00 −0.60, ")
    assert said.endswith(", …")
    assert len(said) <= LONGEST_SUBJECT


@given(st.text() | st.text(alphabet="\r\n\x00\x7f\u2028\u202e\ud83da"), st.text(alphabet="a \r\nBcc:", min_size=200))
def test_a_subject_is_one_line_whatever_a_model_calls_itself(model: str, long: str) -> None:
    for name in (model, long):
        said = subject(firing(replace(REGRESSION, model_id=name)))
        assert len(said) <= LONGEST_SUBJECT
        assert not [letter for letter in said if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")]
        assert not set(said) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
        assert said.endswith("4.20 → 3.60, −0.60")


def test_every_kind_of_letter_has_a_subject() -> None:
    assert all(subject(letter).startswith("[EvalOps] ") for letter in LETTERS.values())
