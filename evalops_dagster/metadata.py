"""What a materialization tells a person, as Dagster metadata.

What belongs here: choosing and formatting. What does not: computing (run, domain). Values that people plot keep their
key and stay numbers; what does not exist is left out, so that a plot has a gap and not a zero.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from evalops_core.domain.eval_run import PURGED, EvalRun
from evalops_core.domain.score import HIGHEST, LOWEST, Z95
from evalops_core.run.facts import CaseFacts, Latency
from evalops_core.run.fallen import MostMoved
from evalops_core.run.tally import Calls, Tally

UNPRICED = "unknown: the model's price is not known"
_CUT = 160  # characters of a text shown in a table's cell


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


def response_metadata(found: Tally) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "responses": found.answered,
        "failed": found.failed,
        "attempts": found.attempts,
        **latency_metadata(found.latency),
    }
    if found.failures:
        metadata["failures"] = table(
            [
                {"case": r.case_id, "repeat": r.repeat, "error": f"{r.error_class}: {r.error_text or PURGED}"}
                for r in found.failures
            ]
        )
    return metadata


def call_metadata(made: Calls) -> dict[str, Any]:
    """Tokens and cost of answered calls; rules call nothing, so nothing is said of them."""
    if not made.count:
        return {}
    return present(
        {
            "prompt tokens": made.prompt_tokens,
            "completion tokens": made.completion_tokens,
            "cost (USD)": UNPRICED if made.cost_usd is None else float(made.cost_usd),
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


def judgment_metadata(found: Tally) -> dict[str, Any]:
    """Counts, and the mean of each axis over every response that has it."""
    metadata: dict[str, Any] = {
        "judgments": sum(count for _, count in found.axis_rows.values()),
        "unscored": sum(found.unscored_rows.values()),
        **{
            f"score of {short_axis(axis)}": round(summed / count, 3)
            for axis, (summed, count) in sorted(found.axis_rows.items())
        },
    }
    if found.unscored_rows:
        rows = found.unscored_rows.most_common(10)
        metadata["why unscored"] = table([{"why": cut(why), "times": n} for why, n in rows])
    return metadata


def cache_metadata(found: Tally, taken: int) -> dict[str, Any]:
    """How many judgments no call was made for; nothing of rules, which have none to take."""
    return {"judgments from the cache": taken} if found.judges else {}


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
