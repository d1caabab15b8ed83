"""The store → the report's facts.

What belongs here: which rows are read for which feature. What does not: SQL (store), what becomes of the rows (cases),
how it looks (page).
"""

import importlib.metadata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import URL, Engine

from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.incident import Incident
from evalops_core.domain.suite import Suite
from evalops_core.errors import ConfigError, NotComparableError
from evalops_core.run.compare import Comparison, Side, compare
from evalops_core.run.feature_desk import past_features
from evalops_core.run.incident_desk import list_incidents
from evalops_core.run.two_runs import Reference
from evalops_core.store.alerting import reading
from evalops_core.store.results import CaseResults
from evalops_core.store.runs import EvalRuns
from evalops_core.trend.drift_history import drift_features, read_drift
from evalops_core.trend.history import TrendRow, read_trend
from evalops_core.trend.report.cases import Sides, paired, sides_of_file, sides_of_run
from evalops_core.trend.report.facts import Cases, FeatureFacts, LastRun, Pair, Report, SuiteState
from evalops_core.trend.report.overview import worst_first
from evalops_core.trend.series import series_if_any

RUNS_LISTED = 20  # a feature's runs in its table
_MOST = 1000  # open incidents


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the facts come from: the store, the usable suites by feature, and what is wrong with the others."""

    engine: Engine
    suites: Mapping[str, Suite]
    broken: Mapping[str, str]

    def suite_of(self, feature: str) -> Suite | None:
        return self.suites.get(feature)


def known_features(sources: Sources) -> list[str]:
    """Every feature that has a suite or a history, by name."""
    past = {*past_features(sources.engine), *drift_features(sources.engine)}
    return sorted({*sources.suites, *sources.broken, *past})


def collect(
    sources: Sources,
    *,
    features: Collection[str],
    limit: int,
    now: datetime,
    pair: tuple[Reference, Reference] | None = None,
) -> Report:
    """The report on `features`, with at most `limit` runs or days in a picture; of `pair` the baseline comes first.

    For the errors of a pair see `run.compare`.
    """
    incidents = [listed.incident for listed in list_incidents(sources.engine, limit=_MOST)]
    asked = None if pair is None else _pair(sources, *pair, features=features)
    return Report(
        made_at=now,
        database=database_words(sources.engine.url),
        version=importlib.metadata.version("evalops-dagster"),
        limit=limit,
        features=worst_first(_feature(sources, name, limit, incidents) for name in dict.fromkeys(features)),
        pair=asked,
    )


def database_words(url: URL) -> str:
    """`evalops on db.example:5432`: neither user nor password, nor what else the URL may hold."""
    port = f":{url.port}" if url.port else ""
    return f"{url.database or 'the default database'} on {url.host or 'a local socket'}{port}"


def _feature(sources: Sources, name: str, limit: int, incidents: Iterable[Incident]) -> FeatureFacts:
    suite = sources.suite_of(name)
    rows = read_trend(sources.engine, feature=name, limit=max(limit, RUNS_LISTED))
    newest = EvalRuns(sources.engine).recent(name, 1)
    state: SuiteState = "broken" if name in sources.broken else "removed" if suite is None else "there"
    return FeatureFacts(
        name=name,
        suite=state,
        problem=sources.broken.get(name),
        description="" if suite is None else suite.description,
        owner=None if suite is None else suite.owner,
        rows=tuple(rows),
        series=series_if_any(rows[:limit], None if suite is None else suite.regression.drop),
        drift=tuple(read_drift(sources.engine, feature=name, limit=limit)),
        incidents=tuple(incident for incident in incidents if incident.feature == name),
        newest=newest[0] if newest else None,
        last=_last(sources, name, rows),
    )


def _last(sources: Sources, name: str, rows: Sequence[TrendRow]) -> LastRun | None:
    """The newest valid scheduled run, else the newest by hand."""
    with reading(sources.engine) as tables:
        run = tables.baselines.newest_scheduled(name) or tables.baselines.newest_valid(name)
        judged = tables.verdicts.newest_of(name)
    if run is None:
        return None
    found, why_not = _beside_the_one_before(sources, run, rows)
    return LastRun(
        run=run,
        found=found,
        why_not=why_not,
        verdict=judged.why if judged is not None and judged.eval_run_id == run.id else None,
        cases=_alone(sources, run) if found is None else _of_both(sources, found),
    )


def _beside_the_one_before(
    sources: Sources, run: EvalRun, rows: Sequence[TrendRow]
) -> tuple[Comparison | None, str | None]:
    """Compared with the pinned baseline or the scheduled run before; with the latter alone where the pin is of no use,
    as when it is this run."""
    earlier = [row.eval_run_id for row in rows if row.score is not None and row.window_start < run.window_start]
    why_not: str | None = None
    wanted: list[Reference] = ["baseline", *earlier[:1]]
    for baseline in wanted:
        try:
            return compare(sources.engine, baseline, run.id, feature=run.feature, suite_of=sources.suite_of), None
        except (ConfigError, NotComparableError) as error:
            why_not = why_not or str(error)
    return None, why_not


def _pair(sources: Sources, one: Reference, other: Reference, features: Collection[str]) -> Pair:
    """Words such as `latest` need the feature, which is clear where the report is on a single one."""
    by_id = isinstance(one, int) or isinstance(other, int)
    feature = next(iter(features)) if len(features) == 1 and not by_id else None
    found = compare(sources.engine, one, other, feature=feature, suite_of=sources.suite_of)
    return Pair(found=found, cases=_of_both(sources, found))


def _of_both(sources: Sources, found: Comparison) -> Cases:
    suite = None if found.feature is None else sources.suite_of(found.feature)
    before, now = (_sides(sources.engine, side) for side in (found.baseline, found.candidate))
    alike = found.said.outcome != "not_comparable"
    rows = paired(before, now, suite.cases if suite else (), alike=alike)
    return Cases(now=found.candidate.name, before=found.baseline.name, rows=rows)


def _alone(sources: Sources, run: EvalRun) -> Cases:
    suite = sources.suite_of(run.feature)
    rows = paired({}, _stored(sources.engine, run), suite.cases if suite else (), alike=False)
    return Cases(now=f"run {run.id}", before=None, rows=rows)


def _sides(engine: Engine, side: Side) -> Sides:
    return sides_of_file(side.sample) if side.run is None else _stored(engine, side.run)


def _stored(engine: Engine, run: EvalRun) -> Sides:
    results = CaseResults(engine)
    return sides_of_run(run, results.responses(run.id), results.scores(run.id))
