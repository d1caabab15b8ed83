"""A server for the time of a process: stopped when its last user is gone, even by kill -9.

What belongs here: owning a server through a guard process. What does not: the server's life itself (server). The guard
reads a pipe that only its owner can write to, so the owner's end, however it comes, is the end of the guard's input.

    python -m evalops_core.postgres.guard ROOT
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from pathlib import Path

from evalops_core.errors import ConfigError, DatabaseError, EvalOpsError
from evalops_core.postgres.locks import opened, release, share, try_exclusive
from evalops_core.postgres.server import EmbeddedServer, Started

_EXIT_TIMEOUT_S = 150.0


@contextlib.contextmanager
def guarded_server(root: Path) -> Generator[Started]:
    """The server in `root` for as long as the block runs, started if need be.

    When the block or this process ends, the server is stopped, unless another guard still uses it or somebody asked
    for it by `EmbeddedServer.start`. Raises what that raises. A process forked off without exec counts as this one.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "evalops_core.postgres.guard", str(root.expanduser().absolute())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the owner; the guard goes by the owner's end alone
        text=True,
    ) as guard:  # leaving it closes the pipe, then waits for the guard's end
        said = guard.stdout.readline() if guard.stdout else ""
        if not said:
            raise DatabaseError(f"the database's guard ended by itself, with {guard.wait(_EXIT_TIMEOUT_S)}")
        report = json.loads(said)
        if "problem" in report:
            raise (ConfigError if report["config"] else DatabaseError)(report["problem"])
        url = EmbeddedServer(root).url()
        if url is None:
            raise DatabaseError("the database ended as soon as it had started")
        yield Started(url, report["port"], report["adopted"])


def guard_until_closed(root: Path) -> int:
    """The guard process: start, report in a line of JSON, wait for the end of the input, stop. Gives its exit code."""
    for harmless in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(harmless, signal.SIG_IGN)
    server = EmbeddedServer(root)
    try:
        with opened(root / "guards") as guards:
            share(guards)  # waits for a guard that is just stopping the server
            started = server.start(keep=False)
            _report({"port": started.port, "adopted": started.adopted})
            while os.read(0, 4096):
                pass
            release(guards)
            if try_exclusive(guards):  # the last one out
                server.stop(unless_kept=True)
    except EvalOpsError as error:
        _report({"problem": str(error), "config": isinstance(error, ConfigError)})
        return 1
    return 0


def _report(what: Mapping[str, object]) -> None:
    with contextlib.suppress(BrokenPipeError):  # an owner that is gone already
        os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(guard_until_closed(Path(sys.argv[1])))
