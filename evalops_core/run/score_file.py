"""Scores of many series of runs from one file, a series at a time: what `evalops backtest` replays.

What belongs here: from rows to runs. What does not: formats, columns and what may stand in them (score_rows), what the
scores mean (domain.regression), the order of verdicts (backtest).

Only the rows of a chunk and of one series are in memory, unless the file's series are interleaved: such a file is
read whole.
"""

# pandas-stubs leave the types of concat, iloc and where unknown
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalops_core.domain.regression.sample import Sample
from evalops_core.errors import ConfigError
from evalops_core.run.score_rows import read_rows


def read_series(file: Path) -> Iterator[tuple[str, list[Sample]]]:
    """Each series with its runs by run index. A case whose every repeat has no score is unscored in that run.

    ConfigError, before the first series, where the file cannot be read as such; for a series that says two things of
    one case, when it comes to it.
    """
    seen: set[str] = set()
    last, interleaved, rows = None, False, 0
    for chunk in read_rows(file):
        rows += len(chunk)
        for series in chunk["series_id"][chunk["series_id"] != chunk["series_id"].shift()]:
            if series != last:
                interleaved |= series in seen
                seen.add(series)
            last = series
    if rows == 0:
        raise ConfigError("there is no row in it; expected one for each case, run and repeat", file=file)
    for frame in _whole(file) if interleaved else _by_series(file):
        yield from _samples(frame, file)


def _whole(file: Path) -> Iterator[pd.DataFrame]:
    yield pd.concat(read_rows(file), ignore_index=True).sort_values("series_id", kind="stable", ignore_index=True)


def _by_series(file: Path) -> Iterator[pd.DataFrame]:
    """Frames of whole series: the last one of a chunk waits for the next chunk."""
    waiting: list[pd.DataFrame] = []
    for chunk in read_rows(file):
        series = chunk["series_id"].to_numpy()
        changes = np.flatnonzero(series[1:] != series[:-1]) + 1
        if waiting and waiting[-1]["series_id"].iloc[-1] != series[0]:
            changes = np.insert(changes, 0, 0)
        if changes.size == 0:
            waiting.append(chunk)
            continue
        yield pd.concat([*waiting, chunk.iloc[: changes[-1]]], ignore_index=True)
        waiting = [chunk.iloc[changes[-1] :]]
    if waiting:
        yield pd.concat(waiting, ignore_index=True)


def _samples(frame: pd.DataFrame, file: Path) -> Iterator[tuple[str, list[Sample]]]:
    keys = ["series_id", "run_index", "case_id"]
    twice = frame.duplicated([*keys, "repeat"])
    if twice.any():
        row = frame[twice].iloc[0]
        raise ConfigError(
            f"case {row['case_id']} of run {row['run_index']} of series {row['series_id']} has repeat {row['repeat']} "
            "a second time; expected one row for each",
            file=file,
            line=int(row["line"]),
        )
    codes = frame.groupby(keys, sort=False).ngroup().to_numpy()
    score = frame["score"].to_numpy(dtype=np.float64)
    scored = ~np.isnan(score)
    cells = int(codes.max()) + 1 if len(codes) else 0
    sums = np.bincount(codes, weights=np.where(scored, score, 0.0), minlength=cells)
    counts = np.bincount(codes, weights=scored, minlength=cells)
    repeats = np.bincount(codes, minlength=cells)
    first = _first(codes, cells)
    table = frame.iloc[first]
    series_ids, cases = table["series_id"].tolist(), table["case_id"].tolist()
    means = np.divide(sums, counts, out=np.full(cells, np.nan), where=counts > 0).tolist()
    runs: dict[int, _Run] = {}
    current: str | None = None
    for cell, (series, run, case, cluster, judge) in enumerate(
        zip(series_ids, table["run_index"].tolist(), cases, table["cluster_id"].tolist(), table["judge_fp"].tolist(),
            strict=True)
    ):  # fmt: skip
        if series != current:
            if current is not None:
                yield current, [runs[index].sample(index) for index in sorted(runs)]
            current, runs = series, {}
        of = runs.get(run)
        if of is None:
            of = runs[run] = _Run(judge)
        elif of.judge != judge:
            raise ConfigError(
                f"run {run} of series {series} was judged by {of.judge or 'nobody'} and by {judge or 'nobody'}; "
                "expected one judge in a run",
                file=file,
                line=int(table["line"].iloc[cell]),
                key="judge_fp",
            )
        of.add(case, means[cell], cluster, int(repeats[cell]))
    if current is not None:
        yield current, [runs[index].sample(index) for index in sorted(runs)]


class _Run:
    """A run while its rows are read."""

    def __init__(self, judge: str) -> None:
        self.judge = judge
        self.scores: dict[str, float] = {}
        self.groups: dict[str, str | None] = {}
        self.unscored: list[str] = []
        self.repeats = 1

    def add(self, case: str, score: float, cluster: str, repeats: int) -> None:
        if not math.isnan(score):
            self.scores[case] = score
        else:
            self.unscored.append(case)
        if cluster:
            self.groups[case] = cluster
        self.repeats = max(self.repeats, repeats)

    def sample(self, index: int) -> Sample:
        return Sample(
            run=index,
            scores=self.scores,
            groups=self.groups,
            measured_by=self.judge,
            repeats=self.repeats,
            unscored=frozenset(self.unscored),
        )


def _first(codes: NDArray[np.int64], cells: int) -> NDArray[np.int64]:
    """The first row of each cell."""
    first = np.empty(cells, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    return first
