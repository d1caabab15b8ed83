"""Eval runs and their parts as the store's tests need them: valid, with what a test cares about given by name."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from evalops_core.domain.comparability import ComparabilityKey
from evalops_core.domain.eval_run import EvalRun, RunStatus, RunType
from evalops_core.domain.window import window_of
from evalops_core.store.runs import EvalRuns, Finished, NewRun

START = datetime(2025, 3, 1, tzinfo=timezone.utc)
NOW = datetime(2025, 6, 1, 12, 30, 15, 123456, tzinfo=timezone.utc)


def key(model: str = "small") -> ComparabilityKey:
    return ComparabilityKey("d1", "p1", "s1", model, {"temperature": 0.0})


def new(
    feature: str = "explain",
    *,
    day: int = 0,
    run_type: RunType = "scheduled",
    model: str = "small",
    dagster_run_id: str | None = "dagster-1",
) -> NewRun:
    window = window_of(START + timedelta(days=day), 24)
    return NewRun(
        feature=feature,
        window=window,
        run_type=run_type,
        comparability=key(model=model),
        plan_key=key(model=model).digest,
        git_sha="abc123",
        dagster_run_id=dagster_run_id,
    )


def finished(status: RunStatus = "completed", *, score: str | None = "4.2", model: str = "small-2025") -> Finished:
    return Finished(
        status=status,
        comparability=key(model=model),
        finished_at=NOW,
        model_id=model,
        score=None if score is None else Decimal(score),
        se=Decimal("0.1"),
        n=39,
        n_unscored=1,
        coverage=0.975,
        breakdown={"exact.exact": 4.2},
        prompt_tokens=1000,
        completion_tokens=300,
        cost_usd=Decimal("0.000123456789"),
    )


def started(runs: EvalRuns, feature: str = "explain", **given: Any) -> EvalRun:
    run = runs.insert(new(feature, **given))
    assert run is not None
    return run
