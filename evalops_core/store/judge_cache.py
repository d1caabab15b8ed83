"""What judges said before: entries by what was asked, and the rows of a run that were taken from them.

What belongs here: finding, keeping and forgetting. What does not: what makes two questions the same (scorers.judge),
whether an entry may be taken (run.judge_cache).

An entry holds for so many days from its judgment on, by the database's clock, however often it is taken. A newer
judgment takes the place of an older one. A row of `scores` that was taken names its judge with 0 tokens for US$ 0: the
run paid for none of them, and sums must not count them twice.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection, Engine, text

from evalops_core.store.storable import storable

_MOST_FORGOTTEN = 100_000  # entries at a time: what a large run adds, in seconds


@dataclass(frozen=True, slots=True)
class Judgment:
    """What a judge said of one answer: axis → score (1–5) and reason; `model` is the id it was resolved to."""

    model: str
    axes: Mapping[str, tuple[float, str | None]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A judgment to be kept. `key` stands for what was asked, `judge` for who was asked for it, as configured."""

    key: str
    judge: str
    judgment: Judgment


class JudgeCache:
    """The table `judge_cache`; may be called from any thread. Entries hold for `days`, at least 1.

    Every method without a connection is a transaction of its own.
    """

    def __init__(self, engine: Engine, days: int) -> None:
        self._engine = engine
        self._days = days

    def resolved(self, judge: str) -> str | None:
        """The id that the judge was last seen to be resolved to; None where no entry of it holds."""
        with self._engine.connect() as connection:
            return connection.execute(_RESOLVED, {"judge": judge, "days": self._days}).scalar_one_or_none()

    def find(self, keys: Sequence[str], model: str) -> dict[str, Judgment]:
        """Key → what `model`, a resolved id, said; without those of which nothing holds."""
        if not keys:
            return {}
        with self._engine.connect() as connection:
            rows = connection.execute(_FIND, {"keys": list(keys), "model": storable(model), "days": self._days})
            return {
                row.key: Judgment(model, {axis: (float(value), reason) for axis, (value, reason) in row.axes.items()})
                for row in rows
            }

    def keep(self, entries: Sequence[Entry], connection: Connection) -> None:
        """Keep them within the transaction of `connection`: one statement however many they are."""
        rows = {entry.key: _row(entry) for entry in entries}  # one statement may touch a row once only
        if rows:
            connection.execute(_KEEP, {"rows": orjson.dumps(list(rows.values())).decode()})

    def forget(self) -> int:
        """Remove entries that hold no more, the oldest first, not so many that it takes long; returns how many."""
        with self._engine.begin() as connection:
            return connection.execute(_FORGET, {"days": self._days, "most": _MOST_FORGOTTEN}).rowcount

    def asked(self, run_id: int, scorers: Collection[str]) -> set[str]:
        """The ids that the run's judges, the scorers of these names, were resolved to where they were really asked."""
        with self._engine.connect() as connection:
            return set(connection.scalars(_ASKED, {"run": run_id, "scorers": sorted(scorers)}))

    def give_back(self, run_id: int, *, except_of: str | None = None) -> int:
        """Remove the run's rows that were taken, except those of this resolved id; returns how many rows."""
        with self._engine.begin() as connection:
            return connection.execute(_GIVE_BACK, {"run": run_id, "model": storable(except_of)}).rowcount


def count_taken(engine: Engine, run_id: int) -> int:
    """How many judgments of the run were taken from the cache."""
    with engine.connect() as connection:
        return connection.execute(_COUNT_TAKEN, {"run": run_id}).scalar_one()


def _row(entry: Entry) -> dict[str, object]:
    axes = {axis: (value, storable(reason)) for axis, (value, reason) in entry.judgment.axes.items()}
    return {"key": entry.key, "judge": entry.judge, "model": storable(entry.judgment.model), "axes": axes}


_HOLDS = "created_at > now() - make_interval(days => :days)"
# A call that was made has tokens, or it is not known how many; the last axis of a judgment has neither model nor cost.
_TAKEN = "model IS NOT NULL AND value IS NOT NULL AND prompt_tokens = 0 AND completion_tokens = 0 AND cost_usd = 0"

_RESOLVED = text(f"""
    SELECT model FROM evalops.judge_cache WHERE judge = :judge AND {_HOLDS} ORDER BY created_at DESC LIMIT 1
""")  # noqa: S608  # constants of ours, here and below

_FIND = text(f"""
    SELECT key, axes FROM evalops.judge_cache
    WHERE key = ANY(CAST(:keys AS text[])) AND model = :model AND {_HOLDS}
""")  # noqa: S608

# In the order of the keys, so that two who keep the same ones wait for each other, and never both.
_KEEP = text("""
    INSERT INTO evalops.judge_cache (key, judge, model, axes)
    SELECT key, judge, model, axes
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS new (key text, judge text, model text, axes jsonb)
    ORDER BY key
    ON CONFLICT (key) DO UPDATE
        SET judge = excluded.judge, model = excluded.model, axes = excluded.axes, created_at = excluded.created_at
""")

_FORGET = text("""
    DELETE FROM evalops.judge_cache WHERE key IN (
        SELECT key FROM evalops.judge_cache WHERE created_at <= now() - make_interval(days => :days)
        ORDER BY created_at LIMIT :most
    )
""")

_COUNT_TAKEN = text(f"SELECT count(*) FROM evalops.scores WHERE eval_run_id = :run AND {_TAKEN}")  # noqa: S608

_ASKED = text(f"""
    SELECT DISTINCT model FROM evalops.scores
    WHERE eval_run_id = :run AND scorer = ANY(CAST(:scorers AS text[])) AND model IS NOT NULL AND ({_TAKEN}) IS NOT TRUE
""")  # noqa: S608

_GIVE_BACK = text(f"""
    DELETE FROM evalops.scores AS score USING (
        SELECT case_id, repeat, scorer FROM evalops.scores
        WHERE eval_run_id = :run AND {_TAKEN} AND model IS DISTINCT FROM CAST(:model AS text)
    ) AS taken
    WHERE score.eval_run_id = :run AND (score.case_id, score.repeat, score.scorer)
        = (taken.case_id, taken.repeat, taken.scorer)
""")  # noqa: S608
