"""Rows of a run → its cases, beside those of the run before.

What belongs here: this pairing, pure. What does not: reading the rows (collect), how cases are ordered and shown (page,
report.js). Changes are left out where the two runs were not measured alike.
"""

from collections.abc import Iterable, Mapping, Sequence

from evalops_core.domain.eval_run import EvalRun, Response, ScoreRow
from evalops_core.domain.regression.sample import Sample
from evalops_core.domain.score import Score, Unscored
from evalops_core.domain.suite import Case
from evalops_core.run.facts import words
from evalops_core.run.outcomes import outcomes
from evalops_core.trend.report.facts import AxisSaid, CaseRow, CaseSide, Excerpt
from evalops_core.trend.report.texts import excerpt

Sides = Mapping[str, CaseSide]


def sides_of_run(run: EvalRun, responses: Sequence[Response], scores: Sequence[ScoreRow]) -> Sides:
    """Every case that the run asked, by id."""
    answers: dict[str, list[Response]] = {}
    for response in responses:
        answers.setdefault(response.case_id, []).append(response)
    said: dict[str, list[ScoreRow]] = {}
    for row in scores:
        said.setdefault(row.case_id, []).append(row)
    found: dict[str, CaseSide] = {}
    for case_id, outcome in outcomes(run, answers, responses, scores).items():
        first = answers[case_id][0]
        found[case_id] = CaseSide(
            score=outcome.value if isinstance(outcome, Score) else None,
            why=excerpt(outcome.reason) if isinstance(outcome, Unscored) else None,
            answer=excerpt(first.text),
            answers=len(answers[case_id]),
            axes=_axes(said.get(case_id, []), run.weights),
            purged=any(answer.is_purged for answer in answers[case_id]),
        )
    return found


def sides_of_file(sample: Sample) -> Sides:
    """The cases of a file of scores, which holds no texts."""
    scored = {case: CaseSide(score=score) for case, score in sample.scores.items()}
    no_score = CaseSide(score=None, why=excerpt("the file has no score for it"))
    return {**scored, **dict.fromkeys(sample.unscored, no_score)}


def paired(before: Sides, now: Sides, cases: Iterable[Case], *, alike: bool) -> tuple[CaseRow, ...]:
    """All cases of both, by id. `alike` says whether scores of the two may be compared, `cases` have the inputs."""
    known = {case.id: case for case in cases}
    rows: list[CaseRow] = []
    for case_id in sorted(before.keys() | now.keys()):
        case, was, is_ = known.get(case_id), before.get(case_id), now.get(case_id)
        rows.append(
            CaseRow(
                case_id=case_id,
                input=None if case is None else excerpt(_asked(case)),
                reference=None if case is None else excerpt(words(case.reference)),
                before=was,
                now=is_,
                change=_change(was, is_) if alike else None,
            )
        )
    return tuple(rows)


def _change(before: CaseSide | None, now: CaseSide | None) -> float | None:
    if before is None or now is None or before.score is None or now.score is None:
        return None
    return now.score - before.score


def _axes(rows: Sequence[ScoreRow], weights: Mapping[str, float]) -> tuple[AxisSaid, ...]:
    """The axes that count first, then the others, by name."""
    by_axis: dict[str, list[ScoreRow]] = {axis: [] for axis in sorted(weights)}
    for row in sorted(rows, key=lambda row: (row.scorer, row.axis, row.repeat)):
        by_axis.setdefault(f"{row.scorer}.{row.axis}", []).append(row)
    return tuple(_said(axis, said) for axis, said in by_axis.items() if said)


def _said(axis: str, rows: Sequence[ScoreRow]) -> AxisSaid:
    values = [row.outcome.value for row in rows if isinstance(row.outcome, Score)]
    reasons = [row.outcome.reason if isinstance(row.outcome, Unscored) else row.rationale for row in rows]
    name = ".".join(dict.fromkeys(axis.split(".", 1)))  # a scorer with one axis gives it its own name
    return AxisSaid(name, sum(values) / len(values) if values else None, _together(reasons))


def _together(reasons: Iterable[str | None]) -> Excerpt | None:
    """The reasons of all repeats, none twice."""
    return excerpt("\n".join(dict.fromkeys(reason for reason in reasons if reason)))


def _asked(case: Case) -> str:
    """What the case asks, a line a field; a single field needs no name."""
    if case.messages:
        return "\n".join(f"{message.role}: {message.content}" for message in case.messages)
    if len(case.fields) == 1:
        return "".join(words(value) for value in case.fields.values())
    return "\n".join(f"{name}: {words(value)}" for name, value in case.fields.items())
