"""The trend as a pandas frame: scheduled, completed runs only, newest first.

What belongs here: columns, their types and units. What does not: reading (store.history), drawing (figure).
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

import pandas as pd

from evalops_core.trend.history import TrendRow

COLUMNS: Final = {
    "feature": "what is evaluated",
    "partition_key": "the window, by its start in UTC",
    "model_id": "the model as its endpoint resolved it",
    "judge_model_id": "the judge likewise; empty where rules scored",
    "score": "mean case score, 1–5",
    "delta": "change of the score since the feature's prior run of the same model",
    "se": "standard error of the score",
    "ci_low": "lower end of the 95 % interval",
    "ci_high": "upper end of the 95 % interval",
    "n": "scored cases",
    "n_unscored": "cases without a score",
    "coverage": "share of the cases that were scored, 0–1",
    "cost_usd": "US dollars; empty where a price is unknown",
    "git_sha": "version of the code that ran",
    "eval_run_id": "id of the eval run",
    "created_at": "start of the eval run, UTC",
}
_NUMBERS: Final = ("score", "delta", "se", "ci_low", "ci_high", "coverage", "cost_usd")


def trend_frame(rows: Sequence[TrendRow]) -> pd.DataFrame:
    """One line a run with the columns of `COLUMNS`: numbers as float64 (missing is NaN), counts as int64."""
    frame = pd.DataFrame([asdict(row) for row in rows], columns=list(COLUMNS))
    for column in _NUMBERS:
        frame[column] = pd.to_numeric(frame[column]).astype("float64")
    return frame
