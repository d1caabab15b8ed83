"""Two runs of a feature, case by case: which cases fell or moved at all, and what they say now.

What belongs here: pairing by case id. What does not: whether a run has regressed (domain.regression), how cases are
shown (mail, Dagster metadata).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from evalops_core.domain.comparability import differences, differences_of
from evalops_core.domain.eval_run import EvalRun, Response, ScoreRow
from evalops_core.domain.regression import MEASURED_BY
from evalops_core.domain.score import Outcome, Score, Unscored
from evalops_core.domain.suite import Case
from evalops_core.run.facts import input_words, reasons_of, why_of, words
from evalops_core.run.outcomes import outcomes
from evalops_core.store.alerting import reading
from evalops_core.store.case_means import CaseMeans, case_means
from evalops_core.store.results import CaseResults
from evalops_core.store.runs import EvalRuns

_VISIBLE = 0.005  # the least change of a case that two decimals show


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


@dataclass(frozen=True, slots=True, kw_only=True)
class MostMoved:
    """`cases` are those whose scores differ most from the run `before`, `more` how many others differ too.

    `changed` says in phrases what else is different between the runs; `measured_alike` is False where scorers or judge
    are, so that a case may have moved without its answer.
    """

    before: EvalRun
    cases: tuple[MovedCase, ...]
    more: int
    changed: tuple[str, ...]
    measured_alike: bool


@dataclass(frozen=True)
class _Rows:
    responses: Mapping[str, Response]
    scores: Sequence[ScoreRow]
    outcomes: Mapping[str, Outcome]


def pair(engine: Engine, before: EvalRun, after: EvalRun, cases: Sequence[Case], most: int) -> Paired:
    """The `most` cases that fell furthest from `before` to `after`; those that lost their score come last.

    `cases` is today's suite. Cases that had no score before are left out: nothing is known to have fallen.
    """
    with reading(engine) as tables:
        means = case_means(tables.connection, [before.id, after.id])
    old, new = means[before.id], means[after.id]
    fallen: list[tuple[float, str]] = []
    for case_id, was in old.scores.items():
        fell = _rounded(was - new.scores[case_id]) if case_id in new.scores else 0.0
        if fell > 0 or case_id in new.unscored:
            fallen.append((-fell, case_id))
    chosen = [case_id for _, case_id in sorted(fallen)[:most]]
    moved = moved_cases(engine, before, after, chosen, cases)
    was_asked, is_asked = old.scores.keys() | old.unscored, new.scores.keys() | new.unscored
    return Paired(
        moved=tuple(moved[case_id] for case_id in chosen),
        missing=tuple(sorted(was_asked - is_asked)),
        new=tuple(sorted(is_asked - was_asked)),
    )


def moved_cases(
    engine: Engine, before: EvalRun, after: EvalRun, ids: Collection[str], cases: Sequence[Case]
) -> dict[str, MovedCase]:
    """What the cases `ids` say in both runs, without those that one of the runs lacks or `before` has no score of.

    Their rows alone are read, however large the runs are; `cases` is today's suite.
    """
    results, wanted = CaseResults(engine), list(ids)
    old, new = (
        _rows(run, results.responses(run.id, wanted), results.scores(run.id, wanted)) for run in (before, after)
    )
    chosen = frozenset(ids)
    known = {case.id: case for case in cases if case.id in chosen}
    found: dict[str, MovedCase] = {}
    for case_id in wanted:
        was = old.outcomes.get(case_id)
        if isinstance(was, Score) and case_id in new.outcomes:
            answered = old.responses.get(case_id)
            found[case_id] = _moved(case_id, was.value, answered, new, known.get(case_id))
    return found


def most_moved(engine: Engine, run: EvalRun, cases: Sequence[Case], most: int = 10) -> MostMoved | None:
    """The `most` cases of `run` that moved furthest, up or down, from the valid scheduled run before it with its model.

    `cases` is today's suite. Falls go before rises of the same size; cases that lost their score come last, those that
    had none before are left out. None where there is no run before it. A run by hand is compared with the scheduled one
    of its own window where that was there first.
    """
    with reading(engine) as tables:
        earlier = _scheduled_beside(engine, run) or next(iter(tables.verdicts.earlier(run)), None)
        if earlier is None:
            return None
        means = case_means(tables.connection, [earlier.id, run.id])
    ids = _furthest(means[earlier.id], means[run.id])
    shown = ids[:most]
    moved = moved_cases(engine, earlier, run, shown, cases)
    return MostMoved(
        before=earlier,
        cases=tuple(moved[case] for case in shown),
        more=len(ids) - len(shown),
        changed=tuple(differences(earlier.comparability, run.comparability)),
        measured_alike=not differences_of(earlier.comparability, run.comparability, MEASURED_BY),
    )


def _scheduled_beside(engine: Engine, run: EvalRun) -> EvalRun | None:
    """For a run by hand, its window's valid scheduled run where that is of the same model and was there first."""
    if run.run_type != "manual":
        return None
    other = EvalRuns(engine).scheduled(run.feature, run.partition_key)
    alike = other is not None and other.status == "completed" and other.model_id == run.model_id and other.id < run.id
    return other if alike else None


def _furthest(before: CaseMeans, after: CaseMeans) -> list[str]:
    """The ids of the cases that moved, the furthest first, and then of those that lost their score."""
    changes = {case: after.scores[case] - was for case, was in before.scores.items() if case in after.scores}

    def rank(case: str) -> tuple[float, float, str]:
        change = _rounded(changes[case])
        return -abs(change), change, case

    moved = sorted((case for case, change in changes.items() if abs(change) >= _VISIBLE), key=rank)
    return moved + sorted(before.scores.keys() & after.unscored)


def _rounded(change: float) -> float:
    """Sums of floats may differ in their last digit."""
    return round(change, 6)


def _rows(run: EvalRun, responses: Sequence[Response], scores: Sequence[ScoreRow]) -> _Rows:
    ids = list(dict.fromkeys(response.case_id for response in responses))
    return _Rows(_first(responses), scores, outcomes(run, ids, responses, scores))


def _first(responses: Sequence[Response]) -> dict[str, Response]:
    """By case id; the first repeat stands for all."""
    return {response.case_id: response for response in reversed(responses)}


def _moved(case_id: str, before: float, answered: Response | None, new: _Rows, case: Case | None) -> MovedCase:
    after, answer = new.outcomes[case_id], new.responses.get(case_id)
    reasons = reasons_of(row for row in new.scores if row.case_id == case_id)
    return MovedCase(
        case_id=case_id,
        before=before,
        after=after.value if isinstance(after, Score) else None,
        input=None if case is None else input_words(case),
        reference=None if case is None else words(case.reference) or None,
        answer_before=answered and answered.shown,
        answer_after=answer and answer.shown,
        why=after.reason if isinstance(after, Unscored) else why_of(reasons, answer),
    )
