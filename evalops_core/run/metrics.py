"""The metrics of a deployment: names, units and meanings, and the samples that facts come to.

What belongs here: the mapping, which is pure, and the collector that asks for the facts at each scrape. What does not:
reading the facts (store), serving or writing what is collected (evalops_dagster.cli). What is not known has no sample:
it is never 0. All are gauges, for each is the state of something.
"""

import importlib.metadata
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Union, get_args

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from evalops_core.domain.incident import Kind
from evalops_core.errors import EvalOpsError
from evalops_core.store.metrics import StoreState
from evalops_core.store.outbox import MessageState

Value = Union[int, float, Decimal, datetime, None]
Sample = tuple[tuple[str, ...], Value]  # the labels' values, in the metric's order

_OPEN_STATES = ("firing", "silenced")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GateState:
    """`since` is None while nobody holds it, and where the server does not tell."""

    held: bool
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known at one moment. `store` is None where the database could not be read, or its schema `revision` is
    not the one `needed`; `dagster_runs` counts by status and is None where Dagster's instance cannot be asked."""

    revision: str | None = None
    needed: str | None = None
    store: StoreState | None = None
    gates: Mapping[str, GateState] = field(default_factory=dict[str, GateState])
    dagster_runs: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its meaning in a sentence, its labels, and its samples."""

    name: str
    meaning: str
    labels: tuple[str, ...]
    samples: Callable[[Facts], Sequence[Sample]]

    def family(self, facts: Facts) -> GaugeMetricFamily | None:
        """None where there is no sample."""
        known = [(labels, value) for labels, value in self.samples(facts) if value is not None]
        if not known:
            return None
        family = GaugeMetricFamily(self.name, self.meaning, labels=self.labels)
        for labels, value in known:
            family.add_metric(labels, value.timestamp() if isinstance(value, datetime) else float(value))
        return family


def _of_store(samples: Callable[[StoreState], Sequence[Sample]]) -> Callable[[Facts], Sequence[Sample]]:
    return lambda facts: [] if facts.store is None else samples(facts.store)


def _per_feature(column: str) -> Callable[[Facts], Sequence[Sample]]:
    return _of_store(lambda state: [((each.feature,), getattr(each, column)) for each in state.features])


def _incidents(state: StoreState) -> Sequence[Sample]:
    """Those that are open, and 0 for each feature, kind and state of which there is none."""
    none = {
        (each.feature, kind, which): 0 for each in state.features for kind in get_args(Kind) for which in _OPEN_STATES
    }
    found = {(each.feature, each.kind, each.state): each.count for each in state.incidents}
    return sorted((none | found).items())


def _oldest_mail(state: StoreState) -> Sequence[Sample]:
    since = state.mail.owed_since
    return [((), None if since is None else (state.now - since).total_seconds())]


def _held_seconds(facts: Facts) -> Sequence[Sample]:
    if facts.store is None:
        return []
    now = facts.store.now
    return [((name,), max((now - gate.since).total_seconds(), 0.0)) for name, gate in facts.gates.items() if gate.since]


def _schema(facts: Facts) -> Sequence[Sample]:
    return [] if facts.needed is None else [((facts.revision or "empty", facts.needed), 1)]


METRICS = (
    Metric(
        "evalops_up",
        "1 where the database answers and has the schema that this version needs, else 0.",
        (),
        lambda facts: [((), int(facts.store is not None))],
    ),
    Metric(
        "evalops_build_info",
        "1, with the version of EvalOps that gives these metrics.",
        ("version",),
        lambda _: [((importlib.metadata.version("evalops-dagster"),), 1)],
    ),
    Metric(
        "evalops_schema_info",
        "1, with the revision of the database's schema and the one that is needed.",
        ("revision", "needed"),
        _schema,
    ),
    Metric(
        "evalops_interval_seconds",
        "Length of a feature's windows.",
        ("feature",),
        _of_store(lambda state: [((each.feature,), each.interval.total_seconds()) for each in state.features]),
    ),
    Metric(
        "evalops_last_run_timestamp_seconds",
        "When the feature's newest scheduled run ended, whatever became of it.",
        ("feature",),
        _per_feature("last_run_at"),
    ),
    Metric(
        "evalops_last_success_timestamp_seconds",
        "When the feature's newest valid scheduled run ended.",
        ("feature",),
        _per_feature("last_success_at"),
    ),
    Metric(
        "evalops_score", "Score of the newest valid scheduled run, from 1 to 5.", ("feature",), _per_feature("score")
    ),
    Metric(
        "evalops_score_standard_error",
        "Standard error of the score of the newest valid scheduled run.",
        ("feature",),
        _per_feature("se"),
    ),
    Metric(
        "evalops_coverage_ratio",
        "Share of the cases of the newest valid scheduled run that have a score, from 0 to 1.",
        ("feature",),
        _per_feature("coverage"),
    ),
    Metric(
        "evalops_run_cost_usd",
        "What the newest valid scheduled run has cost; absent where a price is unknown.",
        ("feature",),
        _per_feature("cost_usd"),
    ),
    Metric(
        "evalops_spend_today_usd",
        "Known cost of the UTC day so far, of all runs of the feature.",
        ("feature", "purpose"),
        _of_store(lambda state: [((each.feature, each.purpose), each.usd) for each in state.spent]),
    ),
    Metric(
        "evalops_unpriced_calls_today",
        "Calls of the UTC day so far whose cost is not known, and comes on top.",
        ("feature", "purpose"),
        _of_store(lambda state: [((each.feature, each.purpose), each.unpriced_calls) for each in state.spent]),
    ),
    Metric(
        "evalops_open_incidents",
        "Incidents that are open; state is firing or silenced.",
        ("feature", "kind", "state"),
        _of_store(_incidents),
    ),
    Metric(
        "evalops_unjudged_runs",
        "Valid scheduled runs that wait for their verdict.",
        (),
        _of_store(lambda state: [((), state.unjudged)]),
    ),
    Metric(
        "evalops_outbox_messages",
        "Alert mails by what became of them, test mails left out.",
        ("state",),
        _of_store(lambda state: [((name,), state.mail.messages.get(name, 0)) for name in get_args(MessageState)]),
    ),
    Metric(
        "evalops_outbox_oldest_due_age_seconds",
        "For how long the oldest mail that is due waits for its delivery; absent while none is due.",
        (),
        _of_store(_oldest_mail),
    ),
    Metric(
        "evalops_gate_held",
        "1 while an eval run (or a day of drift) holds the gate or a part of it, else 0.",
        ("gate",),
        lambda facts: [((name,), int(gate.held)) for name, gate in facts.gates.items()],
    ),
    Metric(
        "evalops_gate_held_seconds",
        "For how long the gate, or a part of it, has been held; absent while it is free.",
        ("gate",),
        _held_seconds,
    ),
    Metric(
        "evalops_dagster_runs",
        "Dagster runs that are queued, starting or started; absent where its instance cannot be asked.",
        ("status",),
        lambda facts: [((name,), count) for name, count in (facts.dagster_runs or {}).items()],
    ),
)


def families(facts: Facts) -> Iterator[GaugeMetricFamily]:
    """Those that have a sample."""
    for metric in METRICS:
        family = metric.family(facts)
        if family is not None:
            yield family


class MetricsCollector(Collector):
    """What Prometheus' client asks at each scrape. A database that cannot be read gives `evalops_up 0`, and a warning
    on the logger of this module when that begins."""

    def __init__(self, read: Callable[[], Facts]) -> None:
        self._read, self._complained = read, False

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            facts = self._read()
        except (EvalOpsError, SQLAlchemyError) as error:
            facts = Facts()
            self._say(str(error).partition("\n")[0])
        else:
            self._say(None if facts.store is not None else f"the schema is {facts.revision}, not {facts.needed}")
        yield from families(facts)

    def _say(self, problem: str | None) -> None:
        if problem is not None and not self._complained:
            _LOG.warning("the metrics lack everything but evalops_up: %s", problem)
        elif problem is None and self._complained:
            _LOG.warning("the metrics are complete again")
        self._complained = problem is not None
