"""The verdict: the fixed-drop rule's every case, and what is never compared."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalops_core.domain.comparability import ComparabilityKey
from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.regression import fixed_drop, verdict
from evalops_core.domain.suite import RegressionSpec

START = datetime(2026, 11, 1, tzinfo=timezone.utc)
RULES = RegressionSpec()
SCORES = st.decimals("1", "5", places=3)


def run(number: int, score: str | Decimal | None, **changed: Any) -> EvalRun:
    """Scheduled and completed, of day `number`."""
    start = START + timedelta(days=number)
    given: dict[str, Any] = {
        "id": number,
        "feature": "explain",
        "window_start": start,
        "window_end": start + timedelta(days=1),
        "partition_key": f"{start:%Y-%m-%d}",
        "run_type": "scheduled",
        "status": "completed",
        "comparability": ComparabilityKey("d", "p", "s", "m"),
        "plan_key": "plan",
        "created_at": start,
        "model_id": "m",
        "score": None if score is None else Decimal(score),
    }
    return EvalRun(**{**given, **changed})


@pytest.mark.parametrize(
    ("prior", "current", "outcome"),
    [
        ("4.200", "3.600", "regressed"),
        ("4.200", "3.700", "regressed"),  # exactly at the threshold counts
        ("4.200", "3.701", "stable"),
        ("4.200", "4.200", "stable"),
        ("4.200", "4.699", "stable"),
        ("4.200", "4.700", "improved"),
        ("4.200", "5.000", "improved"),
    ],
)
def test_a_drop_of_the_threshold_or_more_is_a_regression_and_a_rise_of_as_much_an_improvement(
    prior: str, current: str, outcome: str
) -> None:
    found = verdict(run(2, current), [run(1, prior)], RULES)
    assert (found.outcome, found.rule, found.baseline_run) == (outcome, "fixed_drop", 1)
    assert (found.prior, found.current) == (Decimal(prior), Decimal(current))
    assert found.drop == Decimal(prior) - Decimal(current)
    assert found.severity == ("page" if outcome == "regressed" else "none")
    assert found.why


def test_scores_are_compared_as_decimals_where_floats_would_miss_the_threshold() -> None:
    assert 4.1 - 3.6 < 0.5, "the case that floats get wrong"
    assert verdict(run(2, "3.600"), [run(1, "4.100")], RULES).outcome == "regressed"


def test_the_threshold_is_the_suites_own() -> None:
    assert verdict(run(2, "4.000"), [run(1, "4.200")], RegressionSpec(drop=Decimal("0.2"))).outcome == "regressed"


def test_without_an_earlier_run_there_is_no_baseline() -> None:
    found = verdict(run(1, "1.000"), [], RULES)
    assert (found.outcome, found.severity, found.baseline_run, found.drop) == ("no_baseline", "none", None, None)
    assert found.current == Decimal("1.000")


@pytest.mark.parametrize(
    "other",
    [
        {"feature": "extract"},
        {"model_id": "another"},
        {"run_type": "manual"},
        {"status": "invalid"},
        {"status": "partial"},
        {"status": "failed"},
        {"status": "running"},
        {"score": None},
    ],
    ids=lambda other: next(iter(other.items())),
)
def test_another_features_models_or_persons_run_and_one_that_is_not_valid_are_no_baseline(
    other: dict[str, Any],
) -> None:
    changed = replace(run(1, "5.000"), **other)
    assert verdict(run(2, "1.000"), [changed], RULES).outcome == "no_baseline"


def test_the_comparison_reaches_back_past_what_is_not_valid() -> None:
    history = [run(1, "4.200"), run(2, "1.500", status="invalid"), run(3, "1.000", run_type="manual")]
    found = verdict(run(4, "4.100"), history, RULES)
    assert (found.outcome, found.baseline_run, found.drop) == ("stable", 1, Decimal("0.100"))


@pytest.mark.parametrize(
    "candidate",
    [
        run(2, "1.000", run_type="manual"),
        run(2, "1.000", status="invalid"),
        run(2, "1.000", status="partial"),
        run(2, None),
    ],
    ids=["manual", "invalid", "partial", "no score"],
)
def test_a_run_by_hand_and_one_that_is_not_valid_are_no_candidates(candidate: EvalRun) -> None:
    found = verdict(candidate, [run(1, "5.000")], RULES)
    assert (found.outcome, found.severity) == ("inconclusive", "none")


def test_the_newest_earlier_run_is_the_baseline_and_never_the_run_itself_or_a_later_one() -> None:
    history = [run(3, "4.000"), run(1, "2.000"), run(4, "5.000"), run(5, "1.000")]
    assert verdict(run(4, "3.900"), history, RULES).baseline_run == 3


def test_each_model_has_a_baseline_of_its_own() -> None:
    history = [run(1, "4.500"), run(2, "3.000", model_id="small")]
    assert verdict(run(3, "4.400"), history, RULES).baseline_run == 1
    assert verdict(run(3, "2.400", model_id="small"), history, RULES).outcome == "regressed"


@pytest.mark.parametrize("changed", [{"scorers": "s2"}, {"judge": "judge-2"}, {"judge_parameters": {"temperature": 1}}])
def test_a_score_measured_otherwise_is_not_compared_and_it_is_said_what_changed(changed: dict[str, Any]) -> None:
    key = replace(ComparabilityKey("d", "p", "s", "m"), **changed)
    found = verdict(run(2, "1.000", comparability=key), [run(1, "5.000")], RULES)
    assert (found.outcome, found.severity, found.drop) == ("not_comparable", "none", None)
    assert "changed" in found.why
    assert "judge" in found.why or "scorers" in found.why


@pytest.mark.parametrize("changed", [{"dataset": "d2"}, {"prompt": "p2"}, {"parameters": {"temperature": 2}}])
def test_a_changed_prompt_dataset_or_parameter_is_what_is_looked_for(changed: dict[str, Any]) -> None:
    key = replace(ComparabilityKey("d", "p", "s", "m"), **changed)
    assert verdict(run(2, "1.000", comparability=key), [run(1, "5.000")], RULES).outcome == "regressed"


@given(before=SCORES, after=SCORES)
def test_swapping_baseline_and_candidate_mirrors_the_verdict(before: Decimal, after: Decimal) -> None:
    fell, rose = (
        fixed_drop(run(2, after), run(1, before), RULES.drop),
        fixed_drop(run(2, before), run(1, after), RULES.drop),
    )
    mirror = {"regressed": "improved", "improved": "regressed", "stable": "stable"}
    assert rose.outcome == mirror[fell.outcome]
    assert fell.drop is not None
    assert rose.drop == -fell.drop


@given(scores=st.lists(SCORES, min_size=1, max_size=8, unique=True), seed=st.randoms())
def test_the_order_of_the_history_does_not_matter(scores: list[Decimal], seed: Any) -> None:
    history = [run(number, score) for number, score in enumerate(scores, start=1)]
    shuffled = list(history)
    seed.shuffle(shuffled)
    candidate = run(50, "3.000")
    assert verdict(candidate, shuffled, RULES) == verdict(candidate, history, RULES)
