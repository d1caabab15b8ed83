"""libgomp.so.1, the OpenMP runtime that xllamacpp is linked with and slim machines lack: theirs, or one fetched.

What belongs here: whether it is there, getting one, where a process finds it. What does not: which file that is
(catalogue), fetching by hash (files), what else a machine needs (runtime).

A process learns from its first environment where libraries are, so a fetched one is for processes yet to be started.
"""

import ctypes
import os
import platform
import sys
from pathlib import Path

from evalops_core.errors import ConfigError
from evalops_core.providers.local_model.catalogue import OPENMP_FILE, PinnedFile
from evalops_core.providers.local_model.download import download_wheel
from evalops_core.providers.local_model.files import Download, Progress, fetch_files

MISSING = (
    "the embedded model needs the system library libgomp.so.1; install it (Debian and Ubuntu: "
    "`apt-get install libgomp1`, Fedora: `dnf install libgomp`, Alpine: `apk add libgomp`)"
)


def loads(library: PinnedFile = OPENMP_FILE) -> bool:
    """Whether this process finds the library by its name, or has no need of it (macOS)."""
    if sys.platform != "linux":
        return True
    try:
        ctypes.CDLL(library.name)
    except OSError:
        return False
    return True


def obtainable(machine: str | None = None) -> bool:
    """Whether the pinned build is for this machine: Linux with glibc, on x86-64 (`machine`: another processor)."""
    processor = platform.machine() if machine is None else machine
    return sys.platform == "linux" and processor in ("x86_64", "AMD64") and platform.libc_ver()[0] == "glibc"


def provide(
    root: Path,
    progress: Progress | None = None,
    library: PinnedFile = OPENMP_FILE,
    download: Download = download_wheel,
) -> None:
    """Fetches the library into ROOT/models where this machine has none; a complete one is kept.

    ConfigError that says how to install it where it cannot be fetched.
    """
    if loads(library):
        return
    if not obtainable():
        raise ConfigError(MISSING)
    try:
        fetch_files(root, [library], progress or (lambda _package, _done, _total: None), download)
    except ConfigError as error:
        raise ConfigError(f"{MISSING}; fetching one failed: {error}") from None


def environment(root: Path, library: PinnedFile = OPENMP_FILE) -> dict[str, str] | None:
    """For a new process that is to find what `provide` fetched; None, to inherit ours, where that is not needed."""
    if loads(library):
        return None
    folders = [os.environ.get("LD_LIBRARY_PATH"), str(root.absolute() / "models")]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(folder for folder in folders if folder)}
