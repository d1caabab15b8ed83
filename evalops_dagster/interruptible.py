"""Running a step's coroutine so that Dagster can cancel it.

What belongs here: turning a signal into a cancellation. What does not: what the coroutine does about it.

Dagster's own handler raises in the middle of whatever runs. Inside an event loop that may be a transport's callback,
which logs the exception and goes on: the run would pay to its end. So while the loop runs, the signal cancels the task.
"""

import asyncio
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from dagster import DagsterExecutionInterruptedError

T = TypeVar("T")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_interruptible(work: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result. DagsterExecutionInterruptedError after SIGINT or SIGTERM, once it has cleaned up."""
    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(work)  # signals reach the main thread alone
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    interrupted = False

    async def main() -> T:
        nonlocal interrupted
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)

        def interrupt() -> None:
            nonlocal interrupted
            interrupted = True
            task.cancel()

        for number in _SIGNALS:
            loop.add_signal_handler(number, interrupt)
        try:
            return await task
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        if interrupted:
            raise DagsterExecutionInterruptedError from None
        raise
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
