"""What drift costs the database with a million traces in it: `python -m benchmarks.drift table`.

50 features, 40 days, five calls of a hundred failed, in a PostgreSQL of its own; the rows of one feature lie far apart
in the table, as they do where many features are in use at once.
What belongs here: filling, the plan of the sample's query, and times. What does not: what is detected (drift).
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import Engine, event, text

from evalops_core.domain.scorer import ExactSpec
from evalops_core.domain.suite import DriftSpec, Suite
from evalops_core.postgres.guard import guarded_server
from evalops_core.run.drift.due import decide_drift_tick
from evalops_core.run.drift.sample import span
from evalops_core.store.drift import DriftDays
from evalops_core.store.engine import make_engine
from evalops_core.store.schema import upgrade
from evalops_core.store.traces import Traces

_FEATURES, _DAYS, _WEEK, _TICKS, _PURGES = 50, 40, 7, 15, 5
_FIRST = date(2026, 1, 1)
_MODEL = "embedding"
# In the order of time, as they come, about 700 bytes of messages each.
_FILL = text("""
    INSERT INTO evalops.llm_traces (id, feature, created_at, messages, model, error)
    SELECT gen_random_uuid()::text, 'feature-' || to_char(1 + floor(random() * :features), 'FM00'),
        :first + number * make_interval(days => :days) / :rows,
        jsonb_build_array(
            jsonb_build_object('role', 'system', 'content', repeat('You answer the customers of a shop. ', 12)),
            jsonb_build_object('role', 'user', 'content', md5(random()::text) || ' ' || repeat(md5(number::text), 5))
        ),
        'vendor/model-1', CASE WHEN random() < 0.05 THEN 'timeout' END
    FROM generate_series(0, :rows - 1) AS number
    ORDER BY number
""")
_SIZES = text("""
    SELECT count(*), count(error), pg_size_pretty(pg_table_size('evalops.llm_traces')),
        pg_size_pretty(pg_indexes_size('evalops.llm_traces')), current_setting('server_version'),
        current_setting('shared_buffers')
    FROM evalops.llm_traces
""")
_DECIDED = text("""
    INSERT INTO evalops.drift_centroids (feature, day, embedding_model, n, state, decided_at)
    SELECT 'feature-' || to_char(f, 'FM00'), CAST(:first AS date) + number, :model, 50, 'ok', now()
    FROM generate_series(1, :features) AS f CROSS JOIN generate_series(0, :days - 1) AS number
""")
Statement = tuple[str, Any]


def table(rows: int) -> None:
    """Fill a database of its own, and print plan and times."""
    with tempfile.TemporaryDirectory() as folder, guarded_server(Path(folder) / "postgres") as server:
        engine = make_engine(server.url)
        try:
            _fill(engine, rows)
            _plan(engine)
            _reads(engine)
            _ticks(engine)
            _purges(engine)
        finally:
            engine.dispose()


def _fill(engine: Engine, rows: int) -> None:
    upgrade(engine)
    given = {"features": _FEATURES, "days": _DAYS, "first": span(_FIRST)[0], "rows": rows}
    began = time.perf_counter()
    with engine.begin() as connection:
        connection.execute(_FILL, given)
    took = time.perf_counter() - began
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE evalops.llm_traces"))
    with engine.connect() as connection:
        count, failed, heap, indexes, version, buffers = connection.execute(_SIZES).one()
    print(
        f"{count:,} traces of {_FEATURES} features in {_DAYS} days, {failed:,} failed; table {heap}, indexes {indexes};"
        f"\nfilled in {took:.0f} s; PostgreSQL {version}, shared_buffers {buffers}"
    )


def _plan(engine: Engine) -> None:
    """Of the statement that the product sends, and after the same ones as there."""
    feature, day, limit = "feature-07", _FIRST + timedelta(days=_DAYS * 3 // 4), DriftSpec().max_sample
    with engine.begin() as connection:
        statements = _sent(engine, lambda: Traces(connection).newest(feature, *span(day), limit))
    print(f"\nthe newest {limit} traces of {feature} on {day}:")
    with engine.begin() as connection:
        for statement, parameters in statements:
            asks = "llm_traces" in statement
            prefix = "EXPLAIN (ANALYZE, BUFFERS) " if asks else ""
            said = connection.exec_driver_sql(prefix + statement, parameters).scalars().all()
            if asks:
                print(statement.strip(), *said, sep="\n")
                return


def _sent(engine: Engine, ask: Callable[[], object]) -> Sequence[Statement]:
    """The statements that `ask` sends, in their order."""
    sent: list[Statement] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        sent.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    ask()
    event.remove(engine, "before_cursor_execute", note)
    return sent


def _reads(engine: Engine) -> None:
    """What `sample_day` reads of a day before it embeds anything, of every feature's last week."""
    taken: list[float] = []
    limit, found = DriftSpec().max_sample, 0
    for number in range(_DAYS - _WEEK, _DAYS):
        day = _FIRST + timedelta(days=number)
        for feature in _features():
            began = time.perf_counter()
            with engine.connect() as connection:
                DriftDays(connection).get(feature, day, _MODEL)
                rows = Traces(connection).newest(feature, *span(day), limit)
            taken.append(time.perf_counter() - began)
            found += len(rows)
    print()
    _times(f"sample_day's reading, {len(taken)} days, {found / len(taken):.0f} traces each", taken)


def _ticks(engine: Engine) -> None:
    """Before anything was looked at, so that every day of the last week is due, and when all is done."""
    suites = [Suite(name, (), (ExactSpec(name="exact"),), Path()) for name in _features()]
    now = datetime.combine(_FIRST + timedelta(days=_DAYS), datetime.min.time(), timezone.utc) + timedelta(minutes=30)

    def tick() -> int:
        return len(decide_drift_tick(engine, suites, _MODEL, now).start)

    due = tick()
    _times(f"decide_drift_tick, {_FEATURES} features, {due} days due", [_took(tick) for _ in range(_TICKS)])
    with engine.begin() as connection:
        given = {"first": _FIRST, "features": _FEATURES, "days": _DAYS, "model": _MODEL}
        connection.execute(_DECIDED, given)
    due = tick()
    _times(f"decide_drift_tick, {_FEATURES} features, {due} days due", [_took(tick) for _ in range(_TICKS)])


def _purges(engine: Engine) -> None:
    """The first days, one after the other."""
    taken: list[float] = []
    deleted: list[int] = []
    for number in range(1, _PURGES + 1):
        before = span(_FIRST + timedelta(days=number))[0]
        taken.append(_took(lambda before=before: deleted.append(Traces(engine).purge(before).traces)))
    _times(f"purge of a day's traces, {median(deleted):,.0f} each, {_PURGES} days", taken)


def _features() -> Sequence[str]:
    return [f"feature-{number:02d}" for number in range(1, _FEATURES + 1)]


def _took(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _times(what: str, taken: Sequence[float]) -> None:
    least, middle, most = (1000 * of(taken) for of in (min, median, max))
    print(f"{what:<60} median {middle:8.1f} ms, least {least:8.1f}, most {most:8.1f}", flush=True)
