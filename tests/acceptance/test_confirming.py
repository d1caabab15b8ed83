"""A fall that may be chance: the feature is really evaluated once more, by real daemons, before anybody is told.

What belongs here: that the second run is asked for, made and heard. What does not: what is made of it (tests/run).
"""

import asyncio
import random
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from evalops_core.domain.eval_run import EvalRun, Response, ScoreRow
from evalops_core.domain.regression.assess import assess
from evalops_core.domain.regression.sample import Rules, Sample
from evalops_core.domain.score import Score
from evalops_core.domain.suite import Suite
from evalops_core.domain.window import window_of
from evalops_core.postgres.server import Started
from evalops_core.run.detect import standing_verdict
from evalops_core.run.evaluate import evaluate
from evalops_core.run.progress import silent
from evalops_core.store.alerting import reading
from evalops_core.store.case_means import case_means
from evalops_core.store.history import trend
from evalops_core.store.results import CaseResults
from evalops_core.store.runs import EvalRuns, Finished, NewRun
from evalops_core.wiring import Workshop
from tests.acceptance.alert_site import site_of, variables
from tests.acceptance.deployments import awaited
from tests.builders import judge_settings, make_suite, make_workshop
from tests.conftest import new_database
from tests.mock_fixture import MockOpenAI
from tests.mock_resend.fixture import MockResend, mock_resend, resend_process

__all__ = ["mock_resend", "resend_process"]

pytestmark = [pytest.mark.process, pytest.mark.timeout(400)]

FEATURE, CASES, EARLIER = "orders", 40, 7
Scores = Mapping[str, float]


def test_a_fall_that_may_be_chance_is_evaluated_again_and_nobody_is_told_of_what_was_chance(
    postgres: Started,
    engine: Engine,
    database_url: SecretStr,
    mock_openai: MockOpenAI,
    mock_resend: MockResend,
    tmp_path: Path,
) -> None:
    suite = make_suite(tmp_path / "suites", mock_openai.base_url, feature=FEATURE, cases=CASES)
    workshop = make_workshop(engine, judge_settings(mock_openai.base_url, tmp_path))
    levels = measured(workshop, suite)
    history = [noisy(levels, day) for day in range(EARLIER)]
    for back, scores in zip(range(EARLIER, 0, -1), history, strict=True):
        stored(workshop, suite, scores, back)
    doubtful = stored(workshop, suite, fall_that_may_be_chance(levels, history), 0)
    asked = len(mock_openai.requests())

    own = {
        **variables(database_url, tmp_path, mock_resend, mock_openai.base_url),
        "EVALOPS_SCHEDULED_ENABLED": "true",
    }
    for dagster_database in new_database(postgres, "template0"):
        with site_of(tmp_path / "site", dagster_database, database_url, mock_resend, own) as site:
            awaited(lambda: is_judged(engine, doubtful), "the verdict after the second run")
            (made,) = site.deployment.instance.get_runs(dg.RunsFilter(tags={"evalops/confirms": str(doubtful.id)}))
            assert site.deployment.wait_for(made.run_id) is dg.DagsterRunStatus.SUCCESS
            awaited(lambda: site.checks(FEATURE), "the check")
            site.wait_for_ticks()

    judged = standing_verdict(engine, FEATURE)
    assert judged is not None
    assert (judged.outcome, judged.severity, judged.incident_id) == ("regressed", "warn", None)
    assert "a second run did not confirm it" in judged.why
    with reading(engine) as tables:
        second = tables.statistics.confirming_run(doubtful.id)
    assert second is not None
    assert (second.run_type, second.status, second.n) == ("manual", "completed", CASES)
    assert len(mock_openai.requests()) - asked == 2 * CASES, "it was evaluated once more, and once only"
    assert mock_resend.mails() == []
    assert second.id not in {row.eval_run_id for row in trend(engine)}


def measured(workshop: Workshop, suite: Suite) -> Scores:
    """What the endpoint's judge gives each case."""
    run = asyncio.run(evaluate(workshop.plan(suite, run_type="manual"), workshop.tools, silent))
    with workshop.engine.connect() as connection:
        return case_means(connection, [run.id])[run.id].scores


def noisy(levels: Scores, seed: int, drop: float = 0.0) -> Scores:
    noise = random.Random(seed)
    return {case: min(max(level + noise.gauss(0, 0.4) - drop, 1.0), 5.0) for case, level in sorted(levels.items())}


def fall_that_may_be_chance(levels: Scores, history: list[Scores]) -> Scores:
    for step in range(100, 500, 5):
        scores = noisy(levels, EARLIER, step / 1000)
        earlier = [Sample(run=day, scores=dict(one)) for day, one in enumerate(history)]
        said = assess(Sample(run=EARLIER, scores=dict(scores)), earlier, Rules(page_at_once=True))
        if said.outcome == "regressed" and said.p_value is not None and 0.0015 < said.p_value < 0.009:
            return scores
    raise AssertionError("there is no such fall")


def stored(workshop: Workshop, suite: Suite, scores: Scores, days_ago: int) -> EvalRun:
    """A scheduled run with these scores, such as the suite's own evaluation would have left it."""
    plan = workshop.plan(suite, run_type="scheduled")
    window = window_of(datetime.now(timezone.utc) - timedelta(days=days_ago), suite.interval_hours)
    runs, results = EvalRuns(workshop.engine), CaseResults(workshop.engine)
    new = runs.insert(
        NewRun(
            feature=suite.feature,
            window=window,
            run_type="scheduled",
            comparability=plan.key,
            plan_key=plan.resume_key,
            weights={"judge.accuracy": 1.0},
        )
    )
    assert new is not None
    results.save_responses(new.id, [Response(case, 0, text="so", model="mock-model") for case in scores])
    results.save_scores(
        new.id, [ScoreRow(case, 0, "judge", "accuracy", Score(score)) for case, score in scores.items()]
    )
    return runs.finish(
        new.id,
        Finished(
            status="completed",
            comparability=plan.key,
            finished_at=window.start + timedelta(minutes=1),
            model_id="mock-model",
            score=_decimal(sum(scores.values()) / len(scores)),
            n=len(scores),
            n_unscored=0,
            coverage=1.0,
        ),
    )


def is_judged(engine: Engine, run: EvalRun) -> bool:
    judged = standing_verdict(engine, FEATURE)
    return judged is not None and judged.eval_run_id == run.id


def _decimal(value: float) -> Decimal:
    return Decimal(f"{value:.3f}")
