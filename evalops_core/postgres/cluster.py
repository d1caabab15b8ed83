"""The server's folder: made whole or not at all, configured before each start, refused if another version wrote it.

What belongs here: what lies on disk. What does not: processes, and the order of steps (server, which holds the lock).
"""

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from evalops_core.errors import ConfigError, DatabaseError
from evalops_core.postgres.binaries import run_program
from evalops_core.postgres.privileges import ONESELF, Privileges

HOST = "127.0.0.1"
USER = DATABASE = "evalops"
FIRST_PORT, PORTS = 20000, 10000  # below what systems hand out to outgoing connections
_LOG_LIMIT_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class Layout:
    """What lies where under `root`, and what the small files say."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def log(self) -> Path:
        """What the server says, over all its starts."""
        return self.root / "server.log"

    @property
    def lock(self) -> Path:
        """Held by whoever starts or stops the server."""
        return self.root / "lock"

    @property
    def alive(self) -> Path:
        """Locked by every process of the server itself, so that one out of sight (in another container) is noticed."""
        return self.root / "alive"

    @property
    def kept(self) -> Path:
        """Is there if the running server was asked for by someone who will stop it (not by a guard)."""
        return self.root / "kept"

    @property
    def _password(self) -> Path:
        return self.root / "password"

    @property
    def _port(self) -> Path:
        return self.root / "port"

    def url(self, port: int) -> SecretStr:
        """`postgresql://evalops:PASSWORD@127.0.0.1:PORT/evalops`; ConfigError as `password`."""
        return SecretStr(f"postgresql://{USER}:{self.password()}@{HOST}:{port}/{DATABASE}")

    def password(self) -> str:
        """ConfigError if its file is gone or is another user's."""
        try:
            return self._password.read_text().strip()
        except OSError as error:
            raise ConfigError(
                f"the database's password cannot be read ({error.strerror}); restore the file, or move its folder away "
                "to begin anew",
                file=self._password,
            ) from None

    def preferred_ports(self, count: int) -> list[int]:
        """First the port of the last time, for clients keep its URL, then those that follow from the folder's path."""
        ports: list[int] = []
        with contextlib.suppress(FileNotFoundError, ValueError):
            ports.append(int(self._port.read_text()))
        digest = hashlib.sha256(os.fsencode(self.root.resolve())).digest()
        start = int.from_bytes(digest[:4], "big")
        return [*ports, *(FIRST_PORT + (start + step) % PORTS for step in range(count))]

    def save_port(self, port: int) -> None:
        write_file(self._port, f"{port}\n")

    def save_password(self, password: str) -> None:
        write_file(self._password, f"{password}\n")


def create_cluster(at: Layout, binaries: Path, privileges: Privileges, timeout_s: float) -> None:
    """Make the data folder with its one user and database. Killed at any moment, it leaves no `data` behind.

    All of it happens in a folder `init-…` beside it: the data is moved out at the end, the rest removed, by the next
    attempt if need be.
    """
    for leftover in at.root.glob("init-*"):
        shutil.rmtree(leftover, ignore_errors=True)  # an initdb that outlived its caller may still be writing to it
    workshop = Path(tempfile.mkdtemp(prefix="init-", dir=at.root))
    try:
        password, new = secrets.token_urlsafe(24), workshop / "data"
        write_file(workshop / "password", password)
        privileges.give(workshop)
        options = ["-U", USER, "-E", "UTF8", "--no-locale", "-A", "scram-sha-256", f"--pwfile={workshop / 'password'}"]
        _must([binaries / "initdb", "-D", new, *options], timeout_s, privileges)
        single = [binaries / "postgres", "--single", "-c", "exit_on_error=on", "-D", new, "postgres"]
        _must(single, timeout_s, privileges, stdin=f"CREATE DATABASE {DATABASE}\n")
        with (new / "postgresql.conf").open("a") as file:
            file.write("\ninclude_if_exists = 'evalops.conf'\n")
        at.save_password(password)
        new.rename(at.data)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def configure_cluster(at: Layout, port: int) -> None:
    """Write `evalops.conf`, which the server reads at its next start."""
    settings = {
        "port": port,
        "listen_addresses": HOST,
        "unix_socket_directories": "",  # the path of a socket may not pass 107 bytes, and ours can
        "max_connections": 200,
        "shared_buffers": "64MB",
        "fsync": "on",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_checkpoints": "off",
        "log_min_error_statement": "panic",  # a statement that fails holds texts of cases and answers
        # Otherwise a backend whose client died runs its query to the end, and holds its advisory locks till then.
        "client_connection_check_interval": "1s",
    }
    write_file(at.data / "evalops.conf", "".join(f"{name} = '{value}'\n" for name, value in settings.items()))


def prepare_log(at: Layout, privileges: Privileges) -> int:
    """Let the server append to its log, a long one being put aside first; the log's length in bytes."""
    if at.log.exists() and at.log.stat().st_size > _LOG_LIMIT_BYTES:
        at.log.replace(at.log.with_suffix(".log.1"))
    at.log.touch(mode=0o600)
    privileges.give(at.log)
    return at.log.stat().st_size


def check_version(at: Layout, binaries: Path) -> None:
    """ConfigError if another major version wrote the data folder, which this one cannot read."""
    installed = _must([binaries / "postgres", "--version"], 60, ONESELF)
    major = re.search(r"\d+", installed)
    try:
        written = (at.data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise ConfigError("this is not a database's folder; move it away to begin anew", file=at.data) from None
    if major is None or written != major[0]:
        raise ConfigError(
            f"PostgreSQL {written} wrote this database, and what is installed is {installed}, which cannot read it; "
            f"install the release of EvalOps that came with PostgreSQL {written}, or move the folder away to begin "
            "anew",
            file=at.data,
        )


def write_file(path: Path, text: str) -> None:
    """Replace the file as a whole, readable by its owner alone; it belongs to whom the folder belongs to."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        if os.geteuid() == 0:
            folder = path.parent.stat()
            os.fchown(file.fileno(), folder.st_uid, folder.st_gid)
    Path(name).replace(path)


def _must(command: Sequence[str | Path], timeout_s: float, privileges: Privileges, stdin: str = "") -> str:
    ended = run_program(command, timeout_s=timeout_s, privileges=privileges, stdin=stdin)
    if ended.code != 0:
        raise DatabaseError(f"{Path(command[0]).name} ended with {ended.code}: {ended.output[-2000:]}")
    return ended.output
