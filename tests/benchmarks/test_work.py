"""The work is the same for every tool, and each time."""

import json
from pathlib import Path

import pytest

from benchmarks.peers.common import SCHEMA, mean_of, scores_in
from benchmarks.work import AXES, MODEL, Work, case_lines, write_suite
from evalops_core.domain.scorer import JudgeSpec
from evalops_core.scorers.judge_reply import reply_schema
from evalops_core.suites.loader import load_suite
from tests.mock_openai.answers import judgment


def test_the_ideal_is_two_calls_a_case_shared_by_those_in_flight() -> None:
    assert Work(cases=1000, latency_ms=20, in_flight=50).ideal_s == pytest.approx(0.8)


def test_cases_are_the_same_each_time_and_another_trial_s_differ_in_words_only() -> None:
    assert list(case_lines(5)) == list(case_lines(5))
    first, second = list(case_lines(5)), list(case_lines(5, trial=1))
    assert [line["id"] for line in first] == [line["id"] for line in second]
    assert not {line["input"] for line in first} & {line["input"] for line in second}


def test_our_suite_of_the_cases_can_be_read(tmp_path: Path) -> None:
    suite = load_suite(write_suite(tmp_path, "http://127.0.0.1:1/v1", 7))
    assert (len(suite.cases), suite.model.name) == (7, MODEL)
    (spec,) = suite.scorers
    assert isinstance(spec, JudgeSpec)
    assert [axis.name for axis in spec.rubric.axes] == list(AXES)


def test_peers_ask_their_judge_for_the_form_that_ours_is_asked_for(tmp_path: Path) -> None:
    """The mock's scores depend on where in the form a score stands, so the means would differ otherwise."""
    (spec,) = load_suite(write_suite(tmp_path, "http://127.0.0.1:1/v1", 1)).scorers
    assert isinstance(spec, JudgeSpec)
    assert reply_schema(spec.rubric.axes) == SCHEMA


def test_a_judgment_s_scores_are_read_and_averaged() -> None:
    scores = scores_in(judgment("case-000001", SCHEMA, AXES))
    assert set(scores) == set(AXES)
    assert mean_of(scores) == pytest.approx(sum(scores.values()) / 3)


@pytest.mark.parametrize("score", [0, 6, 4.5, "4", True, None])
def test_what_is_no_score_is_refused(score: object) -> None:
    with pytest.raises(ValueError, match="no scores"):
        scores_in(json.dumps({axis: {"reason": "r", "score": score} for axis in AXES}))
