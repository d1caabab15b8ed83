"""The smallest drop that a feature's runs find, from its stored noise, and what more would buy and cost."""

import math
import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from evalops_core.domain.eval_run import Response, ScoreRow
from evalops_core.domain.regression.intervals import minimum_detectable
from evalops_core.domain.score import Score
from evalops_core.domain.suite import RegressionSpec
from evalops_core.run.baseline_desk import pin_baseline
from evalops_core.run.begin import begin
from evalops_core.run.cost import plan_cost
from evalops_core.run.power import Power, power_of
from evalops_core.store.results import CaseResults
from evalops_core.wiring import Workshop
from tests.builders import judge_settings, make_suite, make_workshop
from tests.run.scored import NOW, Scored

NOWHERE = "http://127.0.0.1:9/v1"
PRICES = {name: {"input_per_mtok": "1", "output_per_mtok": "2"} for name in ("mock-model", "mock-judge")}
CASES = [f"case-{number:06d}" for number in range(20)]


@pytest.fixture
def shop(engine: Engine, tmp_path: Path) -> Workshop:
    return make_workshop(engine, judge_settings(NOWHERE, tmp_path / "home", prices=PRICES))


@pytest.fixture
def scored(engine: Engine) -> Scored:
    return Scored(engine)


def power(shop: Workshop, tmp_path: Path, *, regression: RegressionSpec | None = None, **options: Any) -> Power:
    suite = make_suite(tmp_path / "suites", NOWHERE, **{"cases": 20, **options})
    if regression is not None:
        object.__setattr__(suite, "regression", regression)
    return power_of(shop.plan(suite, run_type="manual"), shop.engine, shop.tools)


def noisy(scored: Scored, days: int, sd: float, *, first_day: int = 0, **given: Any) -> None:
    """A run a day whose cases move about 3 by themselves."""
    for day in range(first_day, first_day + days):
        chance = random.Random(day)
        answers = {case: ("yes", min(5.0, max(1.0, chance.gauss(3, sd)))) for case in CASES}
        scored.run(day, "3.000", feature="orders", answers=answers, **given)


def repeated(engine: Engine, scores_of: Callable[[random.Random], list[float]]) -> None:
    """Five runs of two repeats, whose scores `scores_of` gives for each case."""
    results = CaseResults(engine)
    for day in range(5):
        chance = random.Random(day)
        run = Scored(engine).run(day, "3.000", feature="orders", key={"repeats": 2})
        rows = [(case, repeat, score) for case in CASES for repeat, score in enumerate(scores_of(chance))]
        results.save_responses(run.id, [Response(case, repeat, text="yes") for case, repeat, _ in rows])
        scores = [ScoreRow(case, repeat, "quality", "quality", Score(score)) for case, repeat, score in rows]
        results.save_scores(run.id, scores)


def test_without_runs_the_noise_is_assumed_and_that_is_said(shop: Workshop, tmp_path: Path) -> None:
    found = power(shop, tmp_path)
    today = found.options[0]
    assert (found.noise.method, found.noise.runs, today.today) == ("assumed", 0, True)
    assert found.noise.basis.startswith("assumed, not measured: a case's score has a standard deviation of 0.5")
    assert today.se == pytest.approx(math.sqrt(2 * 0.25 / 20))
    assert (today.detectable, today.bounded_by) == (pytest.approx(minimum_detectable(today.se), rel=1e-3), "noise")


def test_two_runs_give_the_error_of_their_paired_differences(scored: Scored, shop: Workshop, tmp_path: Path) -> None:
    for day, shift in ((1, 0.0), (2, 0.4)):
        answers = {case: ("yes", 3 + shift * (number % 2)) for number, case in enumerate(CASES)}
        scored.run(day, "3.000", feature="orders", answers=answers)
    found = power(shop, tmp_path)
    assert (found.noise.method, found.noise.runs) == ("paired", 2)
    assert found.options[0].se == pytest.approx(math.sqrt(20 * 0.04 / 19 / 20))
    assert any("from 5 comparable runs on, rule C" in note for note in found.notes)


def test_five_runs_give_rule_c_s_error_of_the_next_run(scored: Scored, shop: Workshop, tmp_path: Path) -> None:
    noisy(scored, 5, 0.3)
    found = power(shop, tmp_path)
    assert (found.noise.method, found.noise.runs) == ("history", 5)
    assert found.noise.basis == "the noise of each case between the last 5 comparable runs (rule C)"
    assert found.options[0].se == pytest.approx(0.3 * math.sqrt(1.2 / 20), rel=0.2)
    noisy(scored, 20, 0.3, first_day=5)
    assert power(shop, tmp_path).noise.runs == 10


def test_runs_of_another_configuration_or_cut_short_are_not_the_noise(
    scored: Scored, shop: Workshop, tmp_path: Path
) -> None:
    noisy(scored, 4, 1.0, key={"prompt": "old"})
    noisy(scored, 5, 0.1, first_day=4)
    noisy(scored, 3, 1.0, first_day=9, status="partial")
    noisy(scored, 3, 1.0, first_day=12, run_type="manual")
    found = power(shop, tmp_path)
    assert (found.noise.method, found.noise.runs) == ("history", 5)
    assert found.options[0].se == pytest.approx(0.1 * math.sqrt(1.2 / 20), rel=0.2)


def test_one_run_after_a_change_is_compared_with_the_one_before_and_that_is_said(
    scored: Scored, shop: Workshop, tmp_path: Path
) -> None:
    noisy(scored, 4, 0.3, key={"prompt": "old"})
    noisy(scored, 1, 0.3, first_day=4)
    found = power(shop, tmp_path)
    assert found.noise.method == "paired"
    assert "a real change between them counts as noise" in found.noise.basis
    noisy(scored, 1, 0.3, first_day=5, key={"judge": "another"})
    assert power(shop, tmp_path).noise.method == "assumed", "nothing is measured alike"


def test_a_pinned_baseline_is_one_run_and_never_a_history(
    engine: Engine, scored: Scored, shop: Workshop, tmp_path: Path
) -> None:
    noisy(scored, 6, 0.3)
    pin_baseline(engine, 1, "shipped", "ann", NOW)
    found = power(shop, tmp_path)
    assert found.noise.method == "paired"
    assert any("run 1 is pinned as the baseline" in note for note in found.notes)


def test_cases_that_rise_and_fall_together_detect_less(engine: Engine, shop: Workshop, tmp_path: Path) -> None:
    for name, group in (("apart", None), ("together", "all")):
        feature, results = f"orders_{name}", CaseResults(engine)
        for day in range(6):
            score = Score(3 + 0.2 * random.Random(day).gauss(0, 1))
            run = Scored(engine).run(day, "3.000", feature=feature)
            results.save_responses(run.id, [Response(case, 0, text="yes", case_group=group) for case in CASES])
            results.save_scores(run.id, [ScoreRow(case, 0, "quality", "quality", score) for case in CASES])
    apart, together = (power(shop, tmp_path, feature=f"orders_{name}") for name in ("apart", "together"))
    assert together.options[0].se == pytest.approx(apart.options[0].se * math.sqrt(20))


def test_more_cases_and_repeats_shrink_the_error_as_the_formulas_say(
    scored: Scored, shop: Workshop, tmp_path: Path
) -> None:
    noisy(scored, 5, 0.3)
    found = power(shop, tmp_path)
    today = found.options[0]
    by_size = {(option.cases, option.repeats): option for option in found.options}
    assert list(by_size) == [(20, 1), (30, 1), (40, 1), (80, 1), (20, 2), (20, 3), (20, 5)]
    for (cases, repeats), option in by_size.items():
        assert option.se == pytest.approx(today.se / math.sqrt(cases / 20 * repeats))
        assert option.cost_per_day is not None
        assert today.cost_per_day is not None
        assert option.cost_per_day == pytest.approx(today.cost_per_day * cases * repeats / 20)
        assert option.today == (option is today)
    assert any("that repeats average all of the noise is assumed" in note for note in found.notes)


def test_stored_repeats_tell_what_more_of_them_would_average(engine: Engine, shop: Workshop, tmp_path: Path) -> None:
    """Repeats agree within a run, so that all of the noise is between runs: more of them buy nothing."""
    repeated(engine, lambda chance: [3 + chance.gauss(0, 0.2)] * 2)
    found = power(shop, tmp_path, repeats=2)
    by_size = {(option.cases, option.repeats): option for option in found.options}
    assert found.noise.split
    assert found.noise.within == pytest.approx(0)
    assert by_size[20, 5].se == pytest.approx(by_size[20, 2].se)
    assert by_size[80, 2].se == pytest.approx(by_size[20, 2].se / 2)


def test_what_the_rules_refuse_to_see_is_never_called_detectable(
    scored: Scored, shop: Workshop, tmp_path: Path
) -> None:
    noisy(scored, 5, 0.01)
    quiet = power(shop, tmp_path).options[0]
    assert (quiet.detectable, quiet.bounded_by) == (pytest.approx(0.10 + 0.842 * quiet.se), "min_effect")
    fixed = power(shop, tmp_path, regression=RegressionSpec(rule="fixed_drop")).options[0]
    assert (fixed.detectable, fixed.bounded_by) == (pytest.approx(0.5 + 0.842 * fixed.se), "drop")
    few = power(shop, tmp_path, cases=5)
    assert few.options[0].bounded_by == "drop"
    assert any("with fewer than 10 cases (min_cases)" in note for note in few.notes)
    assert [option.bounded_by for option in few.options if option.cases >= 10] == ["min_effect"] * 2


def test_runs_without_any_noise_are_no_division_by_zero(scored: Scored, shop: Workshop, tmp_path: Path) -> None:
    noisy(scored, 6, 0.0)
    found = power(shop, tmp_path)
    assert (found.options[0].se, found.options[0].detectable) == (0.0, 0.1)
    assert any("no noise at all was seen" in note for note in found.notes)


def test_repeats_that_differ_as_much_as_runs_do_average_all_of_it(
    engine: Engine, shop: Workshop, tmp_path: Path
) -> None:
    repeated(engine, lambda chance: [3 + chance.gauss(0, 0.3) for _ in (0, 1)])
    found = power(shop, tmp_path, repeats=2)
    by_size = {(option.cases, option.repeats): option for option in found.options}
    assert found.noise.split
    assert by_size[20, 2].se == pytest.approx(0.3 / math.sqrt(2) * math.sqrt(1.2 / 20), rel=0.2)
    assert by_size[20, 5].se == pytest.approx(by_size[20, 2].se * math.sqrt(2 / 5), rel=0.15)


def test_the_cost_a_day_is_of_whole_runs_at_the_suite_s_interval(shop: Workshop, tmp_path: Path) -> None:
    found = power(shop, tmp_path)
    per_run = found.cost.cost_usd
    assert (found.cost.done, found.cost.calls, found.runs_per_day) == (0, 40, 1)
    assert per_run is not None
    assert per_run > 0
    assert found.options[0].cost_per_day == per_run


def test_what_a_run_that_would_go_on_has_paid_already_is_not_left_out(shop: Workshop, tmp_path: Path) -> None:
    plan = shop.plan(make_suite(tmp_path / "suites", NOWHERE, cases=20), run_type="manual")
    run = begin(plan, shop.tools.runs, NOW).run
    shop.tools.results.save_responses(run.id, [Response(case, 0, text="yes") for case in CASES])
    assert plan_cost(plan, shop.tools).done == 20
    found = power_of(plan, shop.engine, shop.tools)
    assert (found.cost.done, found.cost.calls) == (0, 40)


def test_an_unknown_price_makes_every_cost_unknown(engine: Engine, tmp_path: Path) -> None:
    unpriced = make_workshop(
        engine, judge_settings(NOWHERE, tmp_path / "home", prices={"mock-judge": PRICES["mock-judge"]})
    )
    found = power(unpriced, tmp_path)
    assert found.cost.unpriced == ("mock-model",)
    assert {option.cost_per_day for option in found.options} == {None}
    assert Decimal(0) not in {option.cost_per_day for option in found.options}


def test_a_suite_that_has_changed_since_is_said_to_have(scored: Scored, shop: Workshop, tmp_path: Path) -> None:
    noisy(scored, 5, 0.3)
    found = power(shop, tmp_path)
    assert any("since the last comparable run the cases changed" in note for note in found.notes)
