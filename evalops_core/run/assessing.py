"""One scheduled run and what it may be compared with, read and judged: the statistics' side of detection.

What belongs here: which runs are read for a verdict, and the verdict in the engine's own terms. What does not: the
statistics (domain.regression), what a verdict sets off (detect).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter, ValidationError

from evalops_core.domain.comparability import differences, differences_of
from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.regression import MEASURED_BY, Verdict, verdict
from evalops_core.domain.regression.assess import assess, confirmed
from evalops_core.domain.regression.cusum import Slide, learn
from evalops_core.domain.regression.history import MOST_RUNS
from evalops_core.domain.regression.sample import Assessment, Sample
from evalops_core.domain.suite import RegressionSpec
from evalops_core.run.samples import rules_of, samples_of
from evalops_core.store.alerting import Alerting

_SLIDES = TypeAdapter(Slide)
_READ = MOST_RUNS + 2  # the newest run of another configuration may lie before them
_WORST = 5


@dataclass(frozen=True)
class Finding:
    """What is found of `run`. `assessment` is None where the run's score alone was compared; `slide` is what is carried
    on where the run is found low, `learned` where it is not."""

    run: EvalRun
    verdict: Verdict
    details: Mapping[str, Any]
    assessment: Assessment | None = None
    sample: Sample | None = None
    history: tuple[Sample, ...] = ()
    slide: Slide | None = None
    learned: Slide | None = None

    @property
    def against_reference(self) -> bool:
        """Whether it was compared with what was before an open incident, and not with the run before."""
        return self.assessment is not None


def find(run: EvalRun, tables: Alerting, rules: RegressionSpec) -> Finding:
    """The verdict on `run` as it stands now; nothing is written.

    A run without rows of its cases is compared by its score alone, whatever the rule.
    """
    if rules.rule == "fixed_drop":
        return _by_score(run, tables, rules)
    pinned = tables.baselines.pinned(run.feature)
    before_run = pinned is not None and (pinned.window_start, pinned.id) < (run.window_start, run.id)
    earlier = [pinned] if pinned is not None and before_run else tables.verdicts.history(run, _READ)
    candidate, *newest_first = samples_of(tables.connection, [run, *earlier])
    if not candidate.scores and not candidate.unscored:
        return _by_score(run, tables, rules)
    history = newest_first[::-1]
    before = slide_from(tables.statistics.slide(run.feature))
    said = assess(candidate, history, rules_of(rules), slide=before, standing=tables.verdicts.was_low(run))
    after = said.slide or before
    baseline = next((other for other in earlier if said.baseline_runs and other.id == said.baseline_runs[-1]), None)
    return Finding(
        run=run,
        verdict=_verdict(run, said, baseline),
        details=_details(run, baseline, said),
        assessment=said,
        sample=candidate,
        history=tuple(history),
        slide=after,
        learned=learn(after, candidate),
    )


def with_confirmation(finding: Finding, tables: Alerting, confirming: EvalRun, rules: RegressionSpec) -> Finding:
    """What the second run makes of a fall that one run has seen."""
    if finding.assessment is None:
        return finding
    (again,) = samples_of(tables.connection, [confirming])
    said = confirmed(finding.assessment, again, finding.history, rules_of(rules))
    changed = replace(finding.verdict, severity=said.severity, why=said.why)
    details = {**finding.details, "confirming_run": confirming.id, "confirming_score": str(confirming.score)}
    return replace(finding, assessment=said, verdict=changed, details=details)


def unconfirmed(finding: Finding, why: str) -> Finding:
    """A warning that says why no second run has looked at the fall."""
    words = f"{finding.verdict.why}; not confirmed by a second run: {why}"
    return replace(finding, verdict=replace(finding.verdict, why=words))


def softened(finding: Finding, adjusted_p: float, features: int) -> Finding:
    """A warning where the fall is no surprise among so many features judged at once."""
    words = f"{finding.verdict.why}; a warning only, for {features} features were judged at once (adjusted p "
    changed = replace(finding.verdict, severity="warn", why=f"{words}{adjusted_p:.2g})")
    return replace(finding, verdict=changed)


def with_adjusted_p(finding: Finding, adjusted_p: float, features: int) -> Finding:
    """The p-value as it stands among those of one tick, kept with the verdict."""
    details = {**finding.details, "adjusted_p": adjusted_p, "features_judged_at_once": features}
    return replace(finding, details=details)


def slide_from(state: Mapping[str, Any] | None) -> Slide:
    """The slide that was kept by `slide_json`; a new one of None, and where another version has kept it."""
    if state is None:
        return Slide()
    try:
        return _SLIDES.validate_python(state)
    except ValidationError:
        return Slide()


def slide_json(slide: Slide) -> Mapping[str, Any]:
    return _SLIDES.dump_python(slide, mode="json")


def _by_score(run: EvalRun, tables: Alerting, rules: RegressionSpec) -> Finding:
    history = tables.verdicts.earlier(run)
    found = verdict(run, history, rules)
    baseline = next((other for other in history if other.id == found.baseline_run), None)
    return Finding(run, found, _details(run, baseline, None))


def _verdict(run: EvalRun, said: Assessment, baseline: EvalRun | None) -> Verdict:
    why = said.why
    if said.outcome == "not_comparable" and baseline is not None:
        changed = differences_of(baseline.comparability, run.comparability, MEASURED_BY)
        why = f"{'; '.join(changed)}: the scores are measured differently, and this run is a new baseline"
    elif baseline is not None and (changed := differences(baseline.comparability, run.comparability)):
        why = f"{why}; since run {baseline.id} {', '.join(changed)}"
    return Verdict(
        run=run.id,
        outcome=said.outcome,
        severity=said.severity,
        rule=said.rule,
        baseline_run=None if baseline is None else baseline.id,
        prior=_decimal(said.before),
        current=run.score if said.after is None else _decimal(said.after),
        drop=_decimal(said.drop),
        why=why,
    )


def _details(run: EvalRun, baseline: EvalRun | None, said: Assessment | None) -> dict[str, Any]:
    """What a person asks next: how many cases, how sure, which, and what else is different."""
    details: dict[str, Any] = {"n": run.n, "se": None if run.se is None else str(run.se)}
    if baseline is not None:
        details |= {
            "baseline_n": baseline.n,
            "changed": differences(baseline.comparability, run.comparability),
            "git_sha": [baseline.git_sha, run.git_sha],
            "fingerprints": [baseline.comparability.digest, run.comparability.digest],
            "axes": _axes(baseline, run),
        }
    if said is not None:
        kept = asdict(replace(said, slide=None, worst=said.worst[:_WORST], missing=(), new=()))
        del kept["slide"], kept["missing"], kept["new"]
        details["assessment"] = kept
        details |= {"missing": _few(said.missing), "new": _few(said.new)}
    return details


def _axes(before: EvalRun, after: EvalRun) -> dict[str, float]:
    """The change of each axis that both runs have."""
    return {
        axis: round(after.breakdown[axis] - value, 3)
        for axis, value in before.breakdown.items()
        if axis in after.breakdown
    }


def _few(ids: Sequence[str]) -> dict[str, Any]:
    return {"count": len(ids), "ids": list(ids[:20])}


def _decimal(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(str(value)).quantize(Decimal("0.001"))
