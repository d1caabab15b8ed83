"""What people ask of a finished run: which cases were worst and why, and how long the model took.

What belongs here: reading rows into such facts. What does not: showing them (Dagster metadata, terminal, report).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles

from evalops_core.domain.eval_run import PURGED, Response, ScoreRow
from evalops_core.domain.json import canonical
from evalops_core.domain.score import Outcome, Score, Unscored
from evalops_core.domain.suite import Case


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds of the successful attempts."""

    p50_s: float
    p95_s: float


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """One case as a person reads it; `score` is None where it has none, and `why` then says so."""

    case_id: str
    score: float | None
    input: str
    reference: str
    answer: str
    why: str


def latency_of(seconds: Sequence[float]) -> Latency | None:
    """Median and 95th percentile; None where nothing was answered."""
    if not seconds:
        return None
    cuts = quantiles(seconds, n=20, method="inclusive") if len(seconds) > 1 else [seconds[0]] * 19
    return Latency(round(cuts[9], 3), round(cuts[18], 3))


def worst(
    cases: Sequence[Case],
    outcomes: Mapping[str, Outcome],
    responses: Sequence[Response],
    scores: Sequence[ScoreRow],
    most: int = 10,
) -> list[CaseFacts]:
    """The `most` cases that deserve a look: unscored first, then from the lowest score up, ties by id."""

    def rank(case: Case) -> tuple[float, str]:
        outcome = outcomes.get(case.id)
        return (outcome.value if isinstance(outcome, Score) else 0.0), case.id

    answers = {r.case_id: r for r in reversed(responses)}  # the first repeat stands for all
    rows: dict[str, list[ScoreRow]] = {}
    for row in scores:
        rows.setdefault(row.case_id, []).append(row)
    return [
        _facts(case, outcomes.get(case.id), answers.get(case.id), reasons_of(rows.get(case.id, [])))
        for case in sorted(cases, key=rank)[:most]
    ]


def reasons_of(rows: Iterable[ScoreRow]) -> list[str]:
    """What scorers said of one case, `axis: reason` each, no reason twice."""
    said = [(row.axis, row.outcome.reason if isinstance(row.outcome, Unscored) else row.rationale) for row in rows]
    return list(dict.fromkeys(f"{axis}: {reason}" for axis, reason in said if reason))


def why_of(reasons: Sequence[str], answer: Response | None) -> str | None:
    """The reasons of `reasons_of` as one text, or that they were purged with the answer; None where there were none."""
    return "; ".join(reasons) or (PURGED if answer is not None and answer.is_purged else None)


def _facts(case: Case, outcome: Outcome | None, answer: Response | None, reasons: Sequence[str]) -> CaseFacts:
    unscored = outcome.reason if isinstance(outcome, Unscored) else None
    return CaseFacts(
        case_id=case.id,
        score=outcome.value if isinstance(outcome, Score) else None,
        input=input_words(case),
        reference=words(case.reference),
        answer=(answer.shown or "") if answer else "",
        why=unscored or why_of(reasons, answer) or "",
    )


def input_words(case: Case) -> str:
    """What the case asks, in one line a field."""
    if case.messages:
        return " / ".join(f"{message.role}: {message.content}" for message in case.messages)
    return " / ".join(f"{name}: {words(value)}" for name, value in case.fields.items())


def words(value: object) -> str:
    """A case's JSON value as a person reads it."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):  # pyright: ignore[reportUnknownVariableType]  # JSON
        return " | ".join(value)  # pyright: ignore[reportUnknownArgumentType]  # checked above
    return canonical(value)  # pyright: ignore[reportArgumentType]  # a case holds JSON only
