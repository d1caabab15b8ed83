"""The embedded server's life: found or started, asked after, stopped.

What belongs here: the order of steps, under one lock. What does not: what lies on disk (cluster), the process table
(processes), as whom the server runs (privileges). The server is a session of its own: neither Ctrl-C nor the death of
the process that started it ends it, and the next start adopts it.
"""

import contextlib
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from evalops_core.errors import DatabaseError
from evalops_core.postgres.binaries import find_binaries, run_program
from evalops_core.postgres.cluster import (
    DATABASE,
    HOST,
    USER,
    Layout,
    check_version,
    configure_cluster,
    create_cluster,
    prepare_log,
)
from evalops_core.postgres.locks import opened, try_exclusive
from evalops_core.postgres.privileges import choose_privileges
from evalops_core.postgres.processes import end_orphans, end_postmaster, find_postmaster

_PORT_ATTEMPTS = 50
_STOP_TIMEOUT_S = 60.0
_LINGER_S = 10.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Started:
    """A server that answers. `adopted` tells that it was running already."""

    url: SecretStr
    port: int
    adopted: bool


@dataclass(frozen=True, slots=True)
class Running:
    """A server's process. `ready` is False, and `port` may be None, while it is on its way up or down."""

    pid: int
    port: int | None
    ready: bool


class EmbeddedServer:
    """The PostgreSQL server whose data, password, port and log are in the folder `root` (created when needed)."""

    def __init__(self, root: Path) -> None:
        self._at = Layout(root.expanduser().absolute())

    @property
    def log(self) -> Path:
        """Where the server's own words are."""
        return self._at.log

    def start(self, timeout_s: float = 120, *, keep: bool = True) -> Started:
        """The running server, started (and created) if there is none; any number of processes may ask at once.

        With `keep` it stays until somebody calls `stop`, even if a guard started it. ConfigError where the folder, the
        data or the installation cannot be used; DatabaseError if the server does not come up within `timeout_s`.
        """
        try:
            return self._start(timeout_s, keep=keep)
        except OSError as error:  # a full disk, a folder that cannot be written to
            raise DatabaseError(f"the database in {self._at.root} cannot be started: {error}") from error

    def stop(self, *, unless_kept: bool = False) -> bool:
        """End the server, its sessions included; False where none was running, or it is kept and that was respected."""
        if not self._at.root.is_dir():
            return False
        with self._locked(_STOP_TIMEOUT_S):
            found = find_postmaster(self._at.data)
            if found is None or (unless_kept and self._at.kept.exists()):
                return False
            if not end_postmaster(self._at.data, found.pid, _STOP_TIMEOUT_S):
                raise DatabaseError(f"PostgreSQL (pid {found.pid}) does not stop; see {self._at.log}")
            self._at.kept.unlink(missing_ok=True)
            return True

    def status(self) -> Running | None:
        """The server's process as it is now; None where none is running."""
        found = find_postmaster(self._at.data)
        if found is None or found.port is None:
            return None if found is None else Running(found.pid, None, ready=False)
        command = [find_binaries() / "pg_isready", "-h", HOST, "-p", str(found.port), "-U", USER, "-d", DATABASE]
        return Running(found.pid, found.port, ready=run_program([*command, "-t", "2"], timeout_s=30).code == 0)

    def url(self) -> SecretStr | None:
        """Where the running server is reached; None where none is running. Starts nothing."""
        found = find_postmaster(self._at.data)
        return None if found is None or found.port is None else self._at.url(found.port)

    def _start(self, timeout_s: float, *, keep: bool) -> Started:
        deadline = time.monotonic() + timeout_s
        binaries = find_binaries()
        with self._locked(timeout_s):
            port = self._adopt(deadline)
            adopted = port is not None
            if port is None:
                self._at.kept.unlink(missing_ok=True)
                port = self._start_cold(binaries, deadline)
            if keep:
                self._at.kept.touch(mode=0o600)
            return Started(self._at.url(port), port, adopted)

    def _adopt(self, deadline: float) -> int | None:
        """The port of the server that is running, once it is ready; None as soon as there is none."""
        while (found := self.status()) is not None:
            if found.ready:
                return found.port
            if time.monotonic() > deadline:
                raise DatabaseError(f"PostgreSQL (pid {found.pid}) runs but is not ready; see {self._at.log}")
            time.sleep(_POLL_S)
        return None

    def _start_cold(self, binaries: Path, deadline: float) -> int:
        at = self._at
        privileges = choose_privileges(at.root, at.data, binaries)
        if not at.data.exists():
            create_cluster(at, binaries, privileges, deadline - time.monotonic())
        check_version(at, binaries)
        at.password()  # a server that nobody could log in to is better not started
        privileges.give(at.data)
        end_orphans(at.data, privileges)
        with opened(at.alive) as alive:
            if not try_exclusive(alive, min(_LINGER_S, deadline - time.monotonic())):
                raise DatabaseError(
                    f"a PostgreSQL that cannot be seen from here, perhaps in another container, is using {at.data}; "
                    "stop it, or give each its own EVALOPS_HOME"
                )
            (at.data / "postmaster.pid").unlink(missing_ok=True)
            for port in at.preferred_ports(_PORT_ATTEMPTS):
                configure_cluster(at, port)
                logged = prepare_log(at, privileges)
                left = max(1, round(deadline - time.monotonic()))
                command = [binaries / "pg_ctl", "start", "-w", "-s", "-t", str(left), "-D", at.data, "-l", at.log]
                ended = run_program(command, timeout_s=left + 30, privileges=privileges, keep_open=[alive])
                if ended.code == 0:
                    at.save_port(port)
                    return port
                said = at.log.read_bytes()[logged:].decode(errors="replace")
                if "No space left on device" in said:
                    raise DatabaseError(
                        f"PostgreSQL did not start: there is no room left on the disk of {at.root}; make room, then "
                        f"start it again (its own words are in {at.log})"
                    )
                if "could not bind" not in said:
                    raise DatabaseError(f"PostgreSQL did not start: {ended.output} {said[-2000:]}")
        raise DatabaseError(f"PostgreSQL found no free port in {_PORT_ATTEMPTS} attempts; see {at.log}")

    @contextlib.contextmanager
    def _locked(self, timeout_s: float) -> Generator[None]:
        with opened(self._at.lock) as handle:
            if not try_exclusive(handle, timeout_s):
                raise DatabaseError(
                    f"another process has been starting or stopping the database for {timeout_s:.0f} s; see "
                    f"{self._at.log}"
                )
            yield
