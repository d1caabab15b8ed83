"""The reduction to case means: the database's and the domain's are one."""

from collections.abc import Mapping

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from evalops_core.domain.comparability import ComparabilityKey
from evalops_core.domain.eval_run import Response, ScoreRow
from evalops_core.domain.score import Score, Unscored
from evalops_core.domain.window import window_of
from evalops_core.run.outcomes import outcomes
from evalops_core.store.case_means import case_means
from evalops_core.store.results import CaseResults
from evalops_core.store.runs import EvalRuns, NewRun
from tests.run.scored import START

CASES, AXES = ("a", "b", "c"), ("judge.tone", "judge.sense", "form.form")
VALUES = st.one_of(st.none(), st.floats(1, 5).map(lambda value: round(value, 3)))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.dictionaries(st.tuples(st.sampled_from(CASES), st.sampled_from((0, 1)), st.sampled_from(AXES)), VALUES),
    weights=st.fixed_dictionaries({axis: st.sampled_from((0.0, 0.25, 0.5)) for axis in AXES}),
    failed=st.sets(st.tuples(st.sampled_from(CASES), st.sampled_from((0, 1)))),
)
def test_the_database_reduces_to_case_means_as_the_domain_does(
    engine: Engine,
    values: Mapping[tuple[str, int, str], float | None],
    weights: Mapping[str, float],
    failed: set[tuple[str, int]],
) -> None:
    total = sum(weights.values())
    shares = {axis: weight / total for axis, weight in weights.items()} if total else {"judge.tone": 1.0}
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM evalops.eval_runs"))
    new = NewRun(
        feature="explain",
        window=window_of(START, 24),
        run_type="manual",
        comparability=ComparabilityKey("d", "p", "s", "m", repeats=2),
        plan_key="plan",
        weights=shares,
    )
    run = EvalRuns(engine).insert(new)
    assert run is not None
    responses = [
        Response(case, repeat, error_class="TransientError", error_text="no")
        if (case, repeat) in failed
        else Response(case, repeat, text="yes", case_group=None if case == "a" else "shared")
        for case in CASES
        for repeat in (0, 1)
    ]
    scores = [
        ScoreRow(case, repeat, *axis.split("."), outcome=Unscored("no") if value is None else Score(value))
        for (case, repeat, axis), value in values.items()
        if (case, repeat) not in failed
    ]
    results = CaseResults(engine)
    results.save_responses(run.id, responses)
    results.save_scores(run.id, scores)
    expected = outcomes(run, CASES, results.responses(run.id), results.scores(run.id))
    with engine.connect() as connection:
        means = case_means(connection, [run.id])[run.id]
    assert means.unscored == {case for case, outcome in expected.items() if isinstance(outcome, Unscored)}
    assert means.scores.keys() | means.unscored == set(CASES)
    for case, outcome in expected.items():
        if isinstance(outcome, Score):
            assert abs(means.scores[case] - outcome.value) < 1e-9
    assert "a" not in means.groups
