"""What people are shown of a day of drift beside the day itself.

What belongs here: the days around it, and the texts of the prompts that stand out. What does not: whether they may be
shown (alert_rules), showing.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Engine

from evalops_core.domain.drift.day import DriftDay
from evalops_core.domain.trace import user_text
from evalops_core.run.alert_rules import FeatureAlerts
from evalops_core.store.drift import DriftDays
from evalops_core.store.traces import Traces

_SHOWN = 60  # days


def recent_days(engine: Engine, day: DriftDay) -> Sequence[DriftDay]:
    """Up to and with `day`, newest first, by its embedding model."""
    with engine.connect() as connection:
        before = DriftDays(connection).before(day.feature, day.day, day.embedding_model)
    return [day, *reversed(before[-_SHOWN + 1 :])]


def farthest_texts(over: Engine | Connection, day: DriftDay, alerts: FeatureAlerts) -> Mapping[str, str | None] | None:
    """What was asked in the traces farthest from the baseline, by trace, each None where retention has taken it.

    None where people may not see it.
    """
    if not alerts.shows_prompts or alerts.suite is None:
        return None
    message = alerts.suite.drift.message
    traces = [far.trace_id for far in day.farthest]
    found = Traces(over).texts(traces)
    return {trace: user_text(found[trace], message) if trace in found else None for trace in traces}
