"""A signal cancels the coroutine, wherever the event loop happens to be."""

import asyncio
import os
import signal

import pytest
from dagster import DagsterExecutionInterruptedError

from evalops_dagster.interruptible import run_interruptible


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_a_callback_cancels_the_work_and_lets_it_clean_up(number: signal.Signals) -> None:
    """Raised inside a callback, an exception would only be logged; that is where Dagster's own handler fails."""
    cleaned_up = False

    async def work() -> None:
        nonlocal cleaned_up
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
        try:
            await asyncio.Event().wait()
        finally:
            cleaned_up = True

    before = signal.getsignal(number)
    with pytest.raises(DagsterExecutionInterruptedError):
        run_interruptible(work())
    assert cleaned_up
    assert signal.getsignal(number) is before


def test_the_handlers_are_put_back_after_work_that_was_not_interrupted() -> None:
    async def work() -> int:
        return 7

    before = signal.getsignal(signal.SIGTERM)
    assert run_interruptible(work()) == 7
    assert signal.getsignal(signal.SIGTERM) is before


def test_work_that_cancels_itself_is_not_taken_for_an_interruption() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run_interruptible(work())


def test_it_works_in_a_thread_too() -> None:
    async def work() -> int:
        return 7

    async def elsewhere() -> int:
        return await asyncio.to_thread(run_interruptible, work())

    assert asyncio.run(elsewhere()) == 7
