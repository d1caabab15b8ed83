"""Scheduled runs as an evaluation leaves them, with their rows, at a score that a test names.

What belongs here: making them without models. What does not: evaluating (test_evaluate).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine

from evalops_core.domain.comparability import ComparabilityKey
from evalops_core.domain.eval_run import EvalRun, Response, RunStatus, RunType, ScoreRow
from evalops_core.domain.score import Score
from evalops_core.domain.suite import RegressionSpec
from evalops_core.domain.window import window_of
from evalops_core.run.alert_rules import AlertRules, FeatureAlerts
from evalops_core.store.results import CaseResults
from evalops_core.store.runs import EvalRuns, Finished, NewRun

START = datetime(2026, 11, 1, tzinfo=timezone.utc)
NOW = datetime(2026, 12, 1, 9, 30, tzinfo=timezone.utc)
TEAM = "team@example.com"


@dataclass(frozen=True)
class Scored:
    """Makes runs in one database."""

    engine: Engine

    def run(
        self,
        day: int,
        score: str | None,
        *,
        feature: str = "explain",
        model: str = "small-1",
        run_type: RunType = "scheduled",
        status: RunStatus = "completed",
        dagster_run: str | None = None,
        key: Mapping[str, Any] | None = None,
        answers: Mapping[str, tuple[str, float]] | None = None,
        confirms: int | None = None,
    ) -> EvalRun:
        """The run of day `day`. `answers` maps case ids to an answer and its score; the run's own is `score` anyway."""
        runs, results = EvalRuns(self.engine), CaseResults(self.engine)
        comparability = replace(ComparabilityKey("d", "p", "s", model), **(key or {}))
        new = runs.insert(
            NewRun(
                feature=feature,
                window=window_of(START + timedelta(days=day), 24),
                run_type=run_type,
                comparability=comparability,
                plan_key="plan",
                weights={"quality.quality": 1.0},
                git_sha=f"sha{day}",
                dagster_run_id=dagster_run,
                confirms_run_id=confirms,
            )
        )
        assert new is not None
        rows = answers or {}
        results.save_responses(new.id, [Response(case, 0, text=text, model=model) for case, (text, _) in rows.items()])
        results.save_scores(
            new.id,
            [
                ScoreRow(case, 0, "quality", "quality", Score(value), rationale=f"because of {case}")
                for case, (_, value) in rows.items()
            ],
        )
        finished = Finished(
            status=status,
            comparability=comparability,
            finished_at=START + timedelta(days=day, hours=1),
            status_reason=None if status == "completed" else f"it is {status}",
            model_id=model,
            score=None if score is None else Decimal(score),
            se=Decimal("0.1"),
            n=len(rows) or 40,
            n_unscored=0,
            coverage=1.0,
        )
        return runs.finish(new.id, finished)

    def runs(self, scores: Sequence[str], *, first_day: int = 0, **given: Any) -> list[EvalRun]:
        """A run a day."""
        return [self.run(first_day + day, score, **given) for day, score in enumerate(scores)]


def rules(*recipients: str, drop: str = "0.5", **given: Any) -> AlertRules:
    """The same for every feature, TEAM being told where nobody is named."""
    told = FeatureAlerts(
        rules=RegressionSpec(drop=Decimal(drop), rule="fixed_drop"), recipients=recipients or (TEAM,), **given
    )
    return AlertRules(others=told, ui_url="http://ui.example")
