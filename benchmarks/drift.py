"""What drift detects on real text, and what its table costs: `python -m benchmarks.drift [power | table]`.

Three kinds of prompts of our own writing (tests/data), embedded once by the embedded model. After seven days of one
kind a share of the traffic is of another, for three days; with no share, for thirty, it is the false alarms that are
counted, of `threshold: auto` and of the fixed one. Each repetition draws its days anew, each day without a prompt
twice. Where a day is much of all there is of a kind, days are more alike than of endless traffic, and false alarms too
few: `--twice` draws as if a kind were endless.
What belongs here: drawing days, judging them by the rules of the product, and counting. What does not: the rules
(evalops_core.domain.drift), the traces of a million calls (drift_table).
"""

import argparse
import asyncio
import itertools
import math
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from evalops_core.domain.drift.centroid import Vector, centroid
from evalops_core.domain.drift.day import DriftDay
from evalops_core.domain.drift.decide import Decision, Measured, baseline_of, decide
from evalops_core.domain.drift.measure import measure
from evalops_core.domain.drift.null import permutation_null
from evalops_core.domain.suite import DriftSpec

KINDS = ("explain", "support", "code")
SAMPLES, SHARES = (50, 150), (0.1, 0.3, 1.0)
_BASELINE_DAYS, _SHIFTED_DAYS, _QUIET_DAYS = 7, 3, 30
_PERMUTATIONS = 1000  # a quarter of the product's, which take four times as long
_DATA = Path(__file__).parents[1] / "tests" / "data"
_FIRST = date(2026, 1, 1)
Rows = NDArray[np.float32]
Vectors = Mapping[str, Rows]


@dataclass(frozen=True, slots=True)
class Question:
    """A line of the table: `times` times, `share` of the `n` prompts of each day are of the kind `new`."""

    before: str
    new: str
    n: int
    share: float
    times: int
    twice: bool

    @property
    def days(self) -> int:
        return _SHIFTED_DAYS if self.share else _QUIET_DAYS


@dataclass(frozen=True, slots=True)
class Found:
    """Of one rule: means, and the shares of days above the threshold and of repetitions that alerted."""

    drift: float
    threshold: float
    days: float
    alerts: float


@dataclass
class Course:
    """A feature's days by one rule; `permutations` are those that `threshold: auto` makes."""

    spec: DriftSpec
    permutations: int
    history: list[DriftDay] = field(default_factory=list[DriftDay])
    rows: dict[date, Rows] = field(default_factory=dict[date, Rows])
    centroids: dict[date, Vector] = field(default_factory=dict[date, Vector])

    def good(self, rows: Rows) -> None:
        """A day that the later ones are compared with, without a look at it."""
        self.history.append(replace(self._next(rows), state="baseline"))

    def judged(self, rows: Rows) -> Decision:
        """The next day, whose prompts have the vectors `rows`, against the good days before it."""
        today = self._next(rows)
        found = decide(today, self.history, self.spec, self._measured(today))
        self.history.append(replace(today, state=found.state, streak=found.streak))
        return found

    def _next(self, rows: Rows) -> DriftDay:
        day = _FIRST + timedelta(days=len(self.history))
        self.rows[day], self.centroids[day] = rows, centroid(rows)
        return DriftDay(id=len(self.history), feature="drift", day=day, embedding_model="", n=len(rows))

    def _measured(self, today: DriftDay) -> Measured | None:
        """As `measure` does it, but for the number of permutations, which that has none to give."""
        days = [day.day for day in baseline_of(self.history, self.spec)]
        if not days:
            return None
        rows, fixed = self.rows[today.day], replace(self.spec, threshold=self.spec.threshold or 0.0)
        sample = {str(number): row for number, row in enumerate(rows)}
        found = measure(self.centroids[today.day], sample, [self.centroids[day] for day in days], [], fixed)
        if self.spec.threshold is not None:
            return found
        null = permutation_null(rows, [self.rows[day] for day in days], self.spec.alpha, self.permutations)
        return replace(found, threshold=null.threshold, rule="auto", alpha=self.spec.alpha)


def main() -> None:
    """Measure what was asked for and print it."""
    from benchmarks.drift_table import table

    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("power", "table"), help="both without it")
    parser.add_argument("--times", type=int, default=40, help="repetitions of a shift; a quarter of it of quiet days")
    parser.add_argument("--permutations", type=int, default=_PERMUTATIONS, help="of threshold: auto")
    parser.add_argument("--twice", action="store_true", help="a day may hold a prompt twice")
    parser.add_argument("--rows", type=int, default=1_000_000, help="traces in the table")
    chosen = parser.parse_args()
    for name in (chosen.what,) if chosen.what else ("power", "table"):
        began = time.perf_counter()
        print(f"{name}: {os.cpu_count()} CPUs, load {_load()}", flush=True)
        if name == "power":
            power(chosen.times, chosen.permutations, twice=chosen.twice)
        else:
            table(chosen.rows)
        print(f"{name} took {time.perf_counter() - began:.0f} s, load {_load()}\n", flush=True)


def power(times: int, permutations: int, *, twice: bool = False) -> None:
    """Embed the prompts, replay every question, a process for each CPU, and print a line for each."""
    began = time.perf_counter()
    vectors = asyncio.run(_embedded({kind: _prompts(kind) for kind in KINDS}))
    counts = ", ".join(f"{len(rows)} {kind}" for kind, rows in vectors.items())
    print(f"prompts: {counts}; embedded in {time.perf_counter() - began:.0f} s")
    middles = {kind: centroid(rows) for kind, rows in vectors.items()}
    for one, other in itertools.combinations(KINDS, 2):
        print(f"cosine of the centroids of {one} and {other}: {float(middles[one] @ middles[other]):.3f}")
    quiet, seeds = math.ceil(times / 4), itertools.count()
    print(
        f"\n{_BASELINE_DAYS} days of a kind, then {times} × {_SHIFTED_DAYS} days with a share of another, or "
        f"{quiet} × {_QUIET_DAYS} days without, {'some prompts twice' if twice else 'no prompt twice'} a day;\n"
        f"auto at alpha {DriftSpec().alpha:g} by {permutations} permutations; "
        "days above the threshold, and repetitions with an alert\n\n"
        f"{'':<31}{'mean':>7}{'auto':>8}{'auto':>9}{'':>9}{f'at {DriftSpec().threshold:g}':>11}\n"
        f"{'before':<9}{'new':<9}{'share':>6}{'n':>6}{'drift':>8}{'thresh.':>8}{'days':>9}{'alerts':>9}"
        f"{'days':>11}{'alerts':>9}"
    )
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # before the processes load it
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        asked = [
            (question, pool.submit(replay, vectors, question, next(seeds), permutations))
            for question in questions(times, quiet, twice=twice)
        ]
        for question, answer in asked:
            auto, fixed = answer.result()
            print(_line(question, auto, fixed), flush=True)


def questions(times: int, quiet: int, *, twice: bool) -> Iterator[Question]:
    """Every line of the table: first of each kind the days without another."""
    for n, kind in itertools.product(SAMPLES, KINDS):
        yield Question(kind, kind, n, 0.0, quiet, twice)
    for n, (before, new), share in itertools.product(SAMPLES, itertools.permutations(KINDS, 2), SHARES):
        yield Question(before, new, n, share, times, twice)


def replay(vectors: Vectors, question: Question, seed: int, permutations: int) -> tuple[Found, Found]:
    """By `threshold: auto`, and by the fixed threshold that a suite has without a word of its own."""
    generator = np.random.default_rng(seed)
    fixed = DriftSpec(max_sample=question.n)
    found: tuple[list[list[Decision]], list[list[Decision]]] = ([], [])
    for _ in range(question.times):
        courses = [Course(spec, permutations) for spec in (replace(fixed, threshold=None), fixed)]
        for _ in range(_BASELINE_DAYS):
            rows = drawn(vectors, replace(question, share=0.0), generator)
            for course in courses:
                course.good(rows)
        days = [drawn(vectors, question, generator) for _ in range(question.days)]
        for course, kept in zip(courses, found, strict=True):
            kept.append([course.judged(rows) for rows in days])
    auto, by_fixed = (_summed(repetitions) for repetitions in found)
    return auto, by_fixed


def drawn(vectors: Vectors, question: Question, generator: np.random.Generator) -> Rows:
    """The prompts of a day, exactly the share of them of the other kind."""
    new = round(question.share * question.n)
    parts = ((vectors[question.before], question.n - new), (vectors[question.new], new))
    return np.concatenate([rows[generator.choice(len(rows), count, replace=question.twice)] for rows, count in parts])


def _summed(repetitions: Sequence[Sequence[Decision]]) -> Found:
    days = [day for repetition in repetitions for day in repetition]
    return Found(
        drift=fmean(day.drift for day in days if day.drift is not None),
        threshold=fmean(day.threshold for day in days if day.threshold is not None),
        days=fmean(day.state != "ok" for day in days),
        alerts=fmean(any(day.state == "alerting" for day in repetition) for repetition in repetitions),
    )


def _line(asked: Question, auto: Found, fixed: Found) -> str:
    new = asked.new if asked.share else "-"
    return (
        f"{asked.before:<9}{new:<9}{asked.share:>6.0%}{asked.n:>6}{auto.drift:>8.3f}{auto.threshold:>8.3f}"
        f"{auto.days:>9.1%}{auto.alerts:>9.1%}{fixed.days:>11.1%}{fixed.alerts:>9.1%}"
    )


def _prompts(kind: str) -> Sequence[str]:
    return (_DATA / f"prompts_{kind}.txt").read_text(encoding="utf-8").splitlines()


async def _embedded(prompts: Mapping[str, Sequence[str]]) -> Vectors:
    from evalops_core.providers.embeddings import EmbeddingClient, InBatches
    from evalops_core.providers.http import open_session
    from evalops_core.providers.local_model.catalogue import EMBEDDING_MODEL_ID
    from evalops_core.settings import load_settings
    from evalops_core.wiring.connections import call_policy, start_embedded

    settings = load_settings()
    url, _ = await asyncio.to_thread(start_embedded, settings)
    async with open_session(1) as session:
        model = InBatches(EmbeddingClient(session, EMBEDDING_MODEL_ID, url, None, call_policy(settings)))
        return {kind: (await model.embed(texts)).vectors for kind, texts in prompts.items()}


def _load() -> str:
    return " ".join(f"{load:.1f}" for load in os.getloadavg())


if __name__ == "__main__":
    main()
