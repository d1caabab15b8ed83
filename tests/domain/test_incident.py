"""What facts do to incidents."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from evalops_core.domain.incident import (
    GoesOn,
    Incident,
    Opens,
    Recovers,
    after_verdict,
    fingerprint,
    is_silent,
    lacks_data,
    wants_reminder,
)
from evalops_core.domain.regression import Verdict, VerdictOutcome

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
DROP = Decimal("0.5")
OPEN = Incident(
    id=1,
    kind="regression",
    feature="explain",
    model_id="m",
    state="firing",
    opened_at=NOW - timedelta(days=2),
    reference=Decimal("4.200"),
    current=Decimal("3.600"),
)


def found(outcome: VerdictOutcome, current: str | None, prior: str | None = None) -> Verdict:
    severity = "page" if outcome == "regressed" else "none"
    return Verdict(
        run=9,
        outcome=outcome,
        severity=severity,
        why="because",
        current=None if current is None else Decimal(current),
        prior=None if prior is None else Decimal(prior),
    )


def test_a_regression_opens_an_incident_whose_reference_is_the_score_before_the_drop() -> None:
    change = after_verdict(None, found("regressed", "3.600", "4.200"), DROP, measured_alike=True)
    assert change == Opens(Decimal("4.200"), Decimal("3.600"))


@pytest.mark.parametrize("outcome", ["stable", "improved", "no_baseline", "not_comparable", "inconclusive"])
def test_nothing_else_opens_one(outcome: VerdictOutcome) -> None:
    assert after_verdict(None, found(outcome, "3.600", "4.200"), DROP, measured_alike=True) is None


def test_a_warning_opens_none() -> None:
    warned = replace(found("regressed", "3.600", "4.200"), severity="warn")
    assert after_verdict(None, warned, DROP, measured_alike=True) is None


@pytest.mark.parametrize(
    ("outcome", "current"),
    [("regressed", "3.000"), ("stable", "3.600"), ("improved", "3.940"), ("stable", "3.949"), ("no_baseline", "3.0")],
)
def test_an_open_one_goes_on_whatever_the_run_before_scored(outcome: VerdictOutcome, current: str) -> None:
    change = after_verdict(OPEN, found(outcome, current), DROP, measured_alike=True)
    assert change == GoesOn(Decimal(current))


@pytest.mark.parametrize("current", ["3.950", "4.200", "5.000"])
def test_it_is_over_once_the_score_is_within_half_a_drop_of_its_reference(current: str) -> None:
    assert after_verdict(OPEN, found("stable", current), DROP, measured_alike=True) == Recovers(Decimal(current))


def test_a_score_measured_otherwise_says_nothing_about_it() -> None:
    assert after_verdict(OPEN, found("not_comparable", "5.000"), DROP, measured_alike=False) is None
    assert after_verdict(OPEN, found("stable", "5.000"), DROP, measured_alike=False) is None


def test_a_run_without_a_score_changes_nothing() -> None:
    assert after_verdict(OPEN, found("inconclusive", None), DROP, measured_alike=True) is None


def test_a_fingerprint_keeps_features_models_and_kinds_apart() -> None:
    marks = {
        fingerprint("regression", "explain", "m"),
        fingerprint("regression", "explain", "n"),
        fingerprint("regression", "extract", "m"),
        fingerprint("no_data", "explain"),
    }
    assert len(marks) == 4


@pytest.mark.parametrize(
    ("hours_since_valid", "hours_watched", "lacks"),
    [(36, 100, False), (36.1, 100, True), (None, 36, False), (None, 36.1, True), (100, 10, False), (1, 100, False)],
)
def test_data_is_lacking_after_one_and_a_half_intervals_without_a_valid_result(
    hours_since_valid: float | None, hours_watched: float, lacks: bool
) -> None:
    last = None if hours_since_valid is None else NOW - timedelta(hours=hours_since_valid)
    assert lacks_data(NOW, 24, last, NOW - timedelta(hours=hours_watched)) is lacks


def test_a_silence_ends_at_its_instant() -> None:
    assert is_silent(NOW + timedelta(seconds=1), NOW)
    assert not is_silent(NOW, NOW)
    assert not is_silent(None, NOW)


def test_an_open_incident_is_brought_to_mind_once_a_day_unless_somebody_took_it_on() -> None:
    assert wants_reminder(OPEN, NOW)
    assert not wants_reminder(replace(OPEN, reminded_at=NOW - timedelta(hours=23)), NOW)
    assert wants_reminder(replace(OPEN, reminded_at=NOW - timedelta(hours=24)), NOW)
    assert not wants_reminder(replace(OPEN, opened_at=NOW - timedelta(hours=23)), NOW)
    assert not wants_reminder(replace(OPEN, acknowledged_at=NOW), NOW)
    assert not wants_reminder(replace(OPEN, state="silenced", silenced_until=NOW + timedelta(days=1)), NOW)
    assert not wants_reminder(replace(OPEN, state="resolved", resolved_at=NOW), NOW)
