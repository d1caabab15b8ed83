"""The doctor's rounds: every part of a deployment is looked at, side by side, and none can hold up or hide another.

What belongs here: which parts there are, and bounds in time. What does not: what follows from what is seen
(run.doctor), HTTP (looks), Dagster (evalops_dagster), secrets (secrets).
"""

import contextvars
import os
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from evalops_core.errors import ConfigError, EvalOpsError
from evalops_core.run.doctor import background, database, machine
from evalops_core.run.doctor.finding import Finding, failed
from evalops_core.run.doctor.mail import MAIL_CHECKS
from evalops_core.settings import Settings, unread_variables
from evalops_core.store.condition import condition, has_table, plain_engine
from evalops_core.store.gate import GateHeldError
from evalops_core.store.schema import current, head
from evalops_core.wiring.dagster_database import UNFINISHED, dagster_url
from evalops_core.wiring.database import store_url, while_needed
from evalops_core.wiring.looks import ENDPOINT_CHECKS, Seen, look_at_mail, look_at_models
from evalops_core.wiring.secrets import known_secrets, without
from evalops_core.wiring.suites import Suites, read_suites
from evalops_core.wiring.workshop import workshop_over

PATIENCE_S = 40.0  # for a part that its own bounds (10 s a connection, a request, a statement) do not end
_LEAST_S = 0.01  # shorter, a SimpleQueue of Python 3.10 may wait for ever
_GATE = "evalops doctor"
_GATE_WAIT_S = 2.0

LookAtDagster = Callable[[SecretStr | None], Sequence[Finding]]
"""Told the eval store's URL, None where there is none; see `dagster_tables`."""


@dataclass(frozen=True)
class _Part:
    """Something that is looked at by itself; `checks` are the names of its findings."""

    checks: Sequence[str]
    look: Callable[[], Seen]


def examine(
    settings: Settings, look_at_dagster: LookAtDagster, *, ask: bool = False, patience_s: float = PATIENCE_S
) -> list[Finding]:
    """What was found of every part, in the same order each time; never raises for what is wrong with one.

    The embedded server is started for the time of it. Nothing is changed or sent, and nothing paid unless `ask`: then
    each endpoint is asked one question. Secrets of the settings are in no sentence.
    """
    suites, said = _suites(settings)
    with ExitStack() as stack:
        store, problem = _store(settings, stack)
        parts = (
            _Part(database.DATABASE_CHECKS, lambda: _database(settings, store, problem)),
            _Part(background.DAGSTER_CHECKS, lambda: Seen(look_at_dagster(store), {})),
            _Part(ENDPOINT_CHECKS, lambda: look_at_models(settings, suites.usable, ask=ask)),
            _Part(MAIL_CHECKS, lambda: look_at_mail(settings, suites.usable)),
            _Part(("disk",), lambda: Seen([machine.disk(_rooms(settings))], {})),
        )
        stored, dagster, models, mail, disk = _side_by_side(parts, patience_s)
    ahead_s = {**models.ahead_s, **mail.ahead_s, **stored.ahead_s}
    found = [
        _settings(settings),
        *stored.findings,
        *dagster.findings,
        *said,
        *models.findings,
        *mail.findings,
        *disk.findings,
        machine.clock(ahead_s),
    ]
    secrets = known_secrets(settings, suites.usable.values())
    return [without(secrets, finding) for finding in found]


def dagster_tables(settings: Settings, store: SecretStr | None) -> SecretStr | None:
    """Where Dagster's tables are; None where it has made none yet, and then none are made.

    `store` is the eval store's URL. DatabaseError where the database that should hold them cannot be reached.
    """
    own = settings.dagster_database_url
    url = own or store
    if url is None:
        return None
    names = ("dagster.runs",) if own is None else ("runs", "dagster.runs")  # of a URL that stands for the schema
    engine = plain_engine(url)
    if has_table(engine, UNFINISHED) or not any(has_table(engine, name) for name in names):
        return None  # asking for the URL would make them
    return dagster_url(settings, create=_not_made)


def _not_made(_: SecretStr) -> None:
    raise EvalOpsError("Dagster's tables went away while they were looked at")


def _settings(settings: Settings) -> Finding:
    known = [f"EVALOPS_{name.upper()}" for name in type(settings).model_fields]
    return machine.settings(str(settings.home), unread_variables(), known)


def _suites(settings: Settings) -> tuple[Suites, list[Finding]]:
    try:
        suites = read_suites(settings)
    except ConfigError as error:
        return Suites({}, {}), machine.no_suites(str(error))
    return suites, machine.suites(list(suites.usable), suites.broken)


def _store(settings: Settings, stack: ExitStack) -> tuple[SecretStr | None, str]:
    """The eval store's URL; None and the reason where the embedded server cannot be started."""
    try:
        stack.enter_context(while_needed(settings))
        return store_url(settings), ""
    except EvalOpsError as error:
        return None, str(error)
    except OSError as error:
        return None, f"the embedded server cannot be started: {error.strerror or error}"


def _database(settings: Settings, store: SecretStr | None, problem: str) -> Seen:
    embedded = settings.database_url is None
    if store is None:
        return Seen(database.unreachable(problem, embedded=embedded), {})
    try:
        engine = plain_engine(store)
        seen = condition(engine)
    except (EvalOpsError, DBAPIError) as error:
        return Seen(database.unreachable(_sentence(error), embedded=embedded), {})
    findings = [
        database.reached(seen, embedded=embedded),
        _schema(engine, embedded=embedded),
        database.rights(seen, embedded=embedded),
        _lock(engine, settings),
    ]
    return Seen(findings, {} if embedded else {"the database server": seen.ahead_s})


def _schema(engine: Engine, *, embedded: bool) -> Finding:
    try:
        return database.schema(current(engine), head(), embedded=embedded)
    except (EvalOpsError, DBAPIError) as error:
        return database.unreadable_schema(_sentence(error))


def _lock(engine: Engine, settings: Settings) -> Finding:
    """Holds a gate that no eval run wants, for a moment: the way to it is that of the gate that they want."""
    workshop = workshop_over(engine, settings)
    try:
        with workshop.gate(_GATE).hold(f"doctor-{os.getpid()}", wait_s=_GATE_WAIT_S):
            holder = workshop.gate().holder()
    except GateHeldError as error:
        return database.lock_taken(str(error.holder))
    except EvalOpsError as error:
        return database.no_lock(str(error))
    return database.lock(None if holder is None else str(holder))


def _rooms(settings: Settings) -> list[machine.Room]:
    return [_room("EVALOPS_HOME", settings.home), _room("the folder for temporary files", Path(tempfile.gettempdir()))]


def _room(what: str, folder: Path) -> machine.Room:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return machine.Room(what, str(folder), shutil.disk_usage(there).free, os.access(there, os.W_OK))


def _side_by_side(parts: Sequence[_Part], patience_s: float) -> list[Seen]:
    """What each part brought. One that raises or does not end is a failed finding itself.

    Its threads are nobody's to wait for, so that the command ends whatever hangs.
    """
    answers: list[queue.SimpleQueue[Seen]] = [queue.SimpleQueue() for _ in parts]
    for part, answer in zip(parts, answers, strict=True):
        context = contextvars.copy_context()  # with the embedded server's: see while_needed
        threading.Thread(
            target=context.run, args=(_look, part, answer), name=f"doctor: {part.checks[0]}", daemon=True
        ).start()
    deadline = time.monotonic() + patience_s
    return [_awaited(part, answer, deadline, patience_s) for part, answer in zip(parts, answers, strict=True)]


def _look(part: _Part, answer: "queue.SimpleQueue[Seen]") -> None:
    try:
        answer.put(part.look())
    except BaseException as error:  # noqa: BLE001  # whatever it is, the other parts are still worth knowing
        answer.put(_broken(part, f"the check itself failed, with {type(error).__name__}: {_sentence(error)}"))


def _awaited(part: _Part, answer: "queue.SimpleQueue[Seen]", deadline: float, patience_s: float) -> Seen:
    try:
        return answer.get(timeout=max(_LEAST_S, deadline - time.monotonic()))
    except queue.Empty:
        return _broken(part, f"there was no answer within {patience_s:.0f} s")


def _broken(part: _Part, problem: str) -> Seen:
    mend = "Run it again; if it stays so, report it with this sentence."
    return Seen([failed(check, problem, mend) for check in part.checks], {})


def _sentence(error: BaseException) -> str:
    """In one line. Of a statement that was refused, the server's words alone: the rest shows the statement."""
    said = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
