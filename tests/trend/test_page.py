"""docs/trend.md: what it says of the view holds, and its statements run as they stand there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import ProgrammingError

from evalops_core.store.runs import EvalRuns
from evalops_core.trend.columns import COLUMNS
from tests.store.rows import finished, started

PAGE = (Path(__file__).parents[2] / "docs" / "trend.md").read_text(encoding="utf-8")
STATEMENTS = re.findall(r"^```sql\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
(GRANTS,) = [statement for statement in STATEMENTS if "CREATE ROLE" in statement]
QUERIES = [statement for statement in STATEMENTS if statement != GRANTS]

# What Grafana and Metabase put in their place.
MACROS = {
    "$__timeFilter(window_start)": "window_start BETWEEN '2025-03-01T00:00:00Z' AND '2025-03-31T00:00:00Z'",
    "$__timeFrom()": "'2025-03-01T00:00:00Z'",
    "$__timeTo()": "'2026-03-31T00:00:00Z'",
    "$feature": "'explain','translate'",
    "now() - interval '90 days'": "'2025-01-01'::timestamptz",  # the tests' runs are of that year
}


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """Three runs of one feature, the last of another model, and an incident."""
    runs = EvalRuns(engine)
    for day, model in enumerate(["small", "small", "large"]):
        runs.finish(started(runs, day=day).id, finished(score="4.0", model=model))
    with engine.connect() as connection:
        connection.execute(
            text("""
            INSERT INTO evalops.incidents (fingerprint, kind, feature, opened_at)
            VALUES ('f', 'no_data', 'explain', '2025-03-02')
        """)
        )
        yield connection


def test_the_page_lists_the_views_columns_with_their_types_and_meanings(engine: Engine) -> None:
    query = text("""
        SELECT column_name, replace(data_type, 'timestamp with time zone', 'timestamptz') AS kind
        FROM information_schema.columns WHERE table_schema = 'evalops' AND table_name = 'eval_trend'
        ORDER BY ordinal_position
    """)
    with engine.connect() as connection:
        types = {row.column_name: row.kind for row in connection.execute(query)}
    expected = [f"| `{name}` | {kind} | {COLUMNS[name]} |" for name, kind in types.items()]
    assert re.findall(r"^\| `\w+` .*", PAGE, re.MULTILINE) == expected


@pytest.mark.parametrize("statement", QUERIES)
def test_a_query_finds_something(connection: Connection, statement: str) -> None:
    for with_filter in ("'explain'", None):
        filled = re.sub(r"\[\[(.*?)\]\]", r"\1" if with_filter else "", statement)
        for macro, value in {**MACROS, "{{feature}}": with_filter or ""}.items():
            filled = filled.replace(macro, value)
        assert not re.search(r"\$|\{\{|\[\[", filled)
        assert connection.execute(text(filled)).all()


def test_there_is_a_query_for_each_use() -> None:
    assert len(QUERIES) == 6
    assert sum("AS time" in query for query in QUERIES) == 4
    assert any("timeend" in query for query in QUERIES)


def test_the_role_reads_the_trend_and_nothing_else(connection: Connection) -> None:
    connection.execute(text(GRANTS))
    connection.execute(text("SET LOCAL ROLE trend_reader"))
    assert connection.execute(text("SELECT count(*) FROM evalops.eval_trend")).scalar_one() == 3
    assert connection.execute(text("SELECT count(*) FROM evalops.incidents")).scalar_one() == 1
    for forbidden in (
        "SELECT FROM evalops.eval_runs",
        "SELECT FROM evalops.responses",
        "DELETE FROM evalops.incidents",
    ):
        with pytest.raises(ProgrammingError, match="permission denied"), connection.begin_nested():
            connection.execute(text(forbidden))
    connection.rollback()  # a role is the whole server's, not the test's database's
