"""Two runs of a feature, case by case: which cases fell, and what they say now.

What belongs here: pairing by case id. What does not: whether a run has regressed (domain.regression), how cases are
shown (mail, Dagster metadata).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evalops_core.domain.eval_run import EvalRun, Response, ScoreRow
from evalops_core.domain.score import Outcome, Score, Unscored
from evalops_core.domain.suite import Case
from evalops_core.run.facts import input_words, reasons_of, words
from evalops_core.run.finish import outcomes
from evalops_core.store.results import CaseResults


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedCase:
    """One case in both runs. `before` and `after` are case scores on the 1–5 scale; `after` is None where there is none
    now, and `why` then says so. Input and reference are None where today's suite does not have the case."""

    case_id: str
    before: float
    after: float | None
    input: str | None
    reference: str | None
    answer_before: str | None
    answer_after: str | None
    why: str | None


@dataclass(frozen=True, slots=True)
class Paired:
    """`moved` are the cases in both runs, the furthest fallen first; `missing` and `new` the ids in one run alone."""

    moved: tuple[MovedCase, ...]
    missing: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True)
class _Rows:
    responses: Mapping[str, Response]
    scores: Sequence[ScoreRow]
    outcomes: Mapping[str, Outcome]


def pair(before: EvalRun, after: EvalRun, results: CaseResults, cases: Sequence[Case], most: int) -> Paired:
    """The `most` cases that fell furthest from `before` to `after`; those that lost their score come last.

    Cases that had no score before are left out: nothing is known to have fallen.
    """
    old, new = _read(before, results), _read(after, results)
    known = {case.id: case for case in cases}
    fallen: list[tuple[float, str, float]] = []
    for case_id, outcome in old.outcomes.items():
        if isinstance(outcome, Score) and case_id in new.outcomes:
            now = new.outcomes[case_id]
            fell = outcome.value - now.value if isinstance(now, Score) else 0.0
            if fell > 0 or isinstance(now, Unscored):
                fallen.append((-fell, case_id, outcome.value))
    moved = [
        _moved(case_id, was, old.responses.get(case_id), new, known.get(case_id))
        for _, case_id, was in sorted(fallen)[:most]
    ]
    return Paired(
        moved=tuple(moved),
        missing=tuple(sorted(old.outcomes.keys() - new.outcomes.keys())),
        new=tuple(sorted(new.outcomes.keys() - old.outcomes.keys())),
    )


def _read(run: EvalRun, results: CaseResults) -> _Rows:
    responses, scores = results.responses(run.id), results.scores(run.id)
    ids = list(dict.fromkeys(response.case_id for response in responses))
    first = {response.case_id: response for response in reversed(responses)}  # the first repeat stands for all
    return _Rows(first, scores, outcomes(run, ids, responses, scores))


def _moved(case_id: str, before: float, answered: Response | None, new: _Rows, case: Case | None) -> MovedCase:
    after, answer = new.outcomes[case_id], new.responses.get(case_id)
    reasons = reasons_of(row for row in new.scores if row.case_id == case_id)
    return MovedCase(
        case_id=case_id,
        before=before,
        after=after.value if isinstance(after, Score) else None,
        input=None if case is None else input_words(case),
        reference=None if case is None else words(case.reference) or None,
        answer_before=answered and answered.text,
        answer_after=answer and answer.text,
        why=after.reason if isinstance(after, Unscored) else "; ".join(reasons) or None,
    )
