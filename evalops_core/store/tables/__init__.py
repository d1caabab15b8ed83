"""The tables of schema `evalops` as the newest migration leaves them; a test proves that the two are equal.

What belongs here: columns, keys and constraints, which are the last word on what may happen once. What does not:
statements, and the steps that lead here (`migrations/versions`).
"""

from evalops_core.store.tables.alerts import (
    BASELINES,
    CONFIRMATIONS,
    INCIDENTS,
    INCIDENTS_OPEN,
    OUTBOX,
    OUTBOX_INCIDENTS,
    SLIDES,
    VERDICTS,
)
from evalops_core.store.tables.base import METADATA, SCHEMA, VIEWS
from evalops_core.store.tables.drift import DRIFT_CENTROIDS, DRIFT_SAMPLES, LLM_TRACES
from evalops_core.store.tables.judgments import JUDGE_CACHE
from evalops_core.store.tables.operations import DEPLOYMENT, SPEND, SPEND_HOLDS
from evalops_core.store.tables.runs import EVAL_RUNS, EVAL_TREND, ONE_SCHEDULED, RESPONSES, SCORES, UNCHECKED, VALID

__all__ = [
    "BASELINES",
    "CONFIRMATIONS",
    "DEPLOYMENT",
    "DRIFT_CENTROIDS",
    "DRIFT_SAMPLES",
    "EVAL_RUNS",
    "EVAL_TREND",
    "INCIDENTS",
    "INCIDENTS_OPEN",
    "JUDGE_CACHE",
    "LLM_TRACES",
    "METADATA",
    "ONE_SCHEDULED",
    "OUTBOX",
    "OUTBOX_INCIDENTS",
    "RESPONSES",
    "SCHEMA",
    "SCORES",
    "SLIDES",
    "SPEND",
    "SPEND_HOLDS",
    "UNCHECKED",
    "VALID",
    "VERDICTS",
    "VIEWS",
]
