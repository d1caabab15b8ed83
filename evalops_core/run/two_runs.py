"""Which two runs are meant when somebody asks to have them compared: ids, the newest one, the baseline, files.

What belongs here: finding and reading the two, and refusing those that must not be compared. What does not: what the
comparison finds (compare), reading files (run_file).
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Union

from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.regression.sample import Sample
from evalops_core.errors import ConfigError, NotComparableError
from evalops_core.run.baseline_desk import invalid_because
from evalops_core.run.run_file import ENDINGS, read_run
from evalops_core.run.samples import samples_of
from evalops_core.store.alerting import Alerting

Reference = Union[int, Literal["latest", "baseline"], Path]
_LARGEST_ID, _LONGEST_ID = 2**63 - 1, 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two. `name` is what it is called in a sentence, `chosen` how it came to be meant, None where it was
    named outright. `run` is None for a file."""

    name: str
    sample: Sample
    run: EvalRun | None = None
    chosen: str | None = None


def reference(written: str) -> Reference:
    """An eval run's id, one of the two words, or a file. ConfigError for whatever else."""
    words = written.strip()
    if words == "latest" or words == "baseline":  # a literal type is narrowed by each alone
        return words
    if words.isascii() and words.isdigit() and len(words) <= _LONGEST_ID and 0 < int(words) <= _LARGEST_ID:
        return int(words)
    if Path(words).suffix.lower() in ENDINGS:
        return Path(words)
    raise ConfigError(
        f"expected the id of an eval run, latest, baseline, or a file of scores that ends in {', '.join(ENDINGS)}, "
        f"got {words[:80]!r}"
    )


class TwoRuns:
    """Finds the runs that are meant. `feature` is theirs, None where both are files and none was named."""

    def __init__(self, tables: Alerting | None, feature: str | None) -> None:
        self._tables = tables
        self.feature = feature

    def find(self, baseline: Reference, candidate: Reference) -> tuple[Side, Side]:
        """The two, read. ConfigError for what is no sensible question: a run with itself, with a later one, with one of
        another feature. NotComparableError where there is no such run yet, or nothing in it to compare."""
        if baseline == candidate:
            raise ConfigError(f"{baseline} is named twice; a run is not compared with itself")
        named = {ref: self._by_id(ref) for ref in (baseline, candidate) if isinstance(ref, int)}
        self._one_feature(list(named.values()), [ref for ref in (baseline, candidate) if isinstance(ref, str)])
        found: dict[Reference, Side] = {ref: self._stored(run) for ref, run in named.items()}
        for ref in (baseline, candidate):
            if isinstance(ref, Path):
                sample = read_run(ref)
                found[ref] = Side(name=str(ref), sample=replace(sample, run=str(ref)))
            elif ref == "latest":
                found[ref] = self._latest()
        if baseline == "baseline":
            found[baseline] = self._baseline(found[candidate].run)
        elif candidate == "baseline":
            found[candidate] = self._baseline(found[baseline].run)
        before, after = found[baseline], found[candidate]
        _ensure_in_order(before, after)
        for side in (before, after):
            if not side.sample.scores:
                raise NotComparableError(f"no case of {side.name} has a score; there is nothing to compare")
        return before, after

    def _by_id(self, run_id: int) -> EvalRun:
        run = self._stored_tables().baselines.run(run_id)
        if run is None:
            raise ConfigError(f"there is no eval run {run_id}")
        return run

    def _one_feature(self, runs: list[EvalRun], words: list[str]) -> None:
        for run in runs:
            if self.feature is not None and run.feature != self.feature:
                said = f"eval run {run.id} is of {run.feature}, not of {self.feature}"
                raise ConfigError(f"{said}; runs of one feature can be compared")
            self.feature = run.feature
        if self.feature is None and words:
            raise ConfigError(
                f"expected the feature of which {' and '.join(words)} is meant; say --feature NAME", key="--feature"
            )

    def _stored(self, run: EvalRun, chosen: str | None = None) -> Side:
        why_not = invalid_because(run)
        if why_not is not None:
            raise NotComparableError(f"{why_not}; a run without a score to trust is compared with nothing")
        (sample,) = samples_of(self._stored_tables().connection, [run])
        return Side(name=f"run {run.id}", sample=sample, run=run, chosen=chosen)

    def _latest(self) -> Side:
        run = self._stored_tables().baselines.newest_valid(self.feature or "")
        if run is None:
            raise NotComparableError(f"there is no completed run of {self.feature} yet")
        return self._stored(run, f"the newest valid run, {run.run_type}")

    def _baseline(self, other: EvalRun | None) -> Side:
        """The pinned run, or what a scheduled run in the place of `other` would be compared with."""
        tables, feature = self._stored_tables(), self.feature or ""
        for pin in tables.baselines.listed(feature):
            by = f" by {pin.pinned_by}" if pin.pinned_by else ""
            return self._stored(pin.run, f"pinned{by}: {pin.reason}")
        newest = other or tables.baselines.newest_scheduled(feature)
        earlier: list[EvalRun] = []
        if newest is not None:
            # its own window counts too: a run by hand has the scheduled one of its window before it
            probe = replace(newest, window_start=newest.window_end)
            earlier = [
                run for run in tables.verdicts.history(probe, 2) if other is None or _moment(run) < _moment(other)
            ]
        if not earlier:
            before = f" before run {other.id}" if other is not None else ""
            raise NotComparableError(
                f"there is no valid scheduled run of {feature}{before} to compare with, and no baseline is pinned"
            )
        return self._stored(earlier[0], "the newest valid scheduled run before it, none being pinned")

    def _stored_tables(self) -> Alerting:
        if self._tables is None:
            raise ValueError("stored runs need a store")
        return self._tables


def _ensure_in_order(before: Side, after: Side) -> None:
    """ConfigError where the baseline is the candidate itself, or is later."""
    if before.run is None or after.run is None:
        if before.run is after.run and Path(before.name).resolve() == Path(after.name).resolve():
            raise ConfigError(f"{before.name} is named twice; a run is not compared with itself")
        return
    if before.run.id == after.run.id:
        raise ConfigError(f"both are eval run {before.run.id}; a run is not compared with itself")
    if _moment(before.run) > _moment(after.run):
        windows = f"windows {before.run.partition_key} and {after.run.partition_key}"
        raise ConfigError(
            f"{before.name}, the baseline, is later than {after.name} ({windows}); the earlier run comes first"
        )


def _moment(run: EvalRun) -> tuple[object, int]:
    return run.window_start, run.id
