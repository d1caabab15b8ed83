"""Many jobs at once: bounded, durable one by one, and clean when something breaks."""

import asyncio
from collections.abc import Sequence

import pytest

from evalops_core.run.progress import Progress, silent
from evalops_core.run.stage import StopStageError, run_stage


class Shelf:
    """Where rows are saved; fails from the `broken_after`-th call on."""

    def __init__(self, broken_after: int | None = None) -> None:
        self.rows: list[int] = []
        self.calls = 0
        self._broken_after = broken_after

    def save(self, rows: Sequence[int]) -> None:
        self.calls += 1
        if self._broken_after is not None and self.calls > self._broken_after:
            raise OSError("the disk is full")
        self.rows.extend(rows)


def never_failed(_: Sequence[int]) -> bool:
    return False


def test_every_job_is_done_once_and_never_more_at_a_time_than_allowed() -> None:
    shelf, running, most = Shelf(), 0, 0

    async def work(job: int) -> list[int]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return [job]

    asyncio.run(run_stage("s", range(500), work, shelf.save, concurrency=7, failed=never_failed, report=silent))
    assert sorted(shelf.rows) == list(range(500))
    assert most == 7
    assert shelf.calls < 500, "rows that pile up share a commit"


@pytest.mark.parametrize(("concurrency", "together"), [(64, True), (8, False)])
def test_where_many_jobs_run_at_a_time_a_commit_waits_a_moment_for_those_that_follow(
    concurrency: int, *, together: bool
) -> None:
    groups: list[int] = []

    async def work(job: int) -> list[int]:
        for _ in range(4 * (job % concurrency)):  # one after the other, some turns of the loop apart
            await asyncio.sleep(0)
        return [job]

    def save(rows: Sequence[int]) -> None:
        groups.append(len(rows))

    jobs = range(concurrency)
    asyncio.run(run_stage("s", jobs, work, save, concurrency=concurrency, failed=never_failed, report=silent))
    assert (groups[0] > 1) is together
    assert sum(groups) == concurrency


def test_a_result_is_saved_before_the_stage_ends() -> None:
    shelf, saved_early = Shelf(), asyncio.Event()

    async def work(job: int) -> list[int]:
        if job == 0:
            return [0]
        # the first result must become durable while this job is still in flight
        while 0 not in shelf.rows:  # noqa: ASYNC110 - a thread does it, which cannot set an asyncio.Event
            await asyncio.sleep(0)
        saved_early.set()
        return [job]

    async def stage() -> None:
        await asyncio.wait_for(
            run_stage("s", [0, 1], work, shelf.save, concurrency=2, failed=never_failed, report=silent), 30
        )

    asyncio.run(stage())
    assert saved_early.is_set()


def test_cancelling_saves_what_is_there_and_starts_nothing_more() -> None:
    shelf, started = Shelf(), list[int]()

    async def scenario() -> None:
        stuck = asyncio.Event()

        async def work(job: int) -> list[int]:
            started.append(job)
            if job >= 5:
                stuck.set()
                await asyncio.Event().wait()
            return [job]

        stage = asyncio.ensure_future(
            run_stage("s", range(100), work, shelf.save, concurrency=2, failed=never_failed, report=silent)
        )
        await stuck.wait()
        stage.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stage

    asyncio.run(scenario())
    assert sorted(shelf.rows) == [0, 1, 2, 3, 4]
    assert len(started) <= 7


def test_an_error_in_a_job_ends_the_stage_and_keeps_the_others_results() -> None:
    shelf = Shelf()

    async def work(job: int) -> list[int]:
        if job == 3:
            raise ValueError("a mistake of ours")
        return [job]

    with pytest.raises(ValueError, match="a mistake of ours"):
        asyncio.run(run_stage("s", range(10), work, shelf.save, concurrency=1, failed=never_failed, report=silent))
    assert shelf.rows == [0, 1, 2]


def test_a_store_that_fails_ends_the_stage_instead_of_losing_rows_silently() -> None:
    shelf, started = Shelf(broken_after=1), list[int]()

    async def work(job: int) -> list[int]:
        started.append(job)
        while job > 0 and shelf.calls == 0:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        return [job]

    with pytest.raises(OSError, match="disk is full"):
        asyncio.run(run_stage("s", range(100_000), work, shelf.save, concurrency=4, failed=never_failed, report=silent))
    assert len(started) < 100_000


def test_progress_counts_what_was_there_before_and_what_failed() -> None:
    told: list[Progress] = []

    async def work(job: int) -> list[int]:
        return [job]

    asyncio.run(
        run_stage(
            "responses",
            [1, 2, 3],
            work,
            Shelf().save,
            concurrency=1,
            failed=lambda rows: rows == [2],
            resumed=7,
            report=told.append,
        )
    )
    first, last = told[0], told[-1]
    assert (first.done, first.total, first.resumed) == (7, 10, 7)
    assert (last.done, last.failed) == (10, 1)
    assert str(last).startswith("responses: 10 of 10, 7 of them from before, 1 failed")


def test_a_stage_without_jobs_ends_at_once() -> None:
    shelf = Shelf()

    async def work(job: int) -> list[int]:
        raise AssertionError(job)

    asyncio.run(run_stage("s", [], work, shelf.save, concurrency=4, failed=never_failed, report=silent))
    assert shelf.calls == 0


def test_a_job_that_stops_the_stage_lets_those_in_flight_finish_and_starts_no_other() -> None:
    shelf, started = Shelf(), list[int]()

    async def scenario() -> str | None:
        stopped = asyncio.Event()

        async def work(job: int) -> list[int]:
            started.append(job)
            if job == 1:
                stopped.set()
                raise StopStageError("the money is spent")
            await stopped.wait()
            await asyncio.sleep(0)
            return [job]

        return await run_stage("s", range(100), work, shelf.save, concurrency=3, failed=never_failed, report=silent)

    assert asyncio.run(scenario()) == "the money is spent"
    assert sorted(shelf.rows) == [0, 2]
    assert sorted(started) == [0, 1, 2]


@pytest.mark.parametrize("concurrency", [1, 8, 100])
def test_a_stage_without_any_result_gives_up_whatever_is_still_under_way(concurrency: int) -> None:
    shelf, begun, given_up = Shelf(), list[int](), list[int]()

    async def scenario() -> str | None:
        turn = asyncio.Semaphore(8)  # as an endpoint that is asked gently lets them in

        async def work(job: int) -> list[int]:
            try:
                async with turn:
                    begun.append(job)
                    await asyncio.sleep(0)
            except asyncio.CancelledError:
                given_up.append(job)
                raise
            return [job]

        return await run_stage(
            "answers", range(200), work, shelf.save, concurrency=concurrency, failed=lambda _: True, report=silent
        )

    assert asyncio.run(scenario()) == "none of the first 20 answers succeeded"
    assert len(begun) <= 20 + 8, "those in flight, and none that wait for their turn"
    assert len(shelf.rows) >= 20
    assert len(shelf.rows) + len(given_up) < 200


def test_one_result_among_the_first_is_enough_to_go_on() -> None:
    shelf = Shelf()

    async def work(job: int) -> list[int]:
        await asyncio.sleep(0)
        return [job]

    asyncio.run(
        run_stage(
            "s", range(60), work, shelf.save, concurrency=10, failed=lambda rows: list(rows) != [15], report=silent
        )
    )
    assert len(shelf.rows) == 60


def test_a_job_that_is_cancelled_by_itself_ends_the_stage() -> None:
    async def work(job: int) -> list[int]:
        if job == 3:
            raise asyncio.CancelledError
        return [job]

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run_stage("s", range(9), work, Shelf().save, concurrency=2, failed=never_failed, report=silent))
