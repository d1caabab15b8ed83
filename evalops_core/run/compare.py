"""Two runs of a feature compared because a person, or a pull request's check, asks for it.

What belongs here: everything that is told of the two. What does not: which two are meant (two_runs), the statistics
(domain.regression), scheduled verdicts (detect), how it is printed (evalops_dagster.cli).
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from decimal import Decimal

from sqlalchemy import Engine

from evalops_core.domain.comparability import differences, differences_of
from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.regression import MEASURED_BY
from evalops_core.domain.regression.assess import assess
from evalops_core.domain.regression.measure import by_pairs, mean_drop
from evalops_core.domain.regression.sample import Assessment, CaseFall, Sample
from evalops_core.domain.suite import RegressionSpec, Suite
from evalops_core.run.fallen import MovedCase, moved_cases
from evalops_core.run.samples import rules_of
from evalops_core.run.two_runs import Reference, Side, TwoRuns, reference
from evalops_core.store.alerting import reading

__all__ = ["Axis", "Comparison", "Side", "compare", "reference", "score_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The mean of `scorer.axis` on the 1–5 scale in both runs; None where a run does not have it."""

    name: str
    before: float | None
    after: float | None

    @property
    def delta(self) -> float | None:
        return None if self.before is None or self.after is None else self.after - self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`said` is the verdict, `common` how many cases both have scored, `fallen` those that fell furthest, whatever the
    verdict.

    `changed` says in phrases what else is different between the two; None where a file is one of them, of which
    nothing is known. `texts` are the fallen cases' by id, empty unless asked for. `spec` are the rules that were used.
    """

    feature: str | None
    baseline: Side
    candidate: Side
    said: Assessment
    common: int
    spec: RegressionSpec
    changed: tuple[str, ...] | None
    fallen: tuple[CaseFall, ...]
    axes: tuple[Axis, ...]
    texts: Mapping[str, MovedCase] = field(default_factory=dict[str, MovedCase])


def compare(
    store: Engine | None,
    baseline: Reference,
    candidate: Reference,
    *,
    feature: str | None = None,
    suite_of: Callable[[str], Suite | None],
    texts: bool = False,
) -> Comparison:
    """Judge `candidate` beside `baseline`; nothing is written. `store` may be None where both are files.

    The rules are those of the feature's suite, the defaults where it has none. For errors see `TwoRuns.find`; what the
    two together have too little of, or are measured differently, is an outcome of the verdict.
    """
    with reading(store) if store is not None else nullcontext() as tables:
        sides = TwoRuns(tables, feature)
        before, after = sides.find(baseline, candidate)
        feature = sides.feature
    suite = None if feature is None else suite_of(feature)
    spec = RegressionSpec() if suite is None else suite.regression
    one, other = _alike(before.sample, after.sample, before, after)
    said = assess(other, [one], rules_of(spec))
    comparable = said.outcome != "not_comparable" and mean_drop(other, one) is not None
    fallen = (said.worst or by_pairs(other, one).worst()) if comparable else ()
    return Comparison(
        feature=feature,
        baseline=before,
        candidate=after,
        said=replace(said, why=_why(said, before, after)),
        common=len(one.scores.keys() & other.scores.keys()),
        spec=spec,
        changed=_changed(before, after),
        fallen=fallen,
        axes=_axes(before.run, after.run),
        texts=_texts(store, before, after, fallen, suite) if texts else {},
    )


def _alike(one: Sample, other: Sample, before: Side, after: Side) -> tuple[Sample, Sample]:
    """The samples as they are compared: what measured a file's scores is unknown, and is taken to be the other's; so
    are the sources that cases share, where a file names none, because to forget them would make chance look small."""
    if before.run is None:
        one = replace(one, measured_by=other.measured_by)
    elif after.run is None:
        other = replace(other, measured_by=one.measured_by)
    if not other.groups:
        other = replace(other, groups=one.groups)
    return one, other


def _why(said: Assessment, before: Side, after: Side) -> str:
    if said.outcome == "not_comparable" and before.run is not None and after.run is not None:
        changed = differences_of(before.run.comparability, after.run.comparability, MEASURED_BY)
        return f"{'; '.join(changed)}: the scores are measured differently"
    return said.why if before.run is not None else said.why.replace(f"run {before.name}", before.name)


def _changed(before: Side, after: Side) -> tuple[str, ...] | None:
    if before.run is None or after.run is None:
        return None
    return tuple(differences(before.run.comparability, after.run.comparability))


def _axes(before: EvalRun | None, after: EvalRun | None) -> tuple[Axis, ...]:
    if before is None or after is None:
        return ()
    names = sorted(before.breakdown.keys() | after.breakdown.keys())
    return tuple(Axis(name=name, before=before.breakdown.get(name), after=after.breakdown.get(name)) for name in names)


def _texts(
    store: Engine | None, before: Side, after: Side, fallen: tuple[CaseFall, ...], suite: Suite | None
) -> Mapping[str, MovedCase]:
    """What the fallen cases say in both runs; nothing where a file is one of them, which holds no texts."""
    if store is None or before.run is None or after.run is None or not fallen:
        return {}
    return moved_cases(store, before.run, after.run, [fall.case for fall in fallen], suite.cases if suite else ())


def score_of(side: Side) -> Decimal | float | None:
    """The run's stored score, or the mean over a file's cases."""
    return side.run.score if side.run is not None else side.sample.mean
