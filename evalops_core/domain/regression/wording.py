"""An assessment in one plain sentence.

What belongs here: words. What does not: any decision.
"""

from evalops_core.domain.regression.sample import Assessment, Rules

_TESTS = {
    "fixed_drop": "the fixed drop",
    "paired": "the paired sign-flip test",
    "history": "the noise learned from earlier runs",
    "cusum": "the sum over runs",
}


def in_words(said: Assessment, rules: Rules) -> str:
    """Why a run that could be compared has its outcome."""
    drop = said.drop or 0.0
    moved = "the same as" if drop == 0 else f"{abs(drop):.3f} {'lower' if drop > 0 else 'higher'} than"
    one = said.runs_used == 1 and said.baseline_runs
    against = f"run {said.baseline_runs[-1]}" if one else f"{said.runs_used} earlier runs"
    bounds = "" if said.ci_low is None else f" (95 % interval of the drop {said.ci_low:.3f} to {said.ci_high:.3f})"
    head = f"{said.n} common case{'s' * (said.n != 1)} scored {moved} {'' if one else 'in '}{against}{bounds}"
    return f"{head}: {_reason(said, rules)}"


def _reason(said: Assessment, rules: Rules) -> str:
    if said.rule == "fixed_drop":
        always = f"a move of {rules.drop:g} or more"
        return f"{always} always counts" if said.outcome != "stable" else f"only {always} counts"
    if said.rule == "cusum" and said.outcome == "regressed":
        return f"small falls have added up since run {said.onset_run}"
    test = _TESTS[said.rule or "paired"]
    p = "" if said.p_value is None else f" (p of a fall {said.p_value:.2g})"
    if said.outcome != "stable":
        return f"{test} tells it from chance{p}"
    if said.p_value is not None and said.p_value <= rules.alpha and 0 < (said.drop or 0.0) < rules.min_effect:
        return f"{test} tells it from chance{p}, but less than {rules.min_effect:g} does not count"
    return f"{test} finds no change{p}"


def few_runs(runs: int, needed: int) -> str:
    return f"this rule needs {needed} earlier runs of the same configuration, and there are {runs}"
