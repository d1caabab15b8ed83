"""A run that may not go on: no call after its deadline, and what was in flight is kept."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from evalops_core.domain.eval_run import EvalRun
from evalops_core.run.evaluate import evaluate
from evalops_core.run.plan import Plan
from evalops_core.run.progress import silent
from evalops_core.wiring import Workshop
from tests.builders import judge_settings, make_suite, make_workshop
from tests.mock_fixture import MockOpenAI

Build = Callable[..., Workshop]


@pytest.fixture
def build(engine: Engine, mock_openai: MockOpenAI, tmp_path: Path) -> Build:
    def build(**more: Any) -> Workshop:
        return make_workshop(engine, judge_settings(mock_openai.base_url, tmp_path / "home", **more))

    return build


def run(workshop: Workshop, plan: Plan) -> EvalRun:
    return asyncio.run(evaluate(plan, workshop.tools, silent))


def test_after_its_deadline_a_run_starts_no_call_and_is_partial_with_the_reason(
    build: Build, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=30)
    mock_openai.configure(latency_ms=400)
    late = build(run_deadline_s=0.6, max_concurrency=4)  # two rounds of four answers, and the judge is never asked
    stopped = run(late, late.plan(suite, run_type="scheduled"))
    assert stopped.status == "partial"
    assert "deadline has passed" in str(stopped.status_reason)
    answers = late.tools.results.responses(stopped.id)
    requests = mock_openai.requests()
    assert 4 <= len(answers) < 30
    assert all(answer.error_class is None for answer in answers), "what was in flight has finished"
    assert len(answers) == len([request for request in requests if request["kind"] == "generate"])

    mock_openai.configure(latency_ms=0)
    workshop = build()
    done = run(workshop, workshop.plan(suite, run_type="scheduled"))
    assert (done.id, done.status, done.n) == (stopped.id, "completed", 30)
    assert mock_openai.stats()["paid_again"] == {}


def test_the_deadline_counts_from_the_launch(build: Build, mock_openai: MockOpenAI, tmp_path: Path) -> None:
    workshop = build(run_deadline_s=3600)
    plan = workshop.plan(make_suite(tmp_path, mock_openai.base_url, cases=3), run_type="manual")
    long_ago = replace(plan, asked_at=workshop.tools.now() - timedelta(hours=2), past_windows=True)
    assert run(workshop, long_ago).status != "completed"
    assert mock_openai.requests() == []
    assert run(workshop, plan).status == "completed"
