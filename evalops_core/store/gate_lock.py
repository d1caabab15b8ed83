"""The gate as PostgreSQL knows it: advisory locks of a session whose name says for which run, and on which host.

What belongs here: the statements, and what their answers mean. What does not: waiting, watching and letting go (gate).
A whole gate is one exclusive lock. A part of it is an exclusive lock of its own under a shared one of the whole, so
that those who want the whole and those who want a part exclude each other, too. Beside them the session holds one more,
shared and never contended, whose key is the second in which the gate was taken: `pg_locks` is readable for every role,
the times in `pg_stat_activity` are not.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Row

from evalops_core.errors import EvalOpsError
from evalops_core.store.direct import DirectSession

_PREFIX = "evalops-gate:"
_NAME_BYTES = 63  # PostgreSQL cuts what is longer
_RUN_LENGTH = 40
_LOOKS = 2

_ADVISORY = """
    locktype = 'advisory' AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_KEYS = "unnest(CAST(:highs AS bigint[]), CAST(:lows AS bigint[]), CAST(:exclusively AS boolean[]))"
_STAMP = """
    pg_try_advisory_lock_shared(
        CAST(:stamp AS int), CAST(CAST(CAST(floor(extract(epoch FROM clock_timestamp())) AS bigint) AS bit(32)) AS int)
    ) IS NOT NULL
"""
_MINE = f"""
    SELECT pg_backend_pid() AS pid, count(DISTINCT (classid, objid)) AS held
    FROM pg_locks JOIN {_KEYS} AS wanted (high, low, exclusively)
        ON objsubid = 1 AND classid = CAST(high AS oid) AND objid = CAST(low AS oid)
        AND mode = CASE WHEN exclusively THEN 'ExclusiveLock' ELSE 'ShareLock' END
    WHERE pid = pg_backend_pid() AND {_ADVISORY}
"""  # noqa: S608  # constants of ours
# The conflicting locks: an exclusive one with whatever is wanted, a shared one with what is wanted exclusively.
_HOLDERS = f"""
    WITH locks AS MATERIALIZED (SELECT * FROM pg_locks WHERE {_ADVISORY})
    SELECT pid, application_name, coalesce(
        (SELECT to_timestamp(max(CAST(stamp.objid AS bigint))) FROM locks AS stamp
         WHERE stamp.pid = holding.pid AND stamp.objsubid = 2 AND stamp.classid = CAST(:stamp_class AS oid)),
        backend_start
    ) AS since, ARRAY(
        SELECT (CAST(own.classid AS bigint) << 32) | CAST(own.objid AS bigint) FROM locks AS own
        WHERE own.pid = holding.pid AND own.objsubid = 1 AND own.mode = 'ExclusiveLock'
    ) AS held_keys
    FROM (
        SELECT DISTINCT pid FROM locks JOIN {_KEYS} AS wanted (high, low, exclusively)
            ON objsubid = 1 AND classid = CAST(high AS oid) AND objid = CAST(low AS oid)
            AND (exclusively OR mode = 'ExclusiveLock')
    ) AS holding LEFT JOIN pg_stat_activity USING (pid)
    ORDER BY since, pid
"""  # noqa: S608  # constants of ours


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
    where such a session's start is hidden from the asking role. A long host name's end stands behind a `~`. `parts` are
    those of the gate that were asked for and that this one holds.
    """

    run: str | None
    host: str | None
    since: datetime | None
    pid: int
    parts: tuple[str, ...] = ()

    def __str__(self) -> str:
        who = "a session that is not an eval run's" if self.run is None else f"run {self.run} on {self.host}"
        since = f" since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
        return f"{who}{since} (server process {self.pid})"


@dataclass(frozen=True, slots=True)
class GateLock:
    """The lock of the gate called `name`, or of those `parts` of it, in the database that a session is connected to."""

    name: str
    parts: tuple[str, ...] = ()

    def take(self, session: DirectSession) -> int | None:
        """The process id of the server's side where all of it was free, else None and none of it is held; at once."""
        wanted = self._wanted()
        taking = _STAMP  # one statement, so that a pooler cannot spread them over its sessions
        for place, (_, exclusively) in reversed(list(enumerate(wanted))):
            lock = "pg_try_advisory_lock" if exclusively else "pg_try_advisory_lock_shared"
            taking = f"CASE WHEN {lock}(CAST(:key{place} AS bigint)) THEN {taking} ELSE false END"
        keys = {f"key{place}": key for place, (key, _) in enumerate(wanted)}
        stamp = _number(self.name, 8, 12)
        row = session.row(f"SELECT pg_backend_pid() AS pid, {taking} AS taken", stamp=stamp, **keys)
        if row is not None and not row.taken and self.parts:
            session.row("SELECT pg_advisory_unlock_all()")  # those before the one that was not free
        return row.pid if row and row.taken else None

    def is_held_by(self, session: DirectSession, pid: int) -> bool:
        """Whether the session still is the one with the process `pid`, and has all of the lock."""
        row = session.row(_MINE, **self._keys())
        return row is not None and row.held == len(self._wanted()) and row.pid == pid

    def holders(self, session: DirectSession) -> "list[Holder]":
        """Who holds it or some of it, the longest first; `parts` are named among those of this lock."""
        names = {_number(f"{self.name}/{part}", 0, 8): part for part in self.parts}
        stamp = _number(self.name, 8, 12) & 0xFFFFFFFF
        found: list[Holder] = []
        for row in session.rows(_HOLDERS, stamp_class=stamp, **self._keys()):
            run, host = parse_session_name(row.application_name or "") or (None, None)
            since = row.since and row.since.astimezone(timezone.utc)
            parts = sorted(names[key] for key in row.held_keys if key in names)
            found.append(Holder(run, host, since, row.pid, tuple(parts)))
        return found

    def _wanted(self) -> list[tuple[int, bool]]:
        """Keys, and whether they are wanted exclusively, in the order of taking: the same for everybody."""
        parts = [(_number(f"{self.name}/{part}", 0, 8), True) for part in sorted(self.parts)]
        return [(_number(self.name, 0, 8), not parts), *parts]

    def _keys(self) -> "dict[str, list[Any]]":
        wanted = self._wanted()
        return {
            "highs": [key >> 32 & 0xFFFFFFFF for key, _ in wanted],
            "lows": [key & 0xFFFFFFFF for key, _ in wanted],
            "exclusively": [exclusively for _, exclusively in wanted],
        }


def _number(name: str, start: int, stop: int) -> int:
    digest = hashlib.sha256(f"evalops gate {name}".encode()).digest()
    return int.from_bytes(digest[start:stop], "big", signed=True)


def refuse_pooled(session: DirectSession, beside: DirectSession) -> None:
    """GateError unless both sessions of the same URL have a server process of their own, on a server that writes.

    A pooler that has nothing else to do gives one client the same process each time, so its answers alone prove
    nothing: but then the other client is given that process, too.
    """
    pids: tuple[set[int], set[int]] = set(), set()
    for one, known in [*zip((session, beside), pids, strict=True)] * _LOOKS:
        for _ in range(2):  # twice each, for one that takes turns among as many processes as it has clients
            row = _state(one)
            known.add(row.pid)
            if row.standby:
                raise GateError("the gate needs the primary server, and the database URL leads to a standby")
    if any(len(known) > 1 for known in pids) or pids[0] & pids[1]:
        raise pooled()


def _state(session: DirectSession) -> Row[Any]:
    row = session.row("SELECT pg_backend_pid() AS pid, pg_is_in_recovery() AS standby")
    if row is None:
        raise GateError("the database does not say which process serves it")
    return row


def pooled() -> GateError:
    return GateError(
        "the gate needs a session of its own, and the database URL leads to a pooler that shares them between "
        "transactions; set EVALOPS_LOCK_DATABASE_URL to the server itself, or to a pool in session mode"
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
