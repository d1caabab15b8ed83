"""Detection by the statistics: what pages at once, what a second run is asked about, and what is carried on."""

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, insert

from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.regression.assess import assess
from evalops_core.domain.regression.sample import Rules, Sample
from evalops_core.domain.suite import RegressionSpec
from evalops_core.run.alert_rules import AlertRules
from evalops_core.run.assessing import slide_from, slide_json
from evalops_core.run.deliver import preview
from evalops_core.run.detect import Looked, detect, standing_verdict
from evalops_core.run.incident_desk import accept
from evalops_core.store.alerting import reading
from evalops_core.store.outbox import Outbox
from evalops_core.store.tables import BASELINES
from evalops_core.store.verdicts import Judged
from tests.run.scored import NOW, Scored, rules

CASES = 40
AUTO = AlertRules(others=replace(rules().others, rules=RegressionSpec()))


@pytest.fixture
def scored(engine: Engine) -> Scored:
    return Scored(engine)


def answers(day: int, *, drop: float = 0.0, noise: float = 0.15, cases: int = CASES) -> Mapping[str, tuple[str, float]]:
    """Each case has a level of its own, and varies around it from day to day."""
    levels, days = random.Random(7), random.Random(100 + day)
    found: dict[str, tuple[str, float]] = {}
    for number in range(cases):
        score = levels.uniform(3.2, 4.4) + days.gauss(0, noise) - drop
        found[f"case-{number}"] = (f"answer of day {day}", min(max(score, 1.0), 5.0))
    return found


def one(scored: Scored, day: int, *, drop: float = 0.0, noise: float = 0.15, **given: object) -> EvalRun:
    rows = answers(day, drop=drop, noise=noise)
    mean = sum(score for _, score in rows.values()) / len(rows)
    return scored.run(day, f"{mean:.3f}", answers=rows, **given)  # pyright: ignore[reportArgumentType]  # options of Scored.run


def look(engine: Engine, **given: object) -> Looked:
    return detect(engine, AUTO, NOW, **given)  # pyright: ignore[reportArgumentType]  # options of detect


def nothing(_: EvalRun) -> None:
    """Stands in the way of a second run."""


def too_late(_: EvalRun) -> str:
    return "its window has ended"


def newest(engine: Engine) -> Judged:
    judged = standing_verdict(engine, "explain")
    assert judged is not None
    return judged


def test_a_drop_far_below_the_fixed_one_is_found_by_the_noise_that_was_learned(engine: Engine, scored: Scored) -> None:
    for day in range(7):
        one(scored, day)
    assert look(engine).regressed == 0
    one(scored, 7, drop=0.25)
    assert look(engine).opened == 1
    judged = newest(engine)
    assert (judged.outcome, judged.severity, judged.rule) == ("regressed", "page", "history")
    said = judged.details["assessment"]
    assert said["p_value"] < 0.001
    assert said["ci_low"] < 0.25 < said["ci_high"]
    assert (said["n"], said["runs_used"]) == (CASES, 7)
    assert judged.drop is not None
    assert abs(judged.drop - Decimal("0.25")) < Decimal("0.1")


def test_the_mail_says_how_sure_it_is_and_by_which_rule(engine: Engine, scored: Scored) -> None:
    for day in range(7):
        one(scored, day)
    one(scored, 7, drop=0.25)
    look(engine)
    (message,) = Outbox(engine).listed()
    mail = preview(message, engine, AUTO, NOW)
    assert mail is not None
    said = newest(engine).details["assessment"]
    for facts in (mail.text, mail.html):
        assert "noise learned case by case, against 7 earlier runs" in facts
        assert f"{said['ci_low']:.2f} to {said['ci_high']:.2f}" in facts
        assert f"a drop of {said['mde']:.2f}" in facts
        assert f"z {said['worst'][0]['z']:.1f}" in facts
        assert " → ".join(newest(engine).details["fingerprints"]) in facts
    assert "Threshold" not in mail.text


def test_a_changed_prompt_is_compared_pair_by_pair_and_named(engine: Engine, scored: Scored) -> None:
    for day in range(7):
        one(scored, day)
    one(scored, 7, drop=0.4, key={"prompt": "p2"})
    assert look(engine).opened == 1
    judged = newest(engine)
    assert judged.rule == "paired"
    assert "the prompt changed (p → p2)" in judged.why


def test_another_model_is_compared_and_named(engine: Engine, scored: Scored) -> None:
    for day in range(3):
        one(scored, day)
    one(scored, 3, drop=0.5, model="cheap-1")
    assert look(engine).opened == 1
    assert "the model changed (small-1 → cheap-1)" in newest(engine).why


def test_a_changed_judge_is_not_comparable_and_begins_anew(engine: Engine, scored: Scored) -> None:
    for day in range(7):
        one(scored, day)
    one(scored, 7, drop=0.6, key={"judge": "judge-2"})
    assert look(engine).opened == 0
    judged = newest(engine)
    assert (judged.outcome, judged.severity) == ("not_comparable", "none")
    assert "the judge changed (none → judge-2)" in judged.why
    one(scored, 8, drop=0.6, key={"judge": "judge-2"})
    look(engine)
    assert newest(engine).outcome == "stable"


def test_an_incident_is_over_when_the_fall_against_what_was_before_it_is_gone(engine: Engine, scored: Scored) -> None:
    for day in range(7):
        one(scored, day)
    for day in (7, 8, 9):
        one(scored, day, drop=0.25)
        look(engine)
    judged = newest(engine)
    assert (judged.outcome, judged.details["assessment"]["runs_used"]) == ("regressed", 7), "low runs are no history"
    assert len(Outbox(engine).listed()) == 1
    one(scored, 10)
    assert look(engine).recovered == 1


def test_a_fall_that_may_be_chance_waits_for_a_second_run_and_pages_if_that_is_low_too(
    engine: Engine, scored: Scored
) -> None:
    run = may_be_chance(engine, scored)
    first = look(engine, cannot_confirm=nothing)
    assert (first.judged, first.unconfirmed, [wanted.id for wanted in first.to_confirm]) == (0, 1, [run.id])
    again = look(engine, cannot_confirm=nothing)
    assert (again.unconfirmed, again.to_confirm) == (1, ()), "it is asked for once"
    confirm(scored, run, drop=0.3)
    assert look(engine).opened == 1
    judged = newest(engine)
    assert (judged.outcome, judged.severity) == ("regressed", "page")
    assert "a second run was low too" in judged.why


def test_a_fall_that_a_second_run_does_not_see_is_a_warning_and_nobody_is_told(engine: Engine, scored: Scored) -> None:
    run = may_be_chance(engine, scored)
    look(engine, cannot_confirm=nothing)
    confirm(scored, run, drop=0.0)
    assert look(engine).opened == 0
    judged = newest(engine)
    assert (judged.outcome, judged.severity, judged.incident_id) == ("regressed", "warn", None)
    assert "did not confirm it" in judged.why
    assert Outbox(engine).listed() == []


def test_the_next_window_waits_until_it_is_known_what_to_think_of_the_one_before(
    engine: Engine, scored: Scored
) -> None:
    run = may_be_chance(engine, scored)
    one(scored, 8, drop=0.3, noise=NOISY)
    first = look(engine, cannot_confirm=nothing)
    assert (first.judged, first.unconfirmed, [wanted.id for wanted in first.to_confirm]) == (0, 2, [run.id])
    confirm(scored, run, drop=0.3)
    assert look(engine, cannot_confirm=nothing).judged == 2
    with reading(engine) as tables:
        (incident,) = tables.incidents.listed()
    assert incident.opened_by_run_id == run.id


def test_where_no_second_run_can_be_made_the_warning_says_why(engine: Engine, scored: Scored) -> None:
    may_be_chance(engine, scored)
    look(engine, cannot_confirm=too_late)
    judged = newest(engine)
    assert judged.severity == "warn"
    assert judged.why.endswith("not confirmed by a second run: its window has ended")


def test_a_second_run_that_does_not_come_is_not_waited_for_for_ever(engine: Engine, scored: Scored) -> None:
    may_be_chance(engine, scored)
    look(engine, cannot_confirm=nothing)
    late = detect(engine, AUTO, NOW + timedelta(hours=2), cannot_confirm=nothing)
    assert (late.judged, late.unconfirmed) == (1, 0)
    assert "it was not started in time" in newest(engine).why


def test_a_warning_whose_next_run_is_low_too_pages(engine: Engine, scored: Scored) -> None:
    run = may_be_chance(engine, scored)
    look(engine)
    assert newest(engine).severity == "warn"
    one(scored, 8, drop=0.3, noise=NOISY)
    assert newest(engine).eval_run_id == run.id
    assert look(engine).opened == 1


def test_accepting_a_lower_level_makes_its_runs_the_baseline(engine: Engine, scored: Scored) -> None:
    for day in range(7):
        one(scored, day)
    one(scored, 7, drop=0.4)
    look(engine)
    with reading(engine) as tables:
        (incident,) = tables.incidents.listed()
        assert tables.statistics.slide("explain") is not None
    accept(engine, incident.id, "a cheaper model", "ada", NOW)
    with reading(engine) as tables:
        assert tables.statistics.slide("explain") is None
    one(scored, 8, drop=0.4)
    assert look(engine).opened == 0
    judged = newest(engine)
    assert (judged.outcome, judged.details["assessment"]["runs_used"]) == ("stable", 1)


def test_a_pinned_run_is_the_one_that_is_compared_with(engine: Engine, scored: Scored) -> None:
    first = one(scored, 0, drop=-0.3)
    for day in range(1, 7):
        one(scored, day)
    look(engine)
    pin(engine, first)
    one(scored, 7)
    look(engine)
    judged = newest(engine)
    assert (judged.baseline_run_id, judged.rule, judged.outcome) == (first.id, "paired", "regressed")


def test_among_many_features_a_page_has_to_be_clearer(engine: Engine, scored: Scored) -> None:
    for feature in range(30):
        for day in range(7):
            one(scored, day, feature=f"feature_{feature}", dagster_run=f"day-{day}")
    look(engine)
    for feature in range(30):
        drop = 0.18 if feature == 0 else 0.0
        one(scored, 7, drop=drop, feature=f"feature_{feature}", dagster_run="day-7")
    look(engine)
    judged = standing_verdict(engine, "feature_0")
    assert judged is not None
    assert judged.details["features_judged_at_once"] == 30
    assert judged.details["adjusted_p"] == pytest.approx(min(1.0, 30 * judged.details["assessment"]["p_value"]))


def test_what_is_carried_from_run_to_run_survives_as_json(engine: Engine, scored: Scored) -> None:
    for day in range(12):
        one(scored, day)
        look(engine)
    with reading(engine) as tables:
        state = tables.statistics.slide("explain")
    assert state is not None
    slide = slide_from(state)
    assert len(slide.cases) == CASES
    assert slide_from(slide_json(slide)) == slide


def test_a_slow_slide_is_found_that_no_single_run_shows(engine: Engine, scored: Scored) -> None:
    for day in range(12):
        one(scored, day)
        look(engine)
    rules_seen: list[str | None] = []
    for day in range(12, 30):
        one(scored, day, drop=min(0.05 * (day - 11), 0.5) / 3, noise=0.15)
        look(engine)
        rules_seen.append(newest(engine).rule if newest(engine).outcome == "regressed" else None)
    assert any(rules_seen), "it was never found"


def test_runs_without_rows_of_their_cases_are_compared_by_their_scores(engine: Engine, scored: Scored) -> None:
    scored.runs(["4.200", "3.600"])
    assert look(engine).opened == 1
    assert newest(engine).rule == "fixed_drop"


NOISY = 0.4


def may_be_chance(engine: Engine, scored: Scored) -> EvalRun:
    """A run whose fall is told from chance, and not clearly enough to tell anybody."""
    for day in range(7):
        one(scored, day, noise=NOISY)
    look(engine)
    for step in range(100, 400):
        drop = step / 1000
        if 0.0015 < _p_of(drop) < 0.009:
            return one(scored, 7, drop=drop, noise=NOISY)
    raise AssertionError("no such fall")


def _p_of(drop: float) -> float:
    def sample(day: int, fall: float) -> Sample:
        rows = answers(day, drop=fall, noise=NOISY)
        return Sample(run=day, scores={case: score for case, (_, score) in rows.items()})

    said = assess(sample(7, drop), [sample(day, 0.0) for day in range(7)], Rules(page_at_once=True))
    return said.p_value if said.p_value is not None and said.drop is not None and said.drop >= 0.1 else 1.0


def confirm(scored: Scored, run: EvalRun, *, drop: float) -> None:
    """The second run, made at once."""
    rows = answers(50, drop=drop, noise=NOISY)
    mean = sum(score for _, score in rows.values()) / len(rows)
    scored.run(7, f"{mean:.3f}", answers=rows, run_type="manual", confirms=run.id)


def pin(engine: Engine, run: EvalRun) -> None:
    with engine.begin() as connection:
        connection.execute(insert(BASELINES).values(feature=run.feature, eval_run_id=run.id, reason="a good day"))
