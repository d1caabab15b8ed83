"""A feature's windows as Dagster partitions, on the same grid as `evalops_core.domain.window`.

What belongs here: the translation. What does not: the grid itself.
"""

from datetime import datetime

import dagster as dg

from evalops_core.domain.window import cron, key_format, window_of


def window_partitions(interval_hours: int, since: datetime) -> dg.TimeWindowPartitionsDefinition:
    """The windows from the one that holds `since` up to the open one (`end_offset=1`), which can be materialized."""
    return dg.TimeWindowPartitionsDefinition(
        start=window_of(since, interval_hours).start,
        fmt=key_format(interval_hours),
        cron_schedule=cron(interval_hours),
        timezone="UTC",
        end_offset=1,
    )
