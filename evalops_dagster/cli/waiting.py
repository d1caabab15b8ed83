"""Commands that stay: what they say meanwhile, and how they end."""

import contextlib
from collections.abc import Generator

import typer


def say(words: str) -> None:
    """A line on stdout, at once, also where stdout is a file."""
    print(words, flush=True)


@contextlib.contextmanager
def until_interrupted() -> Generator[None, None, None]:
    """Ctrl-C is how these commands are meant to end: exit code 0, no traceback."""
    try:
        yield
    except KeyboardInterrupt:
        say("ended")
        raise typer.Exit(0) from None
