"""Two runs compared on demand: which are meant, which must not be, and what is told of them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from evalops_core.domain.suite import RegressionSpec, Suite
from evalops_core.errors import ConfigError, NotComparableError
from evalops_core.run.baseline_desk import pin_baseline
from evalops_core.run.compare import Comparison, compare, reference
from evalops_core.run.detect import detect
from tests.builders import make_suite
from tests.run.scored import NOW, Scored, rules

CASES = [f"case-{number:02}" for number in range(20)]
Answers = dict[str, tuple[str, float]]


def answers(*, fall: float = 0.0, of: Mapping[str, float] | None = None, cases: list[str] = CASES) -> Answers:
    """Scores about 4 that differ between cases, each lower by `fall`, those of `of` by theirs."""
    return {
        case: (f"answer of {case}", 4 + 0.05 * (number % 5) - (of or {}).get(case, fall))
        for number, case in enumerate(cases)
    }


@pytest.fixture
def scored(engine: Engine) -> Scored:
    return Scored(engine)


def compared(engine: Engine | None, one: str | int | Path, other: str | int | Path, **given: Any) -> Comparison:
    options: dict[str, Any] = {"suite_of": no_suite, **given}
    return compare(engine, reference(str(one)), reference(str(other)), **options)


def no_suite(_: str) -> Suite | None:
    return None


def csv_file(path: Path, scores: Mapping[str, object], heading: str = "case_id,score") -> Path:
    path.write_text(heading + "\n" + "".join(f"{case},{score}\n" for case, score in scores.items()))
    return path


def test_a_clear_fall_is_a_regression_with_all_its_numbers(engine: Engine, scored: Scored) -> None:
    before = scored.run(1, "4.100", answers=answers())
    of = {case: 0.2 + 0.02 * (number % 3) for number, case in enumerate(CASES)}
    after = scored.run(2, "3.900", answers=answers(of={**of, "case-07": 2.0}))
    found = compared(engine, before.id, after.id)
    said = found.said
    assert (said.outcome, said.rule, said.n) == ("regressed", "paired", 20)
    expected = sum({**of, "case-07": 2.0}.values()) / 20
    assert said.drop == pytest.approx(expected)
    assert said.p_value is not None
    assert said.p_value <= 0.001
    assert said.ci_low is not None
    assert said.ci_high is not None
    assert said.ci_low < expected < said.ci_high
    assert said.se is not None
    assert said.mde == pytest.approx((2.326 + 0.842) * said.se)
    worst = found.fallen[0]
    assert (worst.case, worst.before, worst.after) == ("case-07", pytest.approx(4.1), pytest.approx(2.1))
    assert worst.z is not None
    assert worst.z > 4
    assert (found.feature, found.baseline.run, found.candidate.run) == ("explain", before, after)
    assert found.changed == ()
    assert found.texts == {}


def test_the_order_of_the_two_decides_the_sign_and_the_later_one_is_never_the_baseline(
    engine: Engine, scored: Scored, tmp_path: Path
) -> None:
    low, high = answers(of=dict.fromkeys(CASES[:12], 0.3)), answers()
    one = csv_file(tmp_path / "one.csv", {case: score for case, (_, score) in low.items()})
    other = csv_file(tmp_path / "other.csv", {case: score for case, (_, score) in high.items()})
    up, down = compared(None, one, other).said, compared(None, other, one).said
    assert (up.outcome, down.outcome) == ("improved", "regressed")
    assert up.drop == pytest.approx(-0.18)
    assert (down.drop, down.ci_low, down.ci_high) == pytest.approx((0.18, -(up.ci_high or 0), -(up.ci_low or 0)))
    first, second = scored.run(1, "4.000", answers=low), scored.run(2, "4.000", answers=high)
    with pytest.raises(ConfigError, match=f"run {second.id}, the baseline, is later than run {first.id} "):
        compared(engine, second.id, first.id)


def test_equal_runs_are_stable_and_a_small_fall_is_shown_without_a_verdict_on_it(
    engine: Engine, scored: Scored
) -> None:
    first, second = (scored.run(day, "4.100", answers=answers()) for day in (1, 2))
    third = scored.run(3, "4.090", answers=answers(of={"case-03": 0.2}))
    same = compared(engine, first.id, second.id)
    assert (same.said.outcome, same.said.drop, same.fallen) == ("stable", 0.0, ())
    small = compared(engine, second.id, third.id)
    assert small.said.outcome == "stable"
    assert [fall.case for fall in small.fallen] == ["case-03"]


def test_latest_is_the_newest_valid_run_of_either_type(engine: Engine, scored: Scored) -> None:
    first = scored.run(1, "4.100", answers=answers())
    by_hand = scored.run(2, "4.100", answers=answers(), run_type="manual")
    scored.run(3, "4.100", answers=answers(), status="partial", run_type="manual")
    scored.run(3, "4.100", answers=answers(), feature="orders")
    found = compared(engine, first.id, "latest")
    assert (found.candidate.run, found.candidate.chosen) == (by_hand, "the newest valid run, manual")


def test_baseline_is_the_valid_scheduled_run_before_the_other_one(engine: Engine, scored: Scored) -> None:
    first = scored.run(1, "4.100", answers=answers())
    second = scored.run(2, "4.100", answers=answers())
    by_hand = scored.run(2, "4.100", answers=answers(), run_type="manual")
    scored.run(3, "4.100", status="invalid")
    assert compared(engine, "baseline", by_hand.id).baseline.run == second, "of its own window"
    found = compared(engine, "baseline", second.id)
    assert found.baseline.run == first, "never itself"
    assert found.baseline.chosen == "the newest valid scheduled run before it, none being pinned"
    with pytest.raises(NotComparableError, match=f"no valid scheduled run of explain before run {first.id} to compare"):
        compared(engine, "baseline", first.id)
    assert compared(engine, "baseline", "latest", feature="explain").candidate.run == by_hand


def test_a_run_found_low_is_no_baseline(engine: Engine, scored: Scored) -> None:
    good = scored.run(1, "4.100", answers=answers())
    scored.run(2, "3.100", answers=answers(fall=1.0))
    detect(engine, rules(), NOW)
    candidate = scored.run(3, "4.100", answers=answers(), run_type="manual")
    assert compared(engine, "baseline", candidate.id).baseline.run == good


def test_a_pinned_baseline_goes_before_and_says_by_whom_and_why(engine: Engine, scored: Scored) -> None:
    first, second, third = (scored.run(day, "4.100", answers=answers()) for day in (1, 2, 3))
    pin_baseline(engine, first.id, "shipped", "ann", NOW)
    found = compared(engine, "baseline", third.id)
    assert (found.baseline.run, found.baseline.chosen) == (first, "pinned by ann: shipped")
    pin_baseline(engine, third.id, "newer", "ann", NOW)
    with pytest.raises(ConfigError, match=f"both are eval run {third.id}; a run is not compared with itself"):
        compared(engine, "baseline", "latest", feature="explain")
    with pytest.raises(ConfigError, match="is later than"):
        compared(engine, "baseline", second.id)


def test_another_judge_makes_runs_not_comparable_and_says_which(engine: Engine, scored: Scored) -> None:
    before = scored.run(1, "4.100", answers=answers(), key={"judge": "strict-1"})
    after = scored.run(2, "3.100", answers=answers(fall=1.0), key={"judge": "mild-2"})
    found = compared(engine, before.id, after.id)
    assert (found.said.outcome, found.said.drop, found.fallen) == ("not_comparable", None, ())
    assert found.said.why == "the judge changed (strict-1 → mild-2): the scores are measured differently"


def test_another_model_or_prompt_is_compared_and_named(engine: Engine, scored: Scored) -> None:
    before = scored.run(1, "4.100", answers=answers())
    after = scored.run(2, "3.100", answers=answers(fall=1.0), model="large-2", key={"prompt": "p2"})
    found = compared(engine, before.id, after.id)
    assert found.said.outcome == "regressed"
    assert found.changed == ("the prompt changed (p → p2)", "the model changed (small-1 → large-2)")


def test_too_few_common_cases_say_nothing_and_are_named(engine: Engine, scored: Scored) -> None:
    before = scored.run(1, "4.100", answers=answers(cases=CASES[:15]))
    after = scored.run(2, "4.100", answers=answers(cases=CASES[5:]))
    found = compared(engine, before.id, after.id)
    assert found.said.outcome == "inconclusive"
    assert (found.said.missing, found.said.new) == (tuple(CASES[:5]), tuple(CASES[15:]))


def test_the_suite_s_rules_decide(engine: Engine, scored: Scored, tmp_path: Path) -> None:
    before = scored.run(1, "4.100", answers=answers())
    after = scored.run(2, "3.800", answers=answers(fall=0.3))
    suite = make_suite(tmp_path, "http://127.0.0.1:9/v1", feature="explain")
    strict = RegressionSpec(rule="fixed_drop")
    object.__setattr__(suite, "regression", strict)

    def suite_of(feature: str) -> Suite | None:
        return suite if feature == "explain" else None

    found = compared(engine, before.id, after.id, suite_of=suite_of)
    assert (found.said.outcome, found.said.rule, found.spec) == ("stable", "fixed_drop", strict)
    assert compared(engine, before.id, after.id).said.outcome == "regressed"


def test_texts_are_read_only_where_they_are_asked_for(engine: Engine, scored: Scored) -> None:
    before = scored.run(1, "4.100", answers=answers())
    after = scored.run(2, "3.800", answers=answers(of={"case-03": 1.0}))
    assert compared(engine, before.id, after.id).texts == {}
    (text,) = compared(engine, before.id, after.id, texts=True).texts.values()
    assert (text.case_id, text.answer_after, text.input) == ("case-03", "answer of case-03", None)


def test_a_file_stands_for_a_run(engine: Engine, scored: Scored, tmp_path: Path) -> None:
    run = scored.run(1, "4.100", answers=answers(), key={"judge": "strict-1"})
    rows = [
        {"case_id": case, "repeat": repeat, "score": score - 0.3 + (0.1 if repeat else -0.1)}
        for case, (_, score) in answers().items()
        for repeat in (0, 1)
    ]
    file = tmp_path / "scores.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = compared(engine, "baseline", file, feature="explain")
    assert (found.baseline.run, found.candidate.run, found.candidate.sample.repeats) == (run, None, 2)
    assert (found.said.outcome, found.said.drop) == ("regressed", pytest.approx(0.3))
    assert found.changed is None
    assert f"{run.id}" in found.said.why
    back = compared(engine, file, "latest", feature="explain")
    assert back.said.outcome == "improved"
    assert f"in {file}" in back.said.why or f"than {file}" in back.said.why
    assert "run /" not in back.said.why


def test_the_sources_that_cases_share_hold_for_a_file_that_names_none(tmp_path: Path) -> None:
    scores = {case: score for case, (_, score) in answers().items()}
    grouped = tmp_path / "grouped.csv"
    grouped.write_text(
        "case_id,score,cluster_id\n"
        + "".join(f"{case},{score},{'ab'[number % 2]}\n" for number, (case, score) in enumerate(scores.items()))
    )
    plain = csv_file(tmp_path / "plain.csv", {case: score - 0.2 for case, score in scores.items()})
    found = compared(None, grouped, plain).said
    assert (found.outcome, found.n, found.n_clusters) == ("stable", 20, 2)
    apart = csv_file(tmp_path / "apart.csv", scores)
    assert compared(None, apart, plain).said.outcome == "regressed"


def test_an_empty_score_is_an_unscored_case(tmp_path: Path) -> None:
    scores: dict[str, object] = {case: score for case, (_, score) in answers().items()}
    one = csv_file(tmp_path / "one.csv", scores)
    other = csv_file(tmp_path / "other.csv", {**scores, "case-03": "", "case-04": ""})
    found = compared(None, one, other)
    assert found.candidate.sample.unscored == {"case-03", "case-04"}
    assert found.said.outcome == "inconclusive"
    assert "only 18 of 20 cases have a score" in found.said.why
    with pytest.raises(NotComparableError, match=r"no case of .*none\.csv has a score"):
        compared(None, one, csv_file(tmp_path / "none.csv", dict.fromkeys(CASES, "")))


@pytest.mark.parametrize("written", ["", "newest", "0", "-1", "1.5", "9" * 25, "scores.txt"])
def test_what_is_no_run_is_refused(written: str) -> None:
    with pytest.raises(ConfigError, match="expected the id of an eval run, latest, baseline, or a file of scores"):
        reference(written)


def test_what_is_no_sensible_question_is_refused(engine: Engine, scored: Scored, tmp_path: Path) -> None:
    explain = scored.run(1, "4.100", answers=answers())
    orders = scored.run(2, "4.100", answers=answers(), feature="orders")
    file = csv_file(tmp_path / "one.csv", {"a": 4})
    for one, other, given, words in [
        (explain.id, explain.id, {}, f"{explain.id} is named twice; a run is not compared with itself"),
        (file, file, {}, "is named twice; a run is not compared with itself"),
        (file, tmp_path / "." / ".." / tmp_path.name / "one.csv", {}, "is named twice"),
        (explain.id, orders.id, {}, f"eval run {orders.id} is of orders, not of explain; runs of one feature"),
        (explain.id, "latest", {"feature": "orders"}, f"eval run {explain.id} is of explain, not of orders"),
        (explain.id, "latest", {}, f"both are eval run {explain.id}"),
        (explain.id, 999, {}, "there is no eval run 999"),
        ("baseline", "latest", {}, "--feature: expected the feature of which baseline and latest is meant"),
        ("latest", file, {}, "--feature: expected the feature of which latest is meant"),
    ]:
        with pytest.raises(ConfigError) as refused:
            compared(engine, one, other, **given)
        assert words in str(refused.value)


def test_a_run_without_a_score_to_trust_or_without_cases_is_compared_with_nothing(
    engine: Engine, scored: Scored
) -> None:
    good = scored.run(1, "4.100", answers=answers())
    partial = scored.run(2, "4.100", status="partial", answers=answers())
    bare = scored.run(3, "4.100")
    with pytest.raises(NotComparableError, match=f"eval run {partial.id} of explain is partial"):
        compared(engine, good.id, partial.id)
    with pytest.raises(NotComparableError, match=f"no case of run {bare.id} has a score"):
        compared(engine, good.id, bare.id)
    with pytest.raises(NotComparableError, match="there is no completed run of nothing yet"):
        compared(engine, "baseline", "latest", feature="nothing")
