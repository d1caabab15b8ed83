"""What a Dagster run carries to say which eval run it is: the tags, read into values.

What belongs here: names and meanings of the tags. What does not: what follows from them (run).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from evalops_core.domain.eval_run import RunType

RUN_TYPE = "evalops/run_type"
LIMIT = "evalops/limit"
ROOT_RUN = "dagster/root_run_id"


@dataclass(frozen=True, slots=True)
class RunTags:
    """`limit` takes the first cases only; `root_run_id` is the first of a chain of re-executions."""

    run_type: RunType
    limit: int | None
    root_run_id: str


def read_tags(run_id: str, tags: Mapping[str, str]) -> RunTags:
    """Whatever does not say `scheduled` was launched by hand."""
    limit = tags.get(LIMIT)
    return RunTags(
        run_type="scheduled" if tags.get(RUN_TYPE) == "scheduled" else "manual",
        limit=int(limit) if limit else None,
        root_run_id=tags.get(ROOT_RUN, run_id),
    )
