"""What a Dagster run carries to say which eval run it is: the tags, read into values.

What belongs here: names and meanings of the tags. What does not: what follows from them (run).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from evalops_core.domain.eval_run import RunType
from evalops_core.errors import ConfigError

RUN_TYPE = "evalops/run_type"
LIMIT = "evalops/limit"
CONFIRMS = "evalops/confirms"  # the eval run whose fall this Dagster run is to confirm
NO_CACHE = "evalops/no_cache"  # `true`: the judge is asked even what it was asked before
ROOT_RUN = "dagster/root_run_id"
DRIFT_OF = "evalops/drift_of"  # the feature whose day a scheduled run looks at
BY_COMMAND = "evalops/command"
GATE = "evalops/gate"  # runs with the same value do not overlap: `eval`, or `gate_tag` of a run of one feature
_ONE = "eval:"
RETRY_NUMBER = "dagster/retry_number"
BY_HAND = ("dagster/from_ui", "dagster/backfill")  # set by Dagster itself on what a person launches in the UI


@dataclass(frozen=True, slots=True)
class RunTags:
    """`limit` takes the first cases only; `root_run_id` is the first of a chain of re-executions; `confirms` is an eval
    run."""

    run_type: RunType
    limit: int | None
    root_run_id: str
    confirms: int | None = None
    use_cache: bool = True


def read_tags(run_id: str, tags: Mapping[str, str]) -> RunTags:
    """Whatever does not say `scheduled` was launched by hand; ConfigError for a limit that is no number, and for a
    `no_cache` that is neither `true` nor `false`.

    A person's re-execution inherits the tag of the scheduled run and is by hand all the same; Dagster's own retry of it
    is not. So is what a person launches in the UI with the tag copied or typed in. A program that stands in for the
    schedule (`evalops demo`, a scheduler of one's own) may say `scheduled`.
    """
    root = tags.get(ROOT_RUN, run_id)
    executed_again = root != run_id and RETRY_NUMBER not in tags
    by_person = executed_again or any(tag in tags for tag in BY_HAND)
    limit = tags.get(LIMIT)
    if limit is not None and (not limit.isdecimal() or int(limit) < 1):
        raise ConfigError(f"expected a whole number of cases from 1 up, not {limit!r}", key=f"tag {LIMIT}")
    no_cache = tags.get(NO_CACHE, "false")
    if no_cache not in ("true", "false"):
        raise ConfigError(f"expected true or false, not {no_cache!r}", key=f"tag {NO_CACHE}")
    return RunTags(
        run_type="scheduled" if tags.get(RUN_TYPE) == "scheduled" and not by_person else "manual",
        limit=None if limit is None else int(limit),
        root_run_id=root,
        confirms=int(tags[CONFIRMS]) if tags.get(CONFIRMS, "").isdecimal() else None,
        use_cache=no_cache == "false",
    )


def gate_tag(feature: str) -> str:
    """The value of `GATE` for a run of that feature alone."""
    return f"{_ONE}{feature}"


def feature_of(tag: str) -> str | None:
    """The feature of which that tag's run is alone; None where it may be of several."""
    return tag.removeprefix(_ONE) if tag.startswith(_ONE) else None
