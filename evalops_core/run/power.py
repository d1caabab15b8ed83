"""The smallest drop that a feature's evaluation can find, and what more cases or repeats would buy and cost.

What belongs here: what follows from the noise. What does not: the noise itself (noise), the formulas
(domain.regression.intervals), what a run costs (cost), how it is printed (evalops_dagster.cli).
"""

import math
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from scipy.special import ndtri
from sqlalchemy import Engine

from evalops_core.domain.comparability import differences_of
from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.regression.history import FEWEST_RUNS, MOST_RUNS
from evalops_core.domain.regression.intervals import Z_POWER_80
from evalops_core.domain.regression.sample import Rules
from evalops_core.domain.window import window_of
from evalops_core.run.cost import CostPlan, plan_cost
from evalops_core.run.evaluate import Tools
from evalops_core.run.noise import Noise, noise_of
from evalops_core.run.plan import Plan
from evalops_core.run.samples import rules_of, samples_of
from evalops_core.store.alerting import reading

MORE_CASES, REPEATS = (1.5, 2.0, 4.0), (1, 2, 3, 5)
_CHANGED = ("dataset", "prompt", "scorers", "repeats")

Bound = Literal["noise", "min_effect", "drop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A size of the suite. `detectable` is the smallest true drop found with 80 % power, on the 1–5 scale, and
    `bounded_by` what keeps it from being smaller. `cost_per_day` is in US dollars, None where a price is unknown."""

    cases: int
    repeats: int
    se: float
    detectable: float
    bounded_by: Bound
    cost_per_day: Decimal | None
    today: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """`options` begin with today's size. `notes` are sentences without which the numbers would be misread."""

    feature: str
    noise: Noise
    rules: Rules
    runs_per_day: float
    options: tuple[Option, ...]
    cost: CostPlan
    notes: tuple[str, ...]


def power_of(plan: Plan, engine: Engine, tools: Tools) -> Power:
    """What runs of `plan` can find; reads the store and calls nothing."""
    suite = plan.suite
    feature, cases, repeats, rules = suite.feature, len(plan.cases), suite.repeats, rules_of(suite.regression)
    with reading(engine) as tables:
        newest, pinned = tables.baselines.newest_scheduled(feature), tables.baselines.pinned(feature)
        # what a run of the window after the newest would be compared with
        probe = None if newest is None else replace(newest, window_start=newest.window_end)
        runs = [] if probe is None else tables.verdicts.history(probe, MOST_RUNS)[::-1]
        samples = samples_of(tables.connection, runs)
    noise = noise_of(runs, samples, tools.results, learn=pinned is None)
    upcoming = replace(plan, window=window_of(plan.window.end, suite.interval_hours))  # nothing of it is paid yet
    cost, runs_per_day = plan_cost(upcoming, tools), 24 / suite.interval_hours

    def option(n: int, k: int) -> Option:
        se = noise.error(n, k)
        detectable, bound = _detectable(se, n, rules)
        share = Decimal(n * k) / Decimal(cases * repeats)
        per_day = None if cost.cost_usd is None else cost.cost_usd * share * Decimal(str(runs_per_day))
        return Option(
            cases=n, repeats=k, se=se, detectable=detectable, bounded_by=bound, cost_per_day=per_day,
            today=(n, k) == (cases, repeats),
        )  # fmt: skip

    sizes = [(cases, repeats), *((math.ceil(cases * more), repeats) for more in MORE_CASES)]
    sizes += [(cases, k) for k in REPEATS if k != repeats]
    return Power(
        feature=feature,
        noise=noise,
        rules=rules,
        runs_per_day=runs_per_day,
        options=tuple(option(n, k) for n, k in sizes),
        cost=cost,
        notes=tuple(_notes(plan, noise, rules, runs[-1] if runs else None, pinned)),
    )


def _detectable(se: float, cases: int, rules: Rules) -> tuple[float, Bound]:
    """The true drop that is over the rules' threshold in 80 of 100 runs (after eq. 9).

    The threshold is z_α·SE, as in `minimum_detectable`, but never below `min_effect`, and never above `drop`, from
    which on any drop counts; with too few cases, and for the fixed rule, it is `drop`.
    """
    tested = float(ndtri(1 - rules.alpha)) * se
    threshold, bound = max((tested, "noise"), (rules.min_effect, "min_effect"))
    if rules.rule == "fixed_drop" or cases < rules.min_cases or threshold > rules.drop:
        threshold, bound = rules.drop, "drop"
    return threshold + Z_POWER_80 * se, bound


def _notes(plan: Plan, noise: Noise, rules: Rules, newest: EvalRun | None, pinned: EvalRun | None) -> list[str]:
    notes: list[str] = []
    if pinned is not None:
        notes.append(f"run {pinned.id} is pinned as the baseline: runs are compared with it alone, by pairs (rule B)")
    elif noise.method != "history" and rules.rule == "auto":
        notes.append(f"from {FEWEST_RUNS} comparable runs on, rule C learns the noise of each case and finds less")
    if rules.rule == "fixed_drop":
        notes.append(f"the suite's rule is fixed_drop: only a drop of {rules.drop:g} or more counts")
    elif len(plan.cases) < rules.min_cases:
        notes.append(
            f"with fewer than {rules.min_cases} cases (min_cases) only a drop of {rules.drop:g} or more counts"
        )
    if noise.method != "assumed" and noise.within + noise.between == 0:
        notes.append("no noise at all was seen: every case had the same score in all of those runs")
    if not noise.split:
        notes.append("that repeats average all of the noise is assumed: no stored run has more than one")
    if newest is not None and (changed := differences_of(newest.comparability, plan.key, _CHANGED)):
        notes.append(
            f"since the last comparable run {'; '.join(changed)}: the next run is compared by pairs (rule B), and the "
            "noise may be another"
        )
    return notes
