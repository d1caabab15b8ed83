"""What a materialization tells a person, as Dagster metadata.

What belongs here: choosing and formatting. What does not: computing (run, domain). Values that people plot keep their
key and stay numbers; what does not exist is left out, so that a plot has a gap and not a zero.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from evalops_core.domain.eval_run import EvalRun, Response, ScoreRow
from evalops_core.domain.score import HIGHEST, LOWEST, Z95, Unscored
from evalops_core.run.facts import CaseFacts, Latency
from evalops_core.run.fallen import MostMoved
from evalops_core.run.finish import calls, cost, total

UNPRICED = "unknown: the model's price is not known"
_CUT = 160  # characters of a text shown in a table's cell


def suite_metadata(cases: int, interval_hours: int, hashes: Mapping[str, str], folder: str) -> dict[str, Any]:
    return {
        "cases": cases,
        "interval (h)": interval_hours,
        **hashes,
        "suite": dg.MetadataValue.path(folder),
    }


def run_metadata(run: EvalRun, model: str | None = None, judge: str | None = None) -> dict[str, Any]:
    """What identifies an eval run; `model` and `judge` as resolved, where the run itself does not know them yet."""
    return present(
        {
            "eval run": str(run.id),  # a name, not a number to plot
            "run type": run.run_type,
            "window": f"{run.window_start:%Y-%m-%d %H:%M} to {run.window_end:%Y-%m-%d %H:%M} UTC",
            "model": model or run.model_id or run.comparability.model,
            "judge": judge_in_words(judge or run.judge_model_id or run.comparability.judge),
            "prompt hash": run.comparability.prompt,
            "dataset hash": run.comparability.dataset,
            "git sha": run.git_sha,
        }
    )


def judge_in_words(judge: str | None) -> str:
    return f"{judge} by rubric" if judge else "none configured: rules and similarity to the reference"


def response_metadata(responses: Sequence[Response], latency: Latency | None) -> dict[str, Any]:
    failed = [r for r in responses if r.error_class]
    metadata: dict[str, Any] = {
        "responses": len(responses) - len(failed),
        "failed": len(failed),
        "attempts": sum(r.attempts for r in responses),
        **latency_metadata(latency),
    }
    if failed:
        metadata["failures"] = table(
            [{"case": r.case_id, "repeat": r.repeat, "error": f"{r.error_class}: {r.error_text}"} for r in failed[:20]]
        )
    return metadata


def call_metadata(responses: Sequence[Response], scores: Sequence[ScoreRow]) -> dict[str, Any]:
    """Tokens and cost of the answered calls among these rows; rules call nothing, so nothing is said of them."""
    made = calls(responses, scores)
    if not made:
        return {}
    amount = cost(responses, scores)
    return present(
        {
            "prompt tokens": total([call.prompt_tokens for call in made]),
            "completion tokens": total([call.completion_tokens for call in made]),
            "cost (USD)": UNPRICED if amount is None else float(amount),
        }
    )


def latency_metadata(latency: Latency | None) -> dict[str, Any]:
    return {} if latency is None else {"latency p50 (s)": latency.p50_s, "latency p95 (s)": latency.p95_s}


def score_metadata(run: EvalRun) -> dict[str, Any]:
    """The numbers that Dagster plots over the windows."""
    return present(
        {
            "score": None if run.score is None else float(run.score),
            "standard error": None if run.se is None else float(run.se),
            "95 % interval": _interval(run),
            "scored cases": run.n,
            "unscored cases": run.n_unscored,
            "coverage": run.coverage,
            "status": run.status if run.status_reason is None else f"{run.status}: {run.status_reason}",
            "prompt tokens": run.prompt_tokens,
            "completion tokens": run.completion_tokens,
            "cost (USD)": UNPRICED if run.cost_usd is None else float(run.cost_usd),
            **{f"score of {short_axis(axis)}": round(value, 3) for axis, value in run.breakdown.items()},
        }
    )


def _interval(run: EvalRun) -> str | None:
    """Mean ± 1.96 SE, kept within the scale."""
    if run.score is None or run.se is None:
        return None
    margin = Z95 * float(run.se)
    return f"{max(LOWEST, float(run.score) - margin):.2f} to {min(HIGHEST, float(run.score) + margin):.2f}"


def score_in_words(run: EvalRun) -> str:
    """One sentence for the log."""
    scored = f"{run.n} of {(run.n or 0) + (run.n_unscored or 0)} cases scored"
    if run.score is None:
        return f"{run.feature}, window {run.partition_key}: no score, {scored}; {run.status_reason}"
    error = f" ± {run.se}" if run.se is not None else ""
    return f"{run.feature}, window {run.partition_key}: {run.score}{error} ({scored}, {run.run_type})"


def judgment_metadata(rows: Sequence[ScoreRow]) -> dict[str, Any]:
    """Counts, and the mean of each axis over every response that has it."""
    means: dict[str, list[float]] = {}
    reasons: Counter[str] = Counter()
    for row in rows:
        if isinstance(row.outcome, Unscored):
            reasons[f"{row.scorer}.{row.axis}: {cut(row.outcome.reason)}"] += 1
        else:
            means.setdefault(f"{row.scorer}.{row.axis}", []).append(row.outcome.value)
    metadata: dict[str, Any] = {
        "judgments": sum(len(values) for values in means.values()),
        "unscored": sum(reasons.values()),
        **{
            f"score of {short_axis(axis)}": round(sum(values) / len(values), 3)
            for axis, values in sorted(means.items())
        },
    }
    if reasons:
        metadata["why unscored"] = table([{"why": why, "times": n} for why, n in reasons.most_common(10)])
    return metadata


def short_axis(axis: str) -> str:
    """`scorer.axis`, or the scorer alone where it has one axis of its own name."""
    scorer, _, name = axis.partition(".")
    return scorer if scorer == name else axis


def worst_cases(facts: Sequence[CaseFacts]) -> dg.TableMetadataValue:
    return table(
        [
            {
                "case": fact.case_id,
                "score": "unscored" if fact.score is None else f"{fact.score:.2f}",
                "input": cut(fact.input),
                "answer": cut(fact.answer),
                "reference": cut(fact.reference),
                "why": cut(fact.why),
            }
            for fact in facts
        ]
    )


def moved_cases(found: MostMoved | None) -> dict[str, Any]:
    """Which cases differ most from the run before, falls marked by ▼, and which run that is; no table where none do."""
    if found is None:
        return {"compared with": "nothing: no earlier window has a valid scheduled run with this model"}
    before = found.before
    words = f"run {before.id}, window {before.partition_key}"
    if not found.cases:
        words += ": no case moved"
    elif found.more:
        words += f": {len(found.cases)} of the {len(found.cases) + found.more} cases that moved are shown"
    if found.changed:
        but = "; since then " if found.measured_alike else "; measured differently, for since then "
        words += but + ", ".join(found.changed)
    rows = [
        {
            "case": case.case_id,
            "before": f"{case.before:.2f}",
            "after": "unscored" if case.after is None else f"{case.after:.2f}",
            "change": _change(case.before, case.after),
            "answer before": cut(case.answer_before or "–"),
            "answer now": cut(case.answer_after or "–"),
            "why": cut(case.why or "–"),
        }
        for case in found.cases
    ]
    return {"compared with": words, **({"cases that moved most": table(rows)} if rows else {})}


def _change(before: float, after: float | None) -> str:
    if after is None:
        return "–"
    return f"{'▼ ' if after < before else ''}{after - before:+.2f}".replace("-", "−")


def table(rows: Sequence[Mapping[str, str | int]]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in rows])


def cut(text: str) -> str:
    """Model and user texts are untrusted and long; the UI escapes them, this bounds them."""
    return text if len(text) <= _CUT else text[: _CUT - 1] + "…"


def present(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metadata.items() if value is not None}
