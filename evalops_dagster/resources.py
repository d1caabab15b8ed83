"""The one resource: a `Workshop`, opened for a Dagster run and closed with it."""

from collections.abc import Iterator

import dagster as dg

from evalops_core.settings import load_settings
from evalops_core.wiring import Workshop, open_workshop


@dg.resource(description="EvalOps as the settings of this process configure it: store, models, progress.")
def workshop_resource(_: dg.InitResourceContext) -> Iterator[Workshop]:
    with open_workshop(load_settings()) as workshop:
        yield workshop
