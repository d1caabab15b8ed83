"""Makes .venv in this folder and installs what a lock file lists, each package checked by its hash, and this project.

What belongs here: what works with nothing installed, by the standard library alone. What does not: finding a Python
(install.sh), when to install (Makefile). It uses uv where it is there, which is quicker, and pip otherwise.

It may be killed anywhere and run again, also twice at once: `.venv.lock` is locked meanwhile, and says something as
long as packages may be half-written, which neither pip nor uv would notice later.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

VENV = Path(".venv")
PYTHON = VENV / "bin" / "python"
WORKS = "import pip, sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))"


def main(lock: str | None) -> None:
    with _alone() as state:

        def run(*command: str | Path) -> None:
            # The child keeps the lock too: it may outlive us.
            subprocess.run(command, check=True, pass_fds=[state.fileno()], env={**os.environ, "PIP_USER": "0"})

        state.seek(0)
        if state.read() or not _works():
            _begin(state)
            print(f"creating {VENV} with Python {sys.version.split()[0]}", flush=True)
            run(sys.executable, "-m", "venv", "--clear", VENV)
        if lock is not None:
            _begin(state)
            print(f"installing what {lock} lists (a few minutes the first time) …", flush=True)
            install = _install()
            # The lock files are complete, so there is nothing to resolve; pip before 23.3 refuses extras by hash.
            run(*install, "--no-deps", "--require-hashes", "-r", lock)
            run(*install, "--no-deps", "--no-build-isolation", "--editable", ".")
        state.truncate(0)


def _install() -> list[str | Path]:
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--quiet", "--python", PYTHON]
    return [PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]


def _works() -> bool:
    """False too where an upgrade of the machine took away the Python that it was made with."""
    try:
        return subprocess.run([PYTHON, "-c", WORKS], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _begin(state: IO[str]) -> None:
    state.truncate(0)
    state.write("installing\n")
    state.flush()


@contextmanager
def _alone() -> Generator[IO[str], None, None]:
    with Path(".venv.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another installation in this folder …", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else None)
    except KeyboardInterrupt:
        sys.exit(130)
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: the installation failed at `{error.cmd[0]}` as said above; run make again to go on")
    except OSError as error:
        sys.exit(f"error: {error}")
