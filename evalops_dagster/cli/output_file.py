"""The file that a command writes its result to.

What belongs here: whole or not at all, and what is wrong with a name in one sentence. What does not: the content.
"""

import os
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from evalops_core.errors import ConfigError


def ensure_writable(file: Path) -> None:
    """ConfigError where `file` surely could not be written, before anything is computed for it."""
    try:
        if not file.parent.is_dir():
            raise ConfigError(f"cannot be written: there is no folder {file.parent}", key=str(file))
        if file.exists() and not file.is_file():
            what = "a folder" if file.is_dir() else "not a file"
            raise ConfigError(f"cannot be written: it is {what}", key=str(file))
        if not os.access(file.parent, os.W_OK):
            raise ConfigError(f"cannot be written: the folder {file.parent} may not be written to", key=str(file))
    except OSError as error:
        raise _refused(file, error) from None


def write_whole(file: Path, content: bytes) -> None:
    """Put `content` in place of what the file held; whoever reads it meanwhile, or a crash, sees the one or the other.

    ConfigError where the system refuses it.
    """
    with replacing(file) as opened:
        opened.write(content)


@contextmanager
def replacing(file: Path) -> Generator[BinaryIO, None, None]:
    """What the block writes takes the place of what the file held when the block ends, and is gone if it fails.

    ConfigError where the system refuses it, as a full disk does.
    """
    ensure_writable(file)
    target = file.resolve()  # a link stays a link
    draft = target.with_name(f".evalops-{uuid.uuid4().hex}")
    try:
        try:
            with draft.open("xb") as opened:
                yield opened
                opened.flush()
                os.fsync(opened.fileno())
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise _refused(file, error) from None


def _refused(file: Path, error: OSError) -> ConfigError:
    return ConfigError(f"cannot be written: {error.strerror or error}", key=str(file))
