"""What no module of ours does, whoever writes the next one: unpickle, run data as code, or build SQL from values."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
SOURCES = sorted(
    path for folder in ("evalops_core", "evalops_dagster", "scripts") for path in (PROJECT / folder).rglob("*.py")
)
# A process reads back what it has written itself, into a nameless file.
SPOOL = Path("evalops_core/suites/spooled_cases.py")
RUNS_DATA = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
CALLS = {"read_pickle", "to_pickle", "unsafe_load", "full_load", "unsafe_load_all", "full_load_all", "eval", "exec"}
# What these put into a statement is a constant of ours all the same, given by their callers or made in place.
SQL_FROM_ARGUMENTS = {
    ("gate_lock.py", "taking"),
    ("names.py", "condition"),
    ("names.py", "table"),
    ("verdicts.py", "each"),
}


def dangerous(source: str) -> Iterator[str]:
    """Each import and call that can run what is in a file or a database."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in RUNS_DATA)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in RUNS_DATA:
            yield str(node.module)
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name.rpartition(".")[2] in CALLS or name in ("yaml.load", "yaml.load_all"):
                yield name
            yield from (keyword.arg for keyword in node.keywords if keyword.arg == "allow_pickle")


def filled_in(source: str) -> Iterator[tuple[str, str]]:
    """The expressions in f-strings that are SQL, unless they are constants of their module; and what formats SQL."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr) and _is_sql(node):
            for part in node.values:
                if isinstance(part, ast.FormattedValue) and not _is_constant(part.value):
                    yield "f-string", ast.unparse(part.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            if _is_sql(node.func.value):
                yield "format", ast.unparse(node.func.value)[:40]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and _is_sql(node.left):
            yield "%", ast.unparse(node)[:40]


def _is_sql(node: ast.AST) -> bool:
    texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    words = " ".join(texts).split()
    starts = {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "CREATE", "ALTER", "DROP", "GRANT", "SET"}
    return bool(words) and words[0].lstrip("(") in starts and len(words) > 1


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id.isupper()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle", ["pickle"]),
        ("from marshal import loads", ["marshal"]),
        ("yaml.load(text, Loader)", ["yaml.load"]),
        ("np.load(file, allow_pickle=True)", ["allow_pickle"]),
        ("pd.read_pickle(file)", ["pd.read_pickle"]),
        ("yaml.parse(text); json.load(file)", []),
    ],
)
def test_the_look_finds_what_runs_data(source: str, found: list[str]) -> None:
    assert list(dangerous(source)) == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('text(f"SELECT a FROM b WHERE c = {value}")', [("f-string", "value")]),
        ('"DELETE FROM t WHERE c = {}".format(value)', [("format", "'DELETE FROM t WHERE c = {}'")]),
        ('"SELECT 1 FROM t WHERE c = %s" % value', [("%", "'SELECT 1 FROM t WHERE c = %s' % value")]),
        ('text(f"SELECT a FROM b WHERE {_HOLDS} AND c = :value")', []),
        ('f"selected {value}"', []),
    ],
)
def test_the_look_finds_values_in_sql(source: str, found: list[tuple[str, str]]) -> None:
    assert list(filled_in(source)) == found


def test_nothing_is_unpickled_or_run_that_was_read() -> None:
    found = {(str(path.relative_to(PROJECT)), what) for path in SOURCES for what in dangerous(path.read_text())}
    assert found == {(str(SPOOL), "marshal")}


def test_values_reach_the_database_as_parameters_alone() -> None:
    migrations = PROJECT / "evalops_core" / "store" / "migrations"
    found = {
        (path.name, expression)
        for path in SOURCES
        if not path.is_relative_to(migrations)
        for _, expression in filled_in(path.read_text())
    }
    assert found == SQL_FROM_ARGUMENTS
