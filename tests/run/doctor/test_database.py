from dataclasses import replace

import pytest

from evalops_core.run.doctor import database
from evalops_core.store.condition import Condition

SEEN = Condition(
    version="16.4",
    database="evals",
    host="db.example.com:5432",
    role="evalops",
    superuser=False,
    read_only=False,
    usage=True,
    lacking={},
    ahead_s=0.0,
)


def test_a_database_that_is_reached_is_named_with_server_and_role() -> None:
    found = database.reached(SEEN, embedded=False)
    assert (found.status, found.mend) == ("ok", None)
    assert found.seen == "PostgreSQL 16.4, database evals at db.example.com:5432, as role evalops"
    assert database.reached(SEEN, embedded=True).seen.startswith("the embedded PostgreSQL 16.4")


def test_a_database_that_takes_no_writes_has_failed() -> None:
    found = database.reached(replace(SEEN, read_only=True), embedded=False)
    assert found.status == "failed"
    assert "primary" in str(found.mend)


@pytest.mark.parametrize(
    ("problem", "mend"),
    [
        ('cannot connect to database d at h:1: password authentication failed for user "me"', "user and password"),
        ('cannot connect to database d at h:1: database "d" does not exist', "Create the database"),
        ('cannot connect to database d at h:1: role "me" does not exist', "Create the role"),
        ('cannot connect to database d at h:1: could not translate host name "h" to address', "Correct the host"),
        ("cannot connect to database d at h:1: Connection refused", "Start the server"),
        ("cannot connect to database role at h:1: Connection refused", "Start the server"),
    ],
)
def test_how_to_mend_a_database_out_of_reach_goes_by_what_its_server_said(problem: str, mend: str) -> None:
    first, *others = database.unreachable(problem, embedded=False)
    assert (first.name, first.status, first.seen) == ("database", "failed", problem)
    assert mend in str(first.mend)
    assert [(found.name, found.status) for found in others] == [
        ("schema", "skipped"),
        ("rights", "skipped"),
        ("lock", "skipped"),
    ]


@pytest.mark.parametrize(
    ("found", "status", "mend"),
    [
        ("0013_b", "ok", None),
        (None, "failed", "Run `evalops db upgrade`."),
        ("0012_a", "failed", "Run `evalops db upgrade`."),
        ("0014_c", "failed", "Install the version of EvalOps that ran `evalops db upgrade`, or a later one."),
    ],
)
def test_a_schema_of_another_version_says_what_to_run(found: str | None, status: str, mend: str | None) -> None:
    finding = database.schema(found, "0013_b", embedded=False)
    assert (finding.status, finding.mend) == (status, mend)


def test_an_older_embedded_schema_is_nothing_to_mend_but_a_newer_one_is() -> None:
    assert database.schema("0012_a", "0013_b", embedded=True).status == "ok"
    assert database.schema(None, "0013_b", embedded=True).status == "ok"
    assert database.schema("0014_c", "0013_b", embedded=True).status == "failed"


def test_rights_that_a_role_lacks_are_named_with_the_grant_that_gives_them() -> None:
    found = database.rights(
        replace(SEEN, lacking={"INSERT": "eval_runs", "UPDATE": "eval_runs, spend"}), embedded=False
    )
    assert (found.status, found.seen) == (
        "failed",
        "role evalops lacks INSERT on eval_runs; UPDATE on eval_runs, spend",
    )
    assert "GRANT INSERT, UPDATE ON ALL TABLES IN SCHEMA evalops TO evalops;" in str(found.mend)
    assert "GRANT USAGE" in str(database.rights(replace(SEEN, usage=False), embedded=False).mend)
    assert database.rights(replace(SEEN, usage=None), embedded=False).status == "skipped"


def test_a_superuser_is_warned_of_unless_the_server_is_the_embedded_one() -> None:
    seen = replace(SEEN, superuser=True)
    assert database.rights(seen, embedded=False).status == "warning"
    assert database.rights(seen, embedded=True).status == "ok"
