"""The rows that an eval run is made of: responses and scores, saved in groups as they come.

What belongs here: writing a group in one statement, and reading a run's rows back. What does not: grouping, and what
the rows add up to.

A group goes over as one JSON array that the server unfolds (`INSERT … SELECT … FROM jsonb_to_recordset`): one parse,
one plan and one round trip however many rows, for a thirtieth of the client's work that a statement a row takes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from functools import cache
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    Table,
    Text,
    TextClause,
    any_,
    bindparam,
    cast,
    column,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, Insert, insert
from sqlalchemy.dialects.postgresql.base import PGDialect

from evalops_core.domain.eval_run import Response, ScoreRow
from evalops_core.domain.score import Score, Unscored
from evalops_core.store.runs import require_texts, run_of
from evalops_core.store.storable import storable
from evalops_core.store.tables import EVAL_RUNS, RESPONSES, SCORES

Also = Callable[[Connection], None]
_RESPONSE = [field.name for field in fields(Response)]
_SCORE = ["value", "unscored_reason", *(field.name for field in fields(ScoreRow) if field.name != "outcome")]
_GROUP = 1000  # rows a statement: bounds memory on both sides, far from the 256 MB that jsonb can hold


class CaseResults:
    """The tables `responses` and `scores`. Every method is a transaction of its own and may be called from any thread.

    Texts are stored with U+FFFD for what PostgreSQL cannot hold (see `storable`).
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def save_responses(self, run_id: int, responses: Sequence[Response], also: Also | None = None) -> None:
        """Saves what is new. An answer once stored stays; an error gives way to whatever comes after it.

        `also` is done in the same transaction.
        """
        rows: dict[tuple[str, int], Response] = {}
        for response in responses:  # one statement may touch a row once only, so the same rule is applied here
            key = response.case_id, response.repeat
            if key not in rows or rows[key].error_class is not None:
                rows[key] = response
        self._save(RESPONSES, run_id, [_from_response(rows[key]) for key in sorted(rows)], also)

    def save_scores(self, run_id: int, scores: Sequence[ScoreRow], also: Also | None = None) -> None:
        """Saves what is new. A value replaces anything, as re-scoring must; an Unscored never replaces a value.

        `also` is done in the same transaction.
        """
        rows: dict[tuple[str, int, str, str], ScoreRow] = {}
        for score in scores:
            key = score.case_id, score.repeat, score.scorer, score.axis
            if key not in rows or isinstance(score.outcome, Score) or isinstance(rows[key].outcome, Unscored):
                rows[key] = score
        self._save(SCORES, run_id, [_from_score(rows[key]) for key in sorted(rows)], also)

    def responses(self, run_id: int, cases: Sequence[str] | None = None) -> list[Response]:
        """By case id, then repeat; of `cases` alone where they are given."""
        with self._engine.connect() as connection:
            return [Response(*row) for row in connection.execute(_read(RESPONSES, _RESPONSE, run_id, cases))]

    def scores(self, run_id: int, cases: Sequence[str] | None = None) -> list[ScoreRow]:
        """By case id, repeat, scorer, axis; of `cases` alone where they are given."""
        with self._engine.connect() as connection:
            return [_to_score(row) for row in connection.execute(_read(SCORES, _SCORE, run_id, cases))]

    def case_ids(self, run_id: int, *, after: str = "", limit: int = _GROUP) -> list[str]:
        """The ids of the cases that have a response, the first `limit` of those that come after `after`."""
        ids = (
            select(RESPONSES.c.case_id)
            .where(RESPONSES.c.eval_run_id == run_id, RESPONSES.c.case_id > after)
            .group_by(RESPONSES.c.case_id)
            .order_by(RESPONSES.c.case_id)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return list(connection.scalars(ids))

    def answered(self, run_id: int, cases: Sequence[str] | None = None) -> set[tuple[str, int]]:
        """The cases and repeats that have an answer; of `cases` alone where they are given."""
        keys = select(RESPONSES.c.case_id, RESPONSES.c.repeat).where(RESPONSES.c.error_class.is_(None))
        return {(row[0], row[1]) for row in self._keys(RESPONSES, keys, run_id, cases)}

    def scored(self, run_id: int, cases: Sequence[str] | None = None) -> set[tuple[str, int, str, str]]:
        """The cases, repeats, scorers and axes that have a value; of `cases` alone where they are given."""
        keys = select(SCORES.c.case_id, SCORES.c.repeat, SCORES.c.scorer, SCORES.c.axis).where(
            SCORES.c.value.is_not(None)
        )
        return {(row[0], row[1], row[2], row[3]) for row in self._keys(SCORES, keys, run_id, cases)}

    def count_answered(self, run_id: int) -> int:
        """How many responses are answers."""
        count = select(func.count()).where(RESPONSES.c.eval_run_id == run_id, RESPONSES.c.error_class.is_(None))
        with self._engine.connect() as connection:
            return connection.execute(count).scalar_one()

    def first_error(self, run_id: int) -> str | None:
        """Why the first response by case id failed, of those that did."""
        error = (
            select(RESPONSES.c.error_text)
            .where(RESPONSES.c.eval_run_id == run_id, RESPONSES.c.error_class.is_not(None))
            .order_by(*RESPONSES.primary_key)
            .limit(1)
        )
        with self._engine.connect() as connection:
            return connection.execute(error).scalar_one_or_none()

    def copy_responses(self, from_run: int, to_run: int) -> int:
        """Gives `to_run` the responses of `from_run` by the rule of `save_responses`; returns how many it took.

        A copy has cost 0 and 0 tokens: `to_run` paid for none of them, and sums must not count them twice.
        DatabaseError where the texts of `from_run` were purged: no purge can come between this look and the copy.
        """
        unpaid = {name: literal(0).label(name) for name in ("cost_usd", "prompt_tokens", "completion_tokens")}
        columns = [unpaid.get(column.name, column) for column in _columns(RESPONSES)]
        source = select(literal(to_run), *columns).where(RESPONSES.c.eval_run_id == from_run)
        with self._engine.begin() as connection:
            locked = select(EVAL_RUNS).where(EVAL_RUNS.c.id == from_run).with_for_update(key_share=True)
            require_texts(run_of(connection.execute(locked).mappings().one()))
            return connection.execute(_insert(RESPONSES, source)).rowcount

    def _keys(self, table: Table, keys: Select[Any], run_id: int, cases: Sequence[str] | None) -> Sequence[Row[Any]]:
        with self._engine.connect() as connection:
            return connection.execute(_of_run(keys, table, run_id, cases)).all()

    def _save(self, table: Table, run_id: int, rows: Sequence[Mapping[str, Any]], also: Also | None) -> None:
        if not rows and also is None:
            return
        with self._engine.begin() as connection:
            for start in range(0, len(rows), _GROUP):
                group = orjson.dumps(rows[start : start + _GROUP]).decode()
                connection.execute(_save_statement(table), {"run": run_id, "rows": group})
            if also is not None:
                also(connection)


@cache
def _save_statement(table: Table) -> TextClause:
    """The upsert of parameters `run` and `rows` as plain SQL: SQLAlchemy would compile it anew for every group."""
    unfolded = (
        func.jsonb_to_recordset(cast(bindparam("rows", type_=Text), JSONB))
        .table_valued(*(column(item.name, item.type) for item in _columns(table)), name="new")
        .render_derived(with_types=True)
    )
    statement = _insert(table, select(bindparam("run", type_=BigInteger), *unfolded.c))
    return text(str(statement.compile(dialect=PGDialect(paramstyle="named"))))


def _columns(table: Table) -> list[Column[Any]]:
    """Those that a result has: whose it is, and that its text was purged later, is no part of it."""
    return [item for item in table.c if item.name not in ("eval_run_id", "purged")]


def _read(table: Table, names: Sequence[str], run_id: int, cases: Sequence[str] | None) -> Select[Any]:
    """The columns `names`, in their order: rows read as tuples take a third of the time of rows read by name."""
    return _of_run(select(*(table.c[name] for name in names)), table, run_id, cases).order_by(*table.primary_key)


def _of_run(query: Select[Any], table: Table, run_id: int, cases: Sequence[str] | None) -> Select[Any]:
    """Of `cases` alone where they are given: one parameter however many they are."""
    rows = query.where(table.c.eval_run_id == run_id)
    return rows if cases is None else rows.where(table.c.case_id == any_(cast(list(cases), ARRAY(Text))))


def _insert(table: Table, source: Select[Any]) -> Insert:
    """What `source` selects, a run's id first, under the rule of which stored rows give way."""
    columns = _columns(table)
    statement = insert(table).from_select(["eval_run_id", *(item.name for item in columns)], source)
    gives_way = (
        RESPONSES.c.error_class.is_not(None)
        if table is RESPONSES
        else statement.excluded.value.is_not(None) | SCORES.c.value.is_(None)
    )
    names = [item.name for item in columns if not item.primary_key]
    replaced: dict[str, ColumnElement[Any]] = {name: statement.excluded[name] for name in names}
    return statement.on_conflict_do_update(index_elements=[*table.primary_key], set_=replaced, where=gives_way)


def _from_response(response: Response) -> dict[str, Any]:
    return {
        "case_id": response.case_id,
        "repeat": response.repeat,
        "text": storable(response.text),
        "case_group": storable(response.case_group),
        "model": storable(response.model),
        "finish_reason": storable(response.finish_reason),
        "prompt_tokens": response.prompt_tokens,
        "completion_tokens": response.completion_tokens,
        "cost_usd": _money(response.cost_usd),
        "latency_s": response.latency_s,
        "attempts": response.attempts,
        "error_class": storable(response.error_class),
        "error_text": storable(response.error_text),
    }


def _from_score(score: ScoreRow) -> dict[str, Any]:
    scored = score.outcome if isinstance(score.outcome, Score) else None
    unscored = score.outcome if isinstance(score.outcome, Unscored) else None
    return {
        "case_id": score.case_id,
        "repeat": score.repeat,
        "scorer": score.scorer,
        "axis": score.axis,
        "value": scored and scored.value,
        "unscored_reason": unscored and storable(unscored.reason),
        "rationale": storable(score.rationale),
        "model": storable(score.model),
        "prompt_tokens": score.prompt_tokens,
        "completion_tokens": score.completion_tokens,
        "cost_usd": _money(score.cost_usd),
    }


def _to_score(row: Row[Any]) -> ScoreRow:
    value, reason, case, repeat, scorer, axis, rationale, model, prompt_tokens, completion_tokens, cost_usd = row
    outcome = Unscored(reason) if value is None else Score(value)
    return ScoreRow(case, repeat, scorer, axis, outcome, rationale, model, prompt_tokens, completion_tokens, cost_usd)


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)  # a string, so that no float comes between
