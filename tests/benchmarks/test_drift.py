"""What the benchmark counts is what the product decides."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.drift import Course, Question, Vectors, drawn, questions, replay
from evalops_core.domain.drift.centroid import centroid
from evalops_core.domain.drift.measure import measure
from evalops_core.domain.drift.null import PERMUTATIONS
from evalops_core.domain.suite import DriftSpec

ASKED = Question("one", "other", n=20, share=0.0, times=2, twice=False)


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def vectors(generator: np.random.Generator) -> Vectors:
    """Two kinds of 60 prompts each that have little in common."""
    middles = {"one": np.eye(8)[0], "other": np.eye(8)[1]}
    return {
        kind: (middle + 0.3 * generator.normal(size=(60, 8))).astype(np.float32) for kind, middle in middles.items()
    }


@pytest.mark.parametrize("threshold", [None, 0.15])
def test_a_day_is_measured_as_the_product_measures_it(
    threshold: float | None, vectors: Vectors, generator: np.random.Generator
) -> None:
    spec = DriftSpec(threshold=threshold, max_sample=ASKED.n)
    course = Course(spec, PERMUTATIONS)
    days = [drawn(vectors, ASKED, generator) for _ in range(3)]
    for rows in days:
        course.good(rows)
    today = drawn(vectors, replace(ASKED, share=0.3), generator)
    found = course.judged(today)
    samples = [{str(number): row for number, row in enumerate(rows)} for rows in (today, *days)]
    wanted = measure(centroid(today), samples[0], [centroid(rows) for rows in days], samples[1:], spec)
    assert (found.drift, found.threshold, found.rule) == (wanted.drift, wanted.threshold, wanted.rule)


def test_a_day_holds_the_share_of_the_other_kind_and_no_prompt_twice(
    vectors: Vectors, generator: np.random.Generator
) -> None:
    rows = drawn(vectors, replace(ASKED, share=0.3), generator)
    assert len({row.tobytes() for row in rows}) == ASKED.n
    others = {row.tobytes() for row in vectors["other"]}
    assert sum(row.tobytes() in others for row in rows) == 6


def test_another_kind_alerts_and_the_same_one_does_not(vectors: Vectors) -> None:
    quiet, _ = replay(vectors, ASKED, seed=1, permutations=200)
    moved, fixed = replay(vectors, replace(ASKED, share=1.0), seed=1, permutations=200)
    assert quiet.alerts == 0.0
    assert (moved.days, moved.alerts, fixed.alerts) == (1.0, 1.0, 1.0)


def test_every_kind_is_asked_about_with_and_without_each_other() -> None:
    asked = list(questions(4, 1, twice=False))
    assert len(asked) == len(set(asked)) == 42
    assert {(one.days, one.times) for one in asked} == {(30, 1), (3, 4)}
