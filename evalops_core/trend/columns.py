"""What the columns of the trend mean.

What belongs here: their words and units, in the order of the view `evalops.eval_trend`; a test compares the two. What
does not: their types in pandas (frame), how they are computed (the view).
"""

from collections.abc import Mapping
from typing import Final

COLUMNS: Final[Mapping[str, str]] = {
    "eval_run_id": "id of the eval run",
    "feature": "what is evaluated",
    "model_id": "the model as its endpoint resolved it",
    "judge_model_id": "the judge likewise; missing where rules scored",
    "partition_key": "the window, by its start in UTC",
    "window_start": "start of the window, UTC, included",
    "window_end": "end of the window, UTC, not included",
    "score": "mean case score, 1–5",
    "se": "standard error of the score, on the same scale",
    "ci_low": "lower end of the 95 % interval, 1–5",
    "ci_high": "upper end of the 95 % interval, 1–5",
    "n": "scored cases",
    "n_unscored": "cases without a score",
    "coverage": "share of the cases that were scored, 0–1",
    "delta": "change of the score since the feature's run before of the same model",
    "mean_7": "mean score of those among the model's last seven runs, this one included, that are measured alike, 1–5",
    "baseline_run_id": "id of the eval run that this one was judged against",
    "reference": "the score that it was judged against, 1–5",
    "verdict": "regressed, stable, improved, inconclusive, no_baseline or not_comparable; missing until it is judged",
    "incident_id": "id of the incident that was open after it",
    "changed": "what of the comparability key differs from the feature's run before, by name, with commas",
    "cost_usd": "US dollars; missing where a price is unknown",
    "git_sha": "version of the code that ran",
    "comparability_key": "hash of all that a score depends on besides quality; runs that share it are measured alike",
    "created_at": "start of the eval run, UTC",
    "finished_at": "end of the eval run, UTC",
}
