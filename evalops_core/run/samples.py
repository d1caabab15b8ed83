"""Stored runs as the statistics want them.

What belongs here: that translation, and a suite's words as rules. What does not: which runs are compared (detect,
compare), the statistics themselves (domain.regression).
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from evalops_core.domain.comparability import ComparabilityKey
from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.json import content_hash
from evalops_core.domain.regression.sample import Rules, Sample
from evalops_core.domain.suite import RegressionSpec
from evalops_core.store.case_means import case_means


def samples_of(connection: Connection, runs: Sequence[EvalRun]) -> list[Sample]:
    """The runs with the means of their cases, in the order given; told from others by their ids."""
    means = case_means(connection, [run.id for run in runs])
    return [
        Sample(
            run=run.id,
            scores=means[run.id].scores,
            groups=means[run.id].groups,
            measured_by=measured_by(run.comparability),
            configuration=run.comparability.digest,
            repeats=run.comparability.repeats,
            unscored=frozenset(means[run.id].unscored),
        )
        for run in runs
    ]


def measured_by(key: ComparabilityKey) -> str:
    """The fingerprint of scorers and judge."""
    return content_hash([key.scorers, key.judge, dict(key.judge_parameters)])


def rules_of(spec: RegressionSpec) -> Rules:
    """What a fall has to be to count, and that a clear one is told of at once."""
    return Rules(
        rule=spec.rule,
        alpha=spec.alpha,
        min_effect=spec.min_effect,
        drop=float(spec.drop),
        min_cases=spec.min_cases,
        min_overlap=spec.min_overlap,
        min_coverage=spec.min_coverage,
        page_at_once=True,
    )
