"""The gate as PostgreSQL knows it: an advisory lock of a session whose name says for which run, and on which host.

What belongs here: the statements, and what their answers mean. What does not: waiting, watching and letting go (gate).
Beside the lock itself its session holds a second one, shared and never contended, whose key is the second in which
the gate was taken: `pg_locks` is readable for every role, the times in `pg_stat_activity` are not.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timezone

from evalops_core.errors import EvalOpsError
from evalops_core.store.direct import DirectSession

_PREFIX = "evalops-gate:"
_NAME_BYTES = 63  # PostgreSQL cuts what is longer
_RUN_LENGTH = 40

_OURS = """
    locktype = 'advisory' AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND objsubid = 1 AND classid = CAST(:high AS oid) AND objid = CAST(:low AS oid)
"""
_TAKE = """
    SELECT pg_backend_pid() AS pid,
           CASE WHEN pg_try_advisory_lock(CAST(:key AS bigint)) THEN
               pg_try_advisory_lock_shared(
                   CAST(:stamp AS int),
                   CAST(CAST(CAST(floor(extract(epoch FROM clock_timestamp())) AS bigint) AS bit(32)) AS int)
               ) IS NOT NULL
           ELSE false END AS taken
"""
_MINE = (
    f"SELECT pg_backend_pid() AS pid, EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND {_OURS}) AS held"  # noqa: S608  # a constant of ours
)
_HOLDER = f"""
    SELECT pid, application_name, coalesce(
        (SELECT to_timestamp(max(CAST(stamp.objid AS bigint))) FROM locks AS stamp
         WHERE stamp.pid = locks.pid AND stamp.objsubid = 2 AND stamp.classid = CAST(:stamp_class AS oid)),
        backend_start
    ) AS since
    FROM locks LEFT JOIN pg_stat_activity USING (pid) WHERE {_OURS}
"""  # noqa: S608  # a constant of ours
_ONE_LOOK = "WITH locks AS MATERIALIZED (SELECT * FROM pg_locks WHERE locktype = 'advisory')"


class GateError(EvalOpsError):
    """The gate cannot be used."""


class GateHeldError(GateError):
    """The gate is held by somebody else."""

    def __init__(self, holder: "Holder", waited_s: float) -> None:
        super().__init__(f"the gate is held by {holder}; gave up after waiting {waited_s:.0f} s for it")
        self.holder, self.waited_s = holder, waited_s


class GateLostError(GateError):
    """The session that held the gate has gone, so another run may hold it by now."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the gate; `since` is in UTC, to the second, by the server's clock.

    `run` and `host` are None where the session is not one of ours (somebody took the lock by hand), and `since` too
    where such a session's start is hidden from the asking role. A long host name's end stands behind a `~`.
    """

    run: str | None
    host: str | None
    since: datetime | None
    pid: int

    def __str__(self) -> str:
        who = "a session that is not an eval run's" if self.run is None else f"run {self.run} on {self.host}"
        since = f" since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
        return f"{who}{since} (server process {self.pid})"


@dataclass(frozen=True, slots=True)
class GateLock:
    """The lock of the gate called `name`, in the database that a session is connected to."""

    name: str

    def take(self, session: DirectSession) -> int | None:
        """The process id of the server's side where it was free, else None; at once."""
        row = session.row(_TAKE, key=self._number(0, 8), stamp=self._number(8, 12))
        return row.pid if row and row.taken else None

    def is_held_by(self, session: DirectSession, pid: int) -> bool:
        """Whether the session still is the one with the process `pid`, and has the lock."""
        row = session.row(_MINE, **self._key())
        return row is not None and row.held and row.pid == pid

    def holder(self, session: DirectSession) -> Holder | None:
        stamp = self._number(8, 12) & 0xFFFFFFFF
        row = session.row(_ONE_LOOK + _HOLDER, stamp_class=stamp, **self._key())
        if row is None:
            return None
        run, host = parse_session_name(row.application_name or "") or (None, None)
        return Holder(run, host, row.since and row.since.astimezone(timezone.utc), row.pid)

    def _key(self) -> dict[str, int]:
        key = self._number(0, 8)
        return {"high": key >> 32 & 0xFFFFFFFF, "low": key & 0xFFFFFFFF}

    def _number(self, start: int, stop: int) -> int:
        digest = hashlib.sha256(f"evalops gate {self.name}".encode()).digest()
        return int.from_bytes(digest[start:stop], "big", signed=True)


def refuse_pooled(session: DirectSession) -> None:
    """GateError unless the session has one server process, on a server that writes."""
    answers = [session.row("SELECT pg_backend_pid() AS pid, pg_is_in_recovery() AS standby") for _ in range(2)]
    if len({answer and answer.pid for answer in answers}) > 1:
        raise pooled()
    if any(answer and answer.standby for answer in answers):
        raise GateError("the gate needs the primary server, and the database URL leads to a standby")


def pooled() -> GateError:
    return GateError(
        "the gate needs a session of its own, and the database URL leads to a pooler that shares them between "
        "transactions; give the URL of the server itself, or of a pool in session mode"
    )


def runs_present(session: DirectSession) -> frozenset[str]:
    """The runs with a session in this database that holds a gate or waits for one."""
    row = session.row(
        "SELECT array_agg(application_name) AS names FROM pg_stat_activity"
        " WHERE datname = current_database() AND starts_with(application_name, :prefix)",
        prefix=_PREFIX,
    )
    names: list[str] = row.names or [] if row else []
    return frozenset(parsed[0] for name in names if (parsed := parse_session_name(name)))


def session_name(run: str, host: str) -> str:
    """`evalops-gate:<run>@<host>` in at most 63 bytes: the host's first label, of a long one the end.

    ValueError for a run that does not fit: at most 40 printable ASCII characters without a space or an @.
    """
    if not 0 < len(run) <= _RUN_LENGTH or not run.isascii() or not run.isprintable() or set(run) & set(" @"):
        raise ValueError(f"a run's id is at most {_RUN_LENGTH} printable ASCII characters, not {run!r}")
    label = host.partition(".")[0].encode("ascii", "replace").decode().replace("@", "?") or "localhost"
    room = _NAME_BYTES - len(_PREFIX) - len(run) - 1
    return f"{_PREFIX}{run}@{label if len(label) <= room else '~' + label[1 - room :]}"


def parse_session_name(name: str) -> tuple[str, str] | None:
    """(run, host) of what `session_name` made; None for any other name."""
    run, at, host = name.removeprefix(_PREFIX).rpartition("@")
    return (run, host) if name.startswith(_PREFIX) and at else None
