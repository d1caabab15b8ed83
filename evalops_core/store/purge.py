"""What is old enough to go: found, counted, and taken a batch at a time.

What belongs here: the statements. What does not: how old that is (run.purge), traces' own deletion (traces).

Nothing locks a table, and each batch is a transaction: an eval run keeps all of its texts or loses them together with
the mark that says so, so that a purge may be interrupted at any moment. Scores, reasons of unscored cases, tokens and
costs are never touched: trend, verdicts and statistics read nothing else.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, text


@dataclass(frozen=True, slots=True)
class OldTexts:
    """Texts that are old: `runs` eval runs, which ended from `first` to `last`, with so many responses and scores that
    have texts; mails and kept judgments. `unfinished` runs never ended, though their window did, and keep theirs."""

    runs: int
    responses: int
    scores: int
    mails: int
    judgments: int
    unfinished: int
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True, slots=True)
class OldTraces:
    """Traces that are old, the first and the last of them, and the embeddings kept of days before."""

    traces: int
    embeddings: int
    first: datetime | None
    last: datetime | None


class Purge:
    """Over the whole store; every method is a transaction of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def old_texts(self, before: datetime) -> OldTexts:
        with self._engine.connect() as connection:
            return OldTexts(**connection.execute(_OLD_TEXTS, {"before": before}).mappings().one())

    def old_traces(self, before: datetime) -> OldTraces:
        with self._engine.connect() as connection:
            return OldTraces(**connection.execute(_OLD_TRACES, {"before": before}).mappings().one())

    def runs(self, before: datetime) -> list[int]:
        """The ids of the eval runs whose texts are old, the oldest first."""
        with self._engine.connect() as connection:
            return list(connection.scalars(_RUNS, {"before": before}))

    def take_texts(self, run_id: int, before: datetime) -> tuple[int, int] | None:
        """Take the texts of the run: of how many responses and scores; None where it is not old any more.

        The run's row is locked first: whoever goes on with it, or copies its answers, is waited for and looked at anew.
        """
        with self._engine.begin() as connection:
            if connection.execute(_MARK, {"run": run_id, "before": before}).scalar_one_or_none() is None:
                return None
            responses = connection.execute(_TAKE_ANSWERS, {"run": run_id}).rowcount
            return responses, connection.execute(_TAKE_REASONS, {"run": run_id}).rowcount

    def take_mails(self, before: datetime, batch: int = 500) -> int:
        """Take the kept mails of at most `batch` messages; returns of how many. What is due keeps its own."""
        with self._engine.begin() as connection:
            return connection.execute(_TAKE_MAILS, {"before": before, "batch": batch}).rowcount

    def forget_judgments(self, before: datetime, batch: int = 5000) -> int:
        """Delete at most `batch` entries of the judge cache; returns how many."""
        with self._engine.begin() as connection:
            return connection.execute(_FORGET, {"before": before, "batch": batch}).rowcount


# A run may be gone on with while its window is open, so both have to be over for long.
_OLD_RUN = """
    status <> 'running' AND texts_purged_at IS NULL AND finished_at < :before AND window_end < :before
"""
_WITH_TEXT = "text IS NOT NULL OR error_text IS NOT NULL"
_OLD_MAIL = """
    state <> 'due' AND rendered IS NOT NULL AND created_at < :before AND coalesce(sent_at, created_at) < :before
"""

_RUNS = text(f"SELECT id FROM evalops.eval_runs WHERE {_OLD_RUN} ORDER BY id")  # noqa: S608  # constants of ours, here and below

_OLD_TEXTS = text(f"""
    WITH old AS (SELECT id, finished_at FROM evalops.eval_runs WHERE {_OLD_RUN})
    SELECT
        (SELECT count(*) FROM old) AS runs,
        (SELECT min(finished_at) FROM old) AS first,
        (SELECT max(finished_at) FROM old) AS last,
        (SELECT count(*) FROM old JOIN evalops.responses ON eval_run_id = id WHERE {_WITH_TEXT}) AS responses,
        (SELECT count(*) FROM old JOIN evalops.scores ON eval_run_id = id WHERE rationale IS NOT NULL) AS scores,
        (SELECT count(*) FROM evalops.outbox WHERE {_OLD_MAIL}) AS mails,
        (SELECT count(*) FROM evalops.judge_cache WHERE created_at < :before) AS judgments,
        (SELECT count(*) FROM evalops.eval_runs WHERE status = 'running' AND window_end < :before) AS unfinished
""")  # noqa: S608

_OLD_TRACES = text("""
    SELECT
        (SELECT count(*) FROM evalops.llm_traces WHERE created_at < :before) AS traces,
        (
            SELECT count(*) FROM evalops.drift_samples JOIN evalops.drift_centroids AS centroid
                ON centroid.id = centroid_id
            WHERE centroid.day < CAST(CAST(:before AS timestamptz) AT TIME ZONE 'UTC' AS date)
        ) AS embeddings,
        (SELECT min(created_at) FROM evalops.llm_traces WHERE created_at < :before) AS first,
        (SELECT max(created_at) FROM evalops.llm_traces WHERE created_at < :before) AS last
""")

_MARK = text(f"""
    UPDATE evalops.eval_runs SET texts_purged_at = now() WHERE id = :run AND {_OLD_RUN} RETURNING id
""")  # noqa: S608

_TAKE_ANSWERS = text(f"""
    UPDATE evalops.responses SET text = NULL, error_text = NULL, purged = error_class IS NULL
    WHERE eval_run_id = :run AND ({_WITH_TEXT})
""")  # noqa: S608

_TAKE_REASONS = text("UPDATE evalops.scores SET rationale = NULL WHERE eval_run_id = :run AND rationale IS NOT NULL")

_TAKE_MAILS = text(f"""
    UPDATE evalops.outbox SET rendered = NULL, texts_purged_at = now() WHERE id = ANY(ARRAY(
        SELECT id FROM evalops.outbox WHERE {_OLD_MAIL} ORDER BY id LIMIT :batch FOR UPDATE SKIP LOCKED
    ))
""")  # noqa: S608

_FORGET = text("""
    DELETE FROM evalops.judge_cache WHERE key = ANY(ARRAY(
        SELECT key FROM evalops.judge_cache WHERE created_at < :before
        ORDER BY created_at LIMIT :batch FOR UPDATE SKIP LOCKED
    ))
""")
