"""Many small jobs at once, each result durable as soon as it is there.

What belongs here: bounded concurrency and group commit. What does not: what a job does (generate, judge), what a row is
(store).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from evalops_core.errors import EvalOpsError
from evalops_core.providers.retry import begin_case
from evalops_core.run.garbage import sparing_collector
from evalops_core.run.progress import Progress, Report

Job = TypeVar("Job")
Job_co = TypeVar("Job_co", covariant=True)
Row = TypeVar("Row")

_PATIENCE = 20  # jobs without a result before the stage stops
# A commit takes nearly as much CPU for one row as for twenty: where many jobs run at a time, it waits for a moment for
# what others are about to bring. Few bring too little to wait for.
_MOMENT_S, _MANY = 0.001, 32


class StopStageError(EvalOpsError):
    """No further job may be started; those in flight may finish."""


class Jobs(Protocol[Job_co]):
    """A list, or something that makes each job when its turn comes: there may be more than fit into memory."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Job_co]: ...


async def run_stage(
    name: str,
    jobs: "Jobs[Job]",
    work: Callable[[Job], Awaitable[Sequence[Row]]],
    save: Callable[[Sequence[Row]], None],
    *,
    concurrency: int,
    failed: Callable[[Sequence[Row]], bool],
    resumed: int = 0,
    report: Report,
) -> str | None:
    """Do every job, at most `concurrency` at a time, and save the rows each gives.

    `save` is called in a thread with what has piled up since its last call (group commit); a job counts as one of the
    `concurrency` until its rows are saved. `resumed` jobs were found done beforehand and only count for `report`;
    `failed` says of a job's rows whether they are results. Where none of the first jobs gives a result, the stage stops
    too, and gives up what is in flight: an endpoint that is down would otherwise be asked, with all retries, for every
    case, or for as many as `concurrency`.
    Where the stage is cancelled, or a job or `save` raises, no new job is started, those in flight are cancelled, the
    rows that are there are saved, and the exception goes on. A job that raises StopStageError counts as not done: no
    new job is started, those in flight finish, and why is returned.
    """
    started, done, failures = time.monotonic(), resumed, 0
    ended, in_vain, hopeless = 0, 0, False  # known before the rows are durable: the others must not go on meanwhile
    total, stopped = resumed + len(jobs), list[str]()
    writer = _Writer(save, _MOMENT_S if concurrency > _MANY else 0.0)
    waiting = iter(jobs)

    def tell() -> None:
        report(Progress(name, done, total, resumed, failures, time.monotonic() - started))

    async def worker(todo: Iterator[Job]) -> None:
        try:
            await work_off(todo)
        except asyncio.CancelledError:
            if not hopeless:
                raise

    async def work_off(todo: Iterator[Job]) -> None:
        nonlocal done, failures, ended, in_vain, hopeless
        for job in todo:
            begin_case()
            try:
                rows = await work(job)
            except StopStageError as stop:
                stopped.append(str(stop))
                return
            without = failed(rows)
            ended += 1
            in_vain += without
            if in_vain == ended == _PATIENCE:
                stopped.append(f"none of the first {_PATIENCE} {name} succeeded")
                hopeless = True
                for task in tasks:
                    if task is not asyncio.current_task():
                        task.cancel()
            await writer.put(rows)
            done += 1
            failures += without
            tell()
            if stopped:
                return

    tell()
    with sparing_collector():
        tasks = [asyncio.ensure_future(worker(waiting)) for _ in range(min(concurrency, len(jobs)))]
        try:
            await _all_or_first_error([*tasks, writer.task])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await writer.close()
    return stopped[0] if stopped else None


async def _all_or_first_error(tasks: Iterable["asyncio.Future[None]"]) -> None:
    """Return when every worker has ended; raise as soon as any of them, or the writer (the last), has failed."""
    *workers, writer = tasks
    pending = set(workers)
    while pending:
        ended, _ = await asyncio.wait({*pending, writer}, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
        pending -= ended


class _Writer(Generic[Row]):
    """Saves rows in the order they came, one call at a time, whatever has piled up in one go after `moment_s`."""

    def __init__(self, save: Callable[[Sequence[Row]], None], moment_s: float) -> None:
        self._save, self._moment_s = save, moment_s
        self._rows: list[Row] = []
        self._saved = asyncio.get_running_loop().create_future()
        self._wake = asyncio.Event()
        self._closing = False
        self.task: asyncio.Future[None] = asyncio.ensure_future(self._run())

    async def put(self, rows: Sequence[Row]) -> None:
        """Returns once the rows are durable, so that a kill loses no more calls than may be in flight."""
        self._rows.extend(rows)
        saved = self._saved
        self._wake.set()
        await asyncio.shield(saved)

    async def close(self) -> None:
        """Wait until everything is saved; raises what `save` raised."""
        self._closing = True
        self._wake.set()
        await self.task

    async def _run(self) -> None:
        while not (self._closing and not self._rows):
            await self._wake.wait()
            if self._moment_s:
                await asyncio.sleep(self._moment_s)
            self._wake.clear()
            rows, self._rows = self._rows, []
            saved, self._saved = self._saved, asyncio.get_running_loop().create_future()
            if rows:
                await asyncio.to_thread(self._save, rows)
            saved.set_result(None)
