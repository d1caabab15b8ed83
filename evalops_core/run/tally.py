"""What a run's rows add up to, read a chunk of cases at a time.

What belongs here: sums over any number of cases in little memory. What does not: what becomes of them (finish, Dagster
metadata). Of each case a number and its id are kept, for a standard error needs all of them; texts are kept of the few
worst alone.
"""

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from evalops_core.domain.eval_run import EvalRun, Response, ScoreRow
from evalops_core.domain.score import Outcome, RunScore, Score, Unscored, summary_of
from evalops_core.domain.scorer import JudgeSpec
from evalops_core.domain.suite import Case
from evalops_core.run.facts import CaseFacts, Latency, latency_of, worst
from evalops_core.run.outcomes import outcomes
from evalops_core.run.plan import CHUNK, Plan
from evalops_core.store.results import CaseResults

_REASONS = 1000  # different reasons that are counted; an endpoint may word each of its errors anew
_FAILURES = 20


@dataclass
class Calls:
    """Answered calls. A sum is None where any of its parts is unknown: missing is never zero."""

    count: int = 0
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0
    cost_usd: Decimal | None = Decimal(0)

    def add(self, row: "Response | ScoreRow | Calls", count: int = 1) -> None:
        self.count += count
        self.prompt_tokens = _plus(self.prompt_tokens, row.prompt_tokens)
        self.completion_tokens = _plus(self.completion_tokens, row.completion_tokens)
        cost = row.cost_usd
        self.cost_usd = None if self.cost_usd is None or cost is None else self.cost_usd + cost


@dataclass
class Tally:
    """`scored` maps the scored cases to their score, `groups` cases that share a source to its name, and `reasons`
    counts why the others have none. `by_axis` holds each axis' means of the scored cases, `axis_rows` the sum and the
    count of its values over all responses, `unscored_rows` why rows have none. `complete` is whether every repeat was
    asked and every answer judged, however it went. `worst` are the cases that deserve a look first."""

    scored: dict[str, float] = field(default_factory=dict[str, float])
    groups: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    n_unscored: int = 0
    reasons: Counter[str] = field(default_factory=Counter[str])
    by_axis: dict[str, "array[float]"] = field(default_factory=dict[str, "array[float]"])
    axis_rows: dict[str, tuple[float, int]] = field(default_factory=dict[str, tuple[float, int]])
    unscored_rows: Counter[str] = field(default_factory=Counter[str])
    answered: int = 0
    failed: int = 0
    attempts: int = 0
    failures: list[Response] = field(default_factory=list[Response])
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    answers: Calls = field(default_factory=Calls)
    judgments: Calls = field(default_factory=Calls)
    models: Counter[str] = field(default_factory=Counter[str])
    judges: Counter[str] = field(default_factory=Counter[str])
    complete: bool = True
    worst: list[CaseFacts] = field(default_factory=list[CaseFacts])

    @property
    def calls(self) -> Calls:
        """Those of the model, the judge and an embedding model."""
        both = Calls()
        both.add(self.answers, self.answers.count)
        both.add(self.judgments, self.judgments.count)
        return both

    @property
    def latency(self) -> Latency | None:
        return latency_of(self.latencies)

    @property
    def model(self) -> str | None:
        """As its endpoint resolved it, where it did so in different ways the most frequent."""
        return most_common(self.models)

    @property
    def judge(self) -> str | None:
        """Likewise; an embedding model is paid for too and judges nothing."""
        return most_common(self.judges)

    @property
    def summary(self) -> RunScore:
        axes = {axis: sum(means) / len(means) for axis, means in sorted(self.by_axis.items())}
        return summary_of(self.scored, self.n_unscored, self.groups, axes)


def tally(run: EvalRun, plan: Plan, results: CaseResults, *, worst_cases: int = 0) -> Tally:
    """All rows of `run`; `worst_cases` is how many of them are kept with their texts.

    Every case of the plan counts if the run is of the plan's cases, else every case that the run asked.
    """
    found = Tally()
    judges = {spec.name for spec in plan.specs if isinstance(spec, JudgeSpec)}
    for ids, cases in _chunks(run, plan, results):
        responses, scores = results.responses(run.id, ids), results.scores(run.id, ids)
        of_cases = outcomes(run, ids, responses, scores)
        _add_cases(found, of_cases, responses, scores)
        _add_rows(found, responses, scores, judges)
        found.complete = found.complete and _complete(run, ids, responses, scores)
        if worst_cases:
            facts = worst(cases, of_cases, responses, scores, worst_cases)
            found.worst = sorted([*found.worst, *facts], key=lambda fact: (fact.score or 0.0, fact.case_id))
            del found.worst[worst_cases:]
    return found


def most_common(counted: "Counter[str]") -> str | None:
    return counted.most_common(1)[0][0] if counted else None


def _chunks(run: EvalRun, plan: Plan, results: CaseResults) -> Iterator[tuple[list[str], Sequence[Case]]]:
    """The ids of the run's cases, with those cases of theirs that the plan has."""
    key = run.comparability
    if (key.dataset, key.cases) == (plan.key.dataset, plan.key.cases):
        for chunk in plan.chunks():
            yield [case.id for case in chunk], chunk
        return
    last = ""
    while ids := results.case_ids(run.id, after=last, limit=CHUNK):
        wanted, last = set(ids), ids[-1]
        yield ids, [case for case in plan.cases if case.id in wanted]


def _add_cases(
    found: Tally, of_cases: Mapping[str, Outcome], responses: Sequence[Response], scores: Sequence[ScoreRow]
) -> None:
    for case, outcome in of_cases.items():
        if isinstance(outcome, Score):
            found.scored[case] = outcome.value
        else:
            found.n_unscored += 1
            _count(found.reasons, ": ".join(outcome.reason.split(": ", 2)[:2]))
    found.groups.update((r.case_id, r.case_group) for r in responses if r.case_group is not None)
    values: dict[tuple[str, str], list[float]] = {}
    for row in scores:
        if isinstance(row.outcome, Score) and row.case_id in found.scored:
            values.setdefault((f"{row.scorer}.{row.axis}", row.case_id), []).append(row.outcome.value)
    for (axis, _), of_case in values.items():  # a case counts once however many repeats it has
        found.by_axis.setdefault(axis, array("d")).append(sum(of_case) / len(of_case))


def _add_rows(found: Tally, responses: Sequence[Response], scores: Sequence[ScoreRow], judges: set[str]) -> None:
    for answer in responses:
        found.attempts += answer.attempts
        if answer.model:
            found.models[answer.model] += 1
        if answer.latency_s is not None:
            found.latencies.append(answer.latency_s)
        if answer.error_class is None:
            found.answered += 1
            found.answers.add(answer)
        else:
            found.failed += 1
            if len(found.failures) < _FAILURES:
                found.failures.append(answer)
    for row in scores:
        name = f"{row.scorer}.{row.axis}"
        if isinstance(row.outcome, Unscored):
            _count(found.unscored_rows, f"{name}: {row.outcome.reason}")
        else:
            summed, count = found.axis_rows.get(name, (0.0, 0))
            found.axis_rows[name] = summed + row.outcome.value, count + 1
        if row.model:  # a judge's call, or an embedding model's, is on the first of its axes
            found.judgments.add(row)
            if row.scorer in judges:
                found.judges[row.model] += 1


def _complete(run: EvalRun, ids: Sequence[str], responses: Sequence[Response], scores: Sequence[ScoreRow]) -> bool:
    asked = {(r.case_id, r.repeat) for r in responses}
    judged = {(s.case_id, s.repeat, f"{s.scorer}.{s.axis}") for s in scores}
    answered = [(r.case_id, r.repeat) for r in responses if r.error_class is None]
    return all((case, repeat) in asked for case in ids for repeat in range(run.comparability.repeats)) and all(
        (*key, axis) in judged for key in answered for axis in run.weights
    )


def _count(counted: "Counter[str]", reason: str) -> None:
    counted[reason if reason in counted or len(counted) < _REASONS else "other reasons"] += 1


def _plus(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
