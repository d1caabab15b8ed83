"""Garbage collection while an eval run works.

What belongs here: how often the collector looks, and at what. What does not: the work.
"""

import gc
import threading
from collections.abc import Generator
from contextlib import contextmanager

# More objects than the calls in flight are made of (some 130 each): with Python's own 700 every burst of calls was gone
# through several times, although next to nothing in it is ever garbage that only the collector finds.
_NEW_OBJECTS = 25_000


class _Blocks:
    """Those that are open in this process, which has one collector; the last that ends puts it back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = 0
        self._before = gc.get_threshold()

    def begin(self) -> None:
        with self._lock:
            if self._open == 0:
                first, *others = self._before = gc.get_threshold()
                gc.set_threshold(first and max(first, _NEW_OBJECTS), *others)  # 0 is none at all
            self._open += 1
            gc.freeze()

    def end(self) -> None:
        with self._lock:
            self._open -= 1
            if self._open == 0:
                gc.set_threshold(*self._before)
                gc.unfreeze()


_BLOCKS = _Blocks()


@contextmanager
def sparing_collector() -> Generator[None, None, None]:
    """Collections are rare in this block, and leave out what is there already (modules, Dagster, the suite).

    With Python's own settings they took a quarter of a run's CPU. Blocks of other tasks or threads may overlap it.
    """
    _BLOCKS.begin()
    try:
        yield
    finally:
        _BLOCKS.end()
