"""A run judged against those before it: which of them count, in which order the rules speak, and how loudly.

What belongs here: the choice of baseline and rule, outcome and severity. What does not: the guards (guards), the
tests (paired, history, cusum), how samples are read, incidents.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from evalops_core.domain.regression.cusum import FIRST_RUN, Slide, learn, watch
from evalops_core.domain.regression.fixed import VerdictOutcome
from evalops_core.domain.regression.guards import complaint, identical, measured_as
from evalops_core.domain.regression.history import FEWEST_RUNS, MOST_RUNS, design_effect
from evalops_core.domain.regression.intervals import minimum_detectable
from evalops_core.domain.regression.measure import Measured, by_history, by_pairs, by_test, mean_drop
from evalops_core.domain.regression.sample import Assessment, RuleName, Rules, Sample
from evalops_core.domain.regression.wording import few_runs, in_words

CONFIRMING_ALPHA, CONFIRMING_DROP = 0.05, 0.05
_ROUNDING = 1e-9


def assess(
    candidate: Sample, history: Sequence[Sample], rules: Rules, *, slide: Slide | None = None, standing: bool = False
) -> Assessment:
    """Judge `candidate` against `history`: the earlier runs of its feature that it may be compared with, oldest first.

    Runs of an open incident are the caller's to leave out. Rule C reads the newest 10 runs of the candidate's
    configuration; with fewer than 5, rule B reads the newest run alone. Rule D reads no history where it is given its
    state before this run, `slide`; without it, it goes through all of `history`. `standing` says that the run before
    regressed: a fall that this run shows too (p ≤ .05 and a drop of at least 0.05, or one of `rules.drop`) pages.

    ValueError where `history` has the candidate itself.
    """
    if any(run.run == candidate.run for run in history):
        raise ValueError(f"run {candidate.run} is compared with itself")
    alike = measured_as(candidate, history, rules)
    same = [run for run in alike if run.configuration == candidate.configuration]
    effect = design_effect(same[-MOST_RUNS:], candidate.scores, candidate.groups)
    after, slid = watch(_over(same) if slide is None else slide, candidate, effect)
    blank = Assessment(
        run=candidate.run,
        outcome="no_baseline",
        why="there is no earlier run to compare with",
        n=len(candidate.scores),
        repeats=candidate.repeats,
        slide=after,
    )
    if not history:
        return blank
    if not alike:
        return replace(
            blank,
            outcome="not_comparable",
            why="judge or scorers changed: the scores are measured differently, and this run is a new baseline",
            baseline_runs=(history[-1].run,),
        )
    baseline = alike[-1]
    blank = replace(blank, **_cases(candidate, baseline), baseline_runs=(baseline.run,), runs_used=1)
    fall, pair = mean_drop(candidate, baseline), partial(by_pairs, candidate, baseline)
    problem = complaint(candidate, baseline, rules)
    if problem is not None or fall is None:
        why = "no scored case is common to both runs" if problem is None else problem.why
        if identical(candidate, baseline):
            return replace(blank, outcome="stable", drop=0.0, why="both runs are the same, case by case")
        if fall is None or problem is None or not problem.floor or rules.rule != "auto" or not _far(fall, rules):
            return replace(blank, outcome="inconclusive", why=why)
        return _said(blank, _Found(_direction(fall), "fixed_drop", pair()), rules, standing=standing)
    learned = by_history(candidate, same[-MOST_RUNS:], effect) if len(same) >= FEWEST_RUNS else None
    sliding = None if slid is None else by_test("cusum", slid, candidate, same, after.learned)
    found = _speak(fall, pair, learned, sliding, rules, alarm=_slid(after, rules))
    if found is None:
        have, needed = (after.learned, FIRST_RUN) if rules.rule == "cusum" else (len(same), FEWEST_RUNS)
        return replace(blank, outcome="inconclusive", why=few_runs(have, needed))
    return _said(blank, found, rules, standing=standing)


def confirmed(assessment: Assessment, confirming: Sample, history: Sequence[Sample], rules: Rules) -> Assessment:
    """What a second run at once, `confirming`, makes of a fall that one run has seen; `history` is what that one had.

    The fall pages where the second run shows it too, against the same baseline by rule C or B: p ≤ .05 and a drop of
    at least 0.05, or one of `rules.drop`. Else it stays a warning, which says so. An assessment that asks for no
    confirmation comes back as it is.
    """
    if not assessment.needs_confirmation:
        return assessment
    again = assess(
        confirming, history, replace(rules, alpha=CONFIRMING_ALPHA, min_effect=CONFIRMING_DROP), slide=Slide()
    )
    if again.outcome == "regressed":
        why, severity = f"{assessment.why}; a second run was low too ({_moved(again)})", "page"
    else:
        why, severity = f"{assessment.why}; a second run did not confirm it ({_moved(again)})", assessment.severity
    return replace(assessment, severity=severity, needs_confirmation=False, why=why)


@dataclass(frozen=True, slots=True)
class _Found:
    outcome: VerdictOutcome
    rule: RuleName
    by: Measured


def _speak(
    fall: float,
    pair: Callable[[], Measured],
    learned: Measured | None,
    sliding: Measured | None,
    rules: Rules,
    *,
    alarm: bool,
) -> _Found | None:
    """The rule that decides; None where the chosen one has too little history.

    `fall` is the drop since the newest run, and `pair` the whole of that comparison, which is dear.
    """
    if rules.rule == "fixed_drop":
        return _Found(_direction(fall) if _far(fall, rules) else "stable", "fixed_drop", pair())
    if rules.rule == "cusum":
        return None if sliding is None else _Found("regressed" if alarm else "stable", "cusum", sliding)
    test = pair() if rules.rule == "paired" or (learned is None and rules.rule == "auto") else learned
    if test is None:
        return None
    tested = _Found(_tested(test, rules), test.rule, test)
    if rules.rule != "auto" or tested.outcome == "regressed":
        return tested
    if _far(test.drop, rules) and test.drop > 0:
        return _Found("regressed", "fixed_drop", test)
    if _far(fall, rules) and fall > 0:
        return _Found("regressed", "fixed_drop", pair())
    if sliding is not None and alarm:
        return _Found("regressed", "cusum", sliding)
    if tested.outcome == "stable" and _far(test.drop, rules):
        return _Found("improved", "fixed_drop", test)
    return tested


def _slid(slide: Slide, rules: Rules) -> bool:
    """An alarm of rule D, whose runs since the onset are low by half the smallest effect on average."""
    return slide.alarm and slide.mean_drop >= rules.min_effect / 2


def _tested(by: Measured, rules: Rules) -> VerdictOutcome:
    if by.p_fall <= rules.alpha and by.drop >= rules.min_effect - _ROUNDING:
        return "regressed"
    return "improved" if by.p_rise <= rules.alpha and -by.drop >= rules.min_effect - _ROUNDING else "stable"


def _far(drop: float, rules: Rules) -> bool:
    return abs(drop) >= rules.drop - _ROUNDING


def _direction(drop: float) -> VerdictOutcome:
    return "regressed" if drop > 0 else "improved"


def _said(blank: Assessment, found: _Found, rules: Rules, *, standing: bool) -> Assessment:
    by, fell = found.by, found.outcome == "regressed"
    seen_twice = standing and _low(by, rules)
    page = fell and (seen_twice or rules.rule == "fixed_drop" or (rules.page_at_once and _strong(found, rules)))
    said = replace(
        blank,
        outcome=found.outcome,
        severity="page" if page else "warn" if fell else "none",
        rule=found.rule,
        drop=by.drop,
        ci_low=by.low,
        ci_high=by.high,
        p_value=by.p_fall,
        sign_flip_p=by.sign_flip_p() if by.rule != "paired" and found.outcome != "stable" else None,
        n=by.n,
        n_clusters=by.n_clusters,
        baseline_runs=by.baseline_runs,
        runs_used=by.runs_used,
        before=by.mean_before,
        after=by.mean_after,
        se=by.se,
        mde=None if by.se is None else minimum_detectable(by.se),
        worst=by.worst() if found.outcome != "stable" else (),
        onset_run=blank.slide.sum.onset_run if blank.slide is not None and fell and found.rule == "cusum" else None,
        needs_confirmation=fell and not page,
    )
    return replace(said, why=in_words(said, rules))


def _low(by: Measured, rules: Rules) -> bool:
    """Low enough to confirm what another run has found; in a slide the sum can be high while the run is not low."""
    return (
        by.p_fall <= CONFIRMING_ALPHA and by.drop >= CONFIRMING_DROP - _ROUNDING
    ) or by.drop >= rules.drop - _ROUNDING


def _strong(found: _Found, rules: Rules) -> bool:
    return found.rule in ("fixed_drop", "cusum") or found.by.p_fall <= rules.page_alpha


def _cases(candidate: Sample, baseline: Sample) -> dict[str, tuple[str, ...]]:
    ids, earlier = candidate.scores.keys() | candidate.unscored, baseline.scores.keys() | baseline.unscored
    return {"missing": tuple(sorted(earlier - ids)), "new": tuple(sorted(ids - earlier))}


def _moved(said: Assessment) -> str:
    return said.outcome if said.drop is None else f"drop {said.drop:.3f}"


def _over(history: Sequence[Sample]) -> Slide:
    slide = Slide()
    for run in history:
        slide = learn(watch(slide, run)[0], run)
    return slide
