"""The verdict: which rule speaks when, what the guards refuse, and what no verdict may depend on."""

import math
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalops_core.domain.regression.assess import assess, confirmed
from evalops_core.domain.regression.cusum import learn
from evalops_core.domain.regression.sample import Assessment, RuleChoice, Rules, Sample
from tests.domain.regression.samples import noisy, sample, steady

AUTO = Rules()
QUARTERS = st.integers(4, 20).map(lambda n: n / 4)
PAIRS = st.lists(st.tuples(QUARTERS, QUARTERS), min_size=1, max_size=30)


def pair(before: list[float], after: list[float], rules: Rules = AUTO, **changed: Any) -> Assessment:
    return assess(sample(1, after, **changed), [sample(0, before)], rules)


def numbers(said: Assessment) -> list[float]:
    found = [getattr(said, item.name) for item in fields(said)]
    return [value for value in found if isinstance(value, float)]


# which rule speaks


def test_the_first_run_has_no_baseline() -> None:
    said = assess(noisy(0), [], AUTO)
    assert (said.outcome, said.severity, said.drop, said.n) == ("no_baseline", "none", None, 40)


def test_with_one_earlier_run_the_pairs_decide() -> None:
    said = assess(noisy(1, drop=0.4), [noisy(0)], AUTO)
    assert (said.outcome, said.rule, said.baseline_runs, said.runs_used) == ("regressed", "paired", (0,), 1)
    assert said.p_value is not None
    assert said.p_value <= 0.01


def test_with_five_earlier_runs_their_noise_decides_and_the_sign_flips_stand_beside_it() -> None:
    said = assess(noisy(9, drop=0.2), steady(5), AUTO)
    assert (said.outcome, said.rule, said.baseline_runs) == ("regressed", "history", (0, 1, 2, 3, 4))
    assert said.sign_flip_p is not None


def test_only_the_newest_ten_runs_are_learned_from() -> None:
    assert assess(noisy(50), steady(30), AUTO).baseline_runs == tuple(range(20, 30))


def test_after_a_change_of_configuration_the_pairs_decide_and_the_newest_run_is_the_baseline() -> None:
    said = assess(noisy(50, drop=0.4, configuration="new"), steady(12), AUTO)
    assert (said.outcome, said.rule, said.baseline_runs) == ("regressed", "paired", (11,))


def test_a_slide_is_found_by_the_sum_and_says_when_it_began() -> None:
    runs = [*steady(20), *[noisy(100 + i, drop=0.012 * i) for i in range(1, 13)]]
    said = assess(noisy(200, drop=0.13), runs, AUTO)
    assert (said.outcome, said.rule) == ("regressed", "cusum")
    assert said.onset_run in range(100, 113)


def test_rule_d_says_the_same_from_its_state_as_from_the_whole_history() -> None:
    runs = [*steady(20), *[noisy(100 + i, drop=0.012 * i) for i in range(1, 13)]]
    before = assess(runs[-1], runs[:-1], AUTO)
    assert before.slide is not None
    kept = learn(before.slide, runs[-1])
    candidate = noisy(200, drop=0.13)
    short, long = assess(candidate, runs[-10:], AUTO, slide=kept), assess(candidate, runs, AUTO)
    assert (short.drop, short.p_value, short.onset_run, short.slide) == (
        long.drop, long.p_value, long.onset_run, long.slide,
    )  # fmt: skip


@pytest.mark.parametrize("runs", [1, 6, 15])
def test_a_drop_of_half_a_point_always_counts(runs: int) -> None:
    """However noisy: here the tests find nothing."""
    history = [sample(i, [5.0 if (case + i) % 2 else 1.0 for case in range(12)]) for i in range(runs)]
    newest = list(history[-1].scores.values())
    candidate = sample(99, [max(1.0, newest[0] - 4), max(1.0, newest[1] - 4), *newest[2:9], *[1.0] * 3])
    said = assess(candidate, history, AUTO)
    only = assess(candidate, history, Rules(rule="fixed_drop"))
    assert only.outcome == "regressed"
    assert said.outcome == "regressed"


def test_a_drop_of_less_than_the_smallest_effect_never_does() -> None:
    said = pair([4.0] * 60, [3.91] * 60)
    assert said.p_value is not None
    assert (said.outcome, said.p_value <= 0.01) == ("stable", True)
    assert pair([4.0] * 60, [3.9] * 60).outcome == "regressed"


def test_a_rise_is_an_improvement_and_no_alarm() -> None:
    said = assess(noisy(9, drop=-0.3), steady(6), AUTO)
    assert (said.outcome, said.severity, said.rule) == ("improved", "none", "history")


@pytest.mark.parametrize(("rule", "runs", "outcome"), [
    ("history", 4, "inconclusive"),
    ("history", 5, "regressed"),
    ("cusum", 9, "inconclusive"),
    ("cusum", 10, "stable"),
    ("paired", 12, "regressed"),
    ("fixed_drop", 12, "stable"),
])  # fmt: skip
def test_a_rule_can_be_chosen_alone(rule: RuleChoice, runs: int, outcome: str) -> None:
    assert assess(noisy(99, drop=0.4), steady(runs), Rules(rule=rule)).outcome == outcome


# the guards


@pytest.mark.parametrize("rule", ["auto", "fixed_drop", "paired", "history", "cusum"])
def test_a_change_of_judge_is_never_blamed_on_the_feature(rule: RuleChoice) -> None:
    said = assess(noisy(50, drop=2.0, measured_by="another"), steady(12), Rules(rule=rule))
    assert (said.outcome, said.severity, said.drop) == ("not_comparable", "none", None)
    assert "judge" in said.why


def test_after_a_change_of_judge_only_the_runs_since_are_compared_with() -> None:
    history = [*steady(12), noisy(20, drop=2.0, measured_by="another")]
    said = assess(noisy(50, drop=2.0, measured_by="another"), history, AUTO)
    assert (said.outcome, said.baseline_runs) == ("stable", (20,))


@pytest.mark.parametrize(("cases", "outcome"), [(9, "inconclusive"), (10, "regressed")])
def test_fewer_than_ten_common_cases_say_nothing_of_a_small_drop(cases: int, outcome: str) -> None:
    assert pair([4.0] * cases, [3.6] * cases).outcome == outcome


def test_half_a_point_counts_with_few_cases_too() -> None:
    said = pair([4.0] * 3, [3.5] * 3)
    assert (said.outcome, said.rule, said.severity, said.n) == ("regressed", "fixed_drop", "warn", 3)


@pytest.mark.parametrize(("kept", "outcome"), [(31, "inconclusive"), (32, "regressed")])
def test_less_than_80_percent_in_common_says_nothing(kept: int, outcome: str) -> None:
    before = {f"c{i}": 4.0 for i in range(40)}
    after = {f"c{i}" if i < kept else f"new{i}": 3.0 for i in range(40)}
    said = assess(sample(1, after), [sample(0, before)], AUTO)
    assert said.outcome == outcome
    assert (len(said.missing), len(said.new)) == (40 - kept, 40 - kept)
    assert said.new == tuple(sorted(f"new{i}" for i in range(kept, 40)))


@pytest.mark.parametrize(("unscored", "outcome"), [(3, "inconclusive"), (2, "regressed")])
def test_less_than_95_percent_scored_says_nothing(unscored: int, outcome: str) -> None:
    left = frozenset(f"c{i}" for i in range(40 - unscored, 40))
    said = assess(sample(1, [3.0] * (40 - unscored), unscored=left), [sample(0, [4.0] * 40)], AUTO)
    assert said.outcome == outcome
    assert said.missing == ()


def test_a_run_is_not_compared_with_itself() -> None:
    with pytest.raises(ValueError, match="itself"):
        assess(noisy(3), steady(5), AUTO)


# severity


def test_a_fall_that_one_run_has_seen_warns_and_asks_for_confirmation() -> None:
    said = assess(noisy(50, drop=0.8), steady(12), AUTO)
    assert (said.outcome, said.severity, said.needs_confirmation) == ("regressed", "warn", True)


def test_a_fall_that_the_run_before_has_seen_too_pages() -> None:
    said = assess(noisy(51, drop=0.3), steady(12), AUTO, standing=True)
    assert (said.severity, said.needs_confirmation) == ("page", False)


def test_a_run_that_is_back_does_not_page_whatever_the_one_before_was() -> None:
    assert assess(noisy(51), steady(12), AUTO, standing=True).severity == "none"


def test_a_confirming_run_that_is_low_too_makes_it_page() -> None:
    history = steady(12)
    said = assess(noisy(50, drop=0.2), history, AUTO)
    after = confirmed(said, noisy(51, drop=0.2), history, AUTO)
    assert (after.outcome, after.severity, after.needs_confirmation) == ("regressed", "page", False)


def test_a_confirming_run_that_is_back_leaves_a_warning_that_says_so() -> None:
    history = steady(12)
    after = confirmed(assess(noisy(50, drop=0.2), history, AUTO), noisy(51), history, AUTO)
    assert (after.severity, after.needs_confirmation) == ("warn", False)
    assert "did not confirm" in after.why


def test_what_asks_for_no_confirmation_is_left_as_it_is() -> None:
    said = assess(noisy(50), steady(12), AUTO)
    assert confirmed(said, noisy(51, drop=1.0), steady(12), AUTO) is said


@pytest.mark.parametrize(("drop", "severity"), [(0.1, "warn"), (0.3, "page")])
def test_paging_at_once_takes_p_of_a_thousandth(drop: float, severity: str) -> None:
    said = assess(noisy(50, drop=drop), steady(6), replace(AUTO, page_at_once=True))
    assert said.p_value is not None
    assert (said.outcome, said.severity, said.p_value <= 0.001) == ("regressed", severity, severity == "page")


def test_the_fixed_drop_alone_pages_as_it_always_has() -> None:
    assert pair([4.0] * 3, [3.5] * 3, Rules(rule="fixed_drop")).severity == "page"


# what is said


def test_an_alarm_reports_what_a_person_asks_next() -> None:
    before = {f"c{i}": 4.0 + i % 2 for i in range(40)}
    after = before | {"c3": 1.0, "c4": 2.0} | {f"c{i}": before[f"c{i}"] - 0.5 for i in range(10, 40)}
    groups: dict[str, str | None] = {f"c{i}": f"source {i // 2}" for i in range(40)}
    said = assess(sample(1, after, groups=groups, repeats=3), [sample(0, before)], AUTO)
    assert (said.n, said.n_clusters, said.repeats) == (40, 20, 3)
    assert said.before is not None
    assert said.after is not None
    assert said.drop is not None
    assert said.drop == pytest.approx(said.before - said.after)
    assert [(case.case, case.before, case.after) for case in said.worst[:2]] == [("c3", 5.0, 1.0), ("c4", 4.0, 2.0)]
    assert len(said.worst) == 5
    assert said.se is not None
    assert said.mde == pytest.approx(3.168 * said.se)
    assert said.ci_low is not None
    assert said.ci_high is not None
    assert said.ci_low < said.drop < said.ci_high
    assert said.why.startswith("40 common cases scored 0.525 lower than run 0")


# what no verdict may depend on


@given(PAIRS)
def test_no_verdict_depends_on_the_order_of_cases(pairs: list[tuple[float, float]]) -> None:
    cases = [(f"c{i}", before, after) for i, (before, after) in enumerate(pairs)]
    one, other = (
        assess(sample(1, {c: a for c, _, a in order}), [sample(0, {c: b for c, b, _ in order})], AUTO)
        for order in (cases, cases[::-1])
    )
    assert one == other


@given(PAIRS, st.integers(0, 6))
def test_no_verdict_depends_on_the_names_of_cases(pairs: list[tuple[float, float]], runs: int) -> None:
    def renamed(run: Sample, name: Any) -> Sample:
        return replace(run, scores={name(case): score for case, score in run.scores.items()})

    history = [sample(i, [before + 0.1 * ((case * 7 + i) % 5) for case, (before, _) in enumerate(pairs)])
               for i in range(runs + 1)]  # fmt: skip
    candidate = sample(99, [after for _, after in pairs])
    said = [
        assess(renamed(candidate, name), [renamed(run, name) for run in history], AUTO)
        for name in (str, lambda case: f"{case}"[::-1] + "x")  # pyright: ignore[reportUnknownLambdaType]
    ]
    assert len({(s.outcome, s.rule, s.drop, s.p_value, s.ci_low, s.ci_high, s.se) for s in said}) == 1


@given(PAIRS)
def test_swapping_the_runs_mirrors_the_verdict(pairs: list[tuple[float, float]]) -> None:
    before, after = [list(scores) for scores in zip(*pairs, strict=True)]
    one, other = pair(before, after), pair(after, before)
    mirrored = {"regressed": "improved", "improved": "regressed"}
    assert other.outcome == mirrored.get(one.outcome, one.outcome)
    assert (one.drop is None) == (other.drop is None)
    if one.drop is not None and other.drop is not None:
        assert other.drop == pytest.approx(-one.drop, abs=1e-12)
    if one.ci_low is not None and other.ci_high is not None:
        assert other.ci_high == pytest.approx(-one.ci_low, abs=1e-12)


@given(PAIRS, st.floats(-2, 2), st.integers(0, 6))
def test_a_constant_added_to_all_runs_changes_nothing(
    pairs: list[tuple[float, float]], constant: float, runs: int
) -> None:
    def verdict(shift: float) -> Assessment:
        history = [sample(i, [before + shift + 0.25 * ((case + i) % 3) for case, (before, _) in enumerate(pairs)])
                   for i in range(runs + 1)]  # fmt: skip
        return assess(sample(99, [after + shift for _, after in pairs]), history, AUTO)

    one, other = verdict(0.0), verdict(constant)
    assert (one.outcome, one.severity, one.rule) == (other.outcome, other.severity, other.rule)
    assert one.p_value == pytest.approx(other.p_value, abs=1e-6)


@given(PAIRS, st.integers(0, 12))
def test_the_same_again_gives_the_same_and_no_number_is_ever_nan(pairs: list[tuple[float, float]], runs: int) -> None:
    history = [sample(i, [before for before, _ in pairs]) for i in range(runs)]
    one, other = (assess(sample(99, [after for _, after in pairs]), history, AUTO) for _ in range(2))
    assert one == other
    assert all(math.isfinite(number) for number in numbers(one))


@pytest.mark.parametrize("runs", [1, 5, 12])
@pytest.mark.parametrize("rule", ["auto", "fixed_drop", "paired"])
@pytest.mark.parametrize("run", [
    sample(0, [4.0] * 20),
    sample(0, [4.0]),
    sample(0, [], unscored=frozenset({"a", "b"})),
    sample(0, [1.0, 5.0, 3.0] * 7),
    sample(0, [4.0] * 10, unscored=frozenset({"a", "b"})),
], ids=["all equal", "one case", "all unscored", "all different", "some unscored"])  # fmt: skip
def test_runs_that_are_the_same_are_stable_with_drop_0(run: Sample, rule: RuleChoice, runs: int) -> None:
    said = assess(replace(run, run=99), [replace(run, run=i) for i in range(runs)], Rules(rule=rule))
    assert (said.outcome, said.severity, said.drop) == ("stable", "none", 0.0)
    assert all(math.isfinite(number) for number in numbers(said))
