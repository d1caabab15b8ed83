"""File locks that the kernel frees however their holder ends.

What belongs here: taking one, with patience. What does not: which file stands for what (cluster).
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Generator
from pathlib import Path

from evalops_core.errors import ConfigError

_POLL_S = 0.02


@contextlib.contextmanager
def opened(path: Path) -> Generator[int]:
    """A descriptor of the file, not locked yet. It and its folder are made if need be; who owns the one owns the other.

    ConfigError where it cannot be opened.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"the database's folder cannot be used ({error.strerror}); run as the user it belongs to, or set "
            "EVALOPS_HOME to a folder you can write to",
            file=path,
        ) from None
    try:
        if os.geteuid() == 0:
            folder = path.parent.stat()
            os.fchown(handle, folder.st_uid, folder.st_gid)
        yield handle
    finally:
        os.close(handle)


def try_exclusive(handle: int, patience_s: float = 0) -> bool:
    """Lock it for this process alone; False if others still hold it after `patience_s`."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)
        else:
            return True


def share(handle: int) -> None:
    """Lock it together with others that share it; waits while one process has it alone."""
    fcntl.flock(handle, fcntl.LOCK_SH)


def release(handle: int) -> None:
    """Give up one's own lock on it."""
    fcntl.flock(handle, fcntl.LOCK_UN)
