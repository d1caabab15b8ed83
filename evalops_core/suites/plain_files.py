"""Opening a file that somebody else wrote: regular, readable, not too large, UTF-8.

What belongs here: the first look at a file's bytes. What does not: what is in it.
"""

import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from evalops_core.errors import ConfigError


@contextmanager
def open_plain(file: Path, largest: int) -> Generator[BinaryIO, None, None]:
    """The file's bytes, a byte order mark skipped. The size is looked at first, so a huge file costs nothing."""
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for its other end
            raise ConfigError("is not a regular file; replace it by one", file=file)
        if status.st_size > largest:
            limit = f"{largest // 1_000_000} MB"
            problem = f"has {status.st_size / 1_000_000:.1f} MB and at most {limit} are read; make it smaller"
            raise ConfigError(problem, file=file)
        with file.open("rb") as handle:
            if handle.read(3) != b"\xef\xbb\xbf":
                handle.seek(0)
            yield handle
    except FileNotFoundError:
        raise ConfigError("does not exist; create it", file=file) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", file=file) from None


def read_text(file: Path, largest: int) -> str:
    """All of it, decoded."""
    with open_plain(file, largest) as handle:
        raw = handle.read(largest + 1)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        start = before.rfind(b"\n") + 1
        return decoded(raw[start:], file, before.count(b"\n") + 1, start)


def decoded(raw: bytes, file: Path, line: int, offset: int) -> str:
    """One line's text; `offset` is where it starts. ConfigError names the byte that is no UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        hint = "it looks like UTF-16; " if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        byte = f"byte {offset + error.start} (0x{raw[error.start]:02x})"
        raise ConfigError(f"{byte} is not UTF-8; {hint}save the file as UTF-8", file=file, line=line) from None
