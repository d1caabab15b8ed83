"""The stored history of features, as series of runs for the rules to be replayed over.

What belongs here: reading it, a feature at a time. What does not: replaying (backtest), files of scores (score_file).
"""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Engine

from evalops_core.domain.regression.sample import Sample
from evalops_core.run.samples import samples_of
from evalops_core.store.alerting import reading

_CHUNK = 50  # runs read at once


def stored_features(engine: Engine) -> list[str]:
    """Those that have a series, by name."""
    with reading(engine) as tables:
        return tables.verdicts.features()


def stored_series(
    engine: Engine, *, feature: str | None = None, since: datetime | None = None
) -> Iterator[tuple[str, list[Sample]]]:
    """(feature, its valid scheduled runs, oldest window first), whose ids tell them apart; of all features or one.

    `since` keeps the windows that start then or later.
    """
    with reading(engine) as tables:
        for name in tables.verdicts.features() if feature is None else [feature]:
            runs = tables.verdicts.valid_runs(name, since)
            samples: list[Sample] = []
            for start in range(0, len(runs), _CHUNK):
                samples += samples_of(tables.connection, runs[start : start + _CHUNK])
            if samples:
                yield name, samples
