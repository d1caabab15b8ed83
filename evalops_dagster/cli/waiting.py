"""Commands that take their time: what they say meanwhile, and how they end.

What belongs here: lines on stdout, signals. What does not: what is started and stopped (stack).
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Generator

import typer

_ONE_WISH_S = 1.0
INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended


def say(words: str) -> None:
    """A line on stdout, at once, also where stdout is a file; where nobody reads it any more, nowhere."""
    try:
        print(words, flush=True)
    except OSError:  # the terminal or the other end of the pipe is gone, and there is still work to be done
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def sayer(log_format: str) -> Callable[[str], None]:
    """`say`, or the same as a line of JSON."""
    if log_format != "json":
        return say
    from evalops_dagster.json_lines import json_line  # with structlog

    return lambda words: say(json_line(words))


@contextlib.contextmanager
def until_interrupted(say: Callable[[str], None] = say) -> Generator[None, None, None]:
    """Ctrl-C is how the block is meant to end: exit code 0, no traceback."""
    try:
        yield
    except KeyboardInterrupt:
        say("ended")
        raise typer.Exit(0) from None


@contextlib.contextmanager
def interruptible() -> Generator[None, None, None]:
    """SIGTERM, SIGHUP and SIGINT raise KeyboardInterrupt in the block, SIGINT even if a shell's background job was
    started with it ignored. What `nohup` starts goes on without its terminal. Of signals in quick succession (a second
    Ctrl-C, a terminal that closes) the first counts: another exception amid the clean-up would cut it short.
    """
    ends = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        ends.append(signal.SIGHUP)
    raised_at = float("-inf")

    def interrupt(number: int, frame: object) -> None:
        nonlocal raised_at
        if time.monotonic() - raised_at < _ONE_WISH_S:
            return
        raised_at = time.monotonic()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in ends}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def deaf() -> None:
    """From here on to the end of `interruptible`, impatience changes nothing: what was started is being stopped."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _ignore)  # not SIG_IGN, which programs started from here would inherit


def _ignore(number: int, frame: object) -> None:
    pass
