"""What people do with features' names: see which have history, and carry one's history over to another.

What belongs here: what may be renamed, and one small function for each command. What does not: the statements
(store.features), which features have a suite (suites), options and words of commands (evalops_dagster.cli).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from evalops_core.domain.incident import Incident
from evalops_core.errors import ConfigError
from evalops_core.run.incident_desk import incident_features
from evalops_core.store.alerting import Alerting, alerting, reading
from evalops_core.store.features import Extent, Features, SharedWindow, Standing
from evalops_core.store.gate import Gate, GateHeldError
from evalops_core.suites.file_model import NAME, NAME_RULE

__all__ = [
    "Extent",
    "ListedFeature",
    "Renaming",
    "known_features",
    "list_features",
    "look_at",
    "past_features",
    "rename_feature",
]

_OPEN_AT_MOST = 1000
_NAMED = 5  # windows in a sentence
_GATE_RUN = "features-rename"  # what the gate's holder is called meanwhile


@dataclass(frozen=True, slots=True)
class ListedFeature:
    """A feature that is evaluated or was; `incidents` are the open ones, newest first."""

    standing: Standing
    incidents: tuple[Incident, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Renaming:
    """What a renaming comes to. `by_hand` are the windows of which both names have a scheduled run, the old name's to
    become a manual one, `over` the ids of the old name's incidents that end with it."""

    old: Extent
    new: Extent
    by_hand: tuple[SharedWindow, ...]
    unpins: bool
    over: tuple[int, ...]


def known_features(engine: Engine) -> list[str]:
    """The names of all features with an eval run of any type and status, whether they have a suite or not."""
    with reading(engine) as tables:
        return Features(tables.connection).evaluated()


def past_features(engine: Engine) -> set[str]:
    """Those, and the features that have or had an incident."""
    return {*known_features(engine), *incident_features(engine)}


def list_features(engine: Engine, suites: Collection[str]) -> list[ListedFeature]:
    """Those of `suites` and those with history, by name."""
    with reading(engine) as tables:
        features = Features(tables.connection)
        names = sorted({*features.known(), *suites})
        standings = features.standings(names)
        open_ones = tables.incidents.listed(limit=_OPEN_AT_MOST)
    return [
        ListedFeature(standings[name], tuple(incident for incident in open_ones if incident.feature == name))
        for name in names
    ]


def look_at(engine: Engine, old: str, new: str, *, suites: Collection[str], keep_new: bool = False) -> Renaming:
    """What `rename_feature` would do now; nothing is changed. Its errors are the same, the gate's aside."""
    with reading(engine) as tables:
        return _checked(tables, old, new, suites, keep_new=keep_new)


def rename_feature(
    engine: Engine,
    gate: Gate,
    drift_gate: Gate,
    old: str,
    new: str,
    now: datetime,
    *,
    suites: Collection[str],
    keep_new: bool = False,
) -> tuple[Renaming, Mapping[str, int]]:
    """Carries everything that is stored of `old` over to `new`, in one transaction; how many rows, by kind.

    `suites` are the features that have one. With `keep_new` a window of which both have a scheduled run keeps that of
    `new`, and the other becomes a manual run. ConfigError, and nothing is changed, for a name that cannot be meant, for
    what both names have and neither may lose, and while an eval run, or a day of drift, is in progress.
    """
    try:
        with (
            gate.hold(_GATE_RUN, wait_s=0) as held,
            drift_gate.hold(_GATE_RUN, wait_s=0) as held_too,
            alerting(engine) as tables,
        ):
            renaming = _checked(tables, old, new, suites, keep_new=keep_new)
            for incident in renaming.over:
                reason = f"the feature was renamed to {new}, which waits for its data itself"
                tables.incidents.close(incident, "accepted", now, reason=reason, by="evalops features rename")
            carried = Features(tables.connection).carry_over(old, new, now)
            held.verify()  # a run that began meanwhile would find half of its rows under the other name
            held_too.verify()
    except GateHeldError as error:
        raise ConfigError(
            f"an eval run or a day of drift may be in progress, for a gate is held by {error.holder}; rename when it "
            "is over, nothing was changed"
        ) from error
    return renaming, carried


def _checked(tables: Alerting, old: str, new: str, suites: Collection[str], *, keep_new: bool) -> Renaming:
    features = Features(tables.connection)
    _check_names(features, old, new, suites)
    shared = features.shared_windows(old, new)
    if shared and not keep_new:
        raise ConfigError(
            f"{old} and {new} have a scheduled run each of {_windows(shared)}, and a window has one; with --keep-new "
            f"that of {new} stays in the trend, and that of {old} is carried over as a manual run"
        )
    pinned = {name: tables.baselines.pinned(name) for name in (old, new)}
    return Renaming(
        old=features.extent(old),
        new=features.extent(new),
        by_hand=tuple(shared),
        unpins=None not in pinned.values(),
        over=_ending(tables, old, new),
    )


def _check_names(features: Features, old: str, new: str, suites: Collection[str]) -> None:
    if old == new:
        raise ConfigError(f"{old!r} is the feature's name already; nothing to do")
    if not NAME.fullmatch(new):
        raise ConfigError(f"a feature is named by {NAME_RULE}; {new[:80]!r} is not")
    known = features.known()
    if old not in known:
        raise ConfigError(f"there is no history of {old[:80]!r}; there is of {', '.join(known) or 'no feature'}")
    if old in suites:
        raise ConfigError(
            f"{old} still has a suite and would go on beside {new}; rename its folder to {new} first, then its history"
        )


def _ending(tables: Alerting, old: str, new: str) -> tuple[int, ...]:
    """The open incidents of `old` that are about nothing any more, because `new` has one for the same.

    Data that does not come is awaited once, under the new name. Two falls are two levels that somebody may miss, and
    two drifts two ways of asking, so they are refused: which of them is over is for a person to say.
    """
    ending: list[int] = []
    standing = [
        incident for name in (old, new) for incident in tables.incidents.listed(feature=name, limit=_OPEN_AT_MOST)
    ]
    ours = {(incident.kind, incident.model_id): incident for incident in standing if incident.feature == new}
    for incident in standing:
        other = ours.get((incident.kind, incident.model_id))
        if incident.feature == new or other is None:
            continue
        if incident.kind != "no_data":
            raise ConfigError(
                f"{old} and {new} have an open {incident.kind} incident each ({incident.id} and {other.id}); accept "
                f"one of them first, as by `evalops incidents accept {incident.id}`"
            )
        ending.append(incident.id)
    return tuple(ending)


def _windows(shared: Sequence[SharedWindow]) -> str:
    """`window 2026-11-23 (runs 12 and 15)`, of many the first few."""
    few = ", ".join(f"{item.partition_key} (runs {item.old_run} and {item.new_run})" for item in shared[:_NAMED])
    more = f" and {len(shared) - _NAMED} more" if len(shared) > _NAMED else ""
    return f"window{'s' if len(shared) > 1 else ''} {few}{more}"
