import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from evalops_core.store.schema import downgrade, head
from tests.cli.calling import Evalops
from tests.store.pooler import transaction_pooler


@pytest.fixture
def database(database_url: SecretStr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALOPS_DATABASE_URL", database_url.get_secret_value())


@pytest.fixture
def bare_database(bare_database_url: SecretStr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALOPS_DATABASE_URL", bare_database_url.get_secret_value())


@pytest.mark.usefixtures("bare_database")
def test_an_empty_database_is_upgraded_once(evalops: Evalops) -> None:
    assert evalops("db", "current").out == f"empty (this version needs {head()})\n"
    first = evalops("db", "upgrade")
    assert first.code == 0
    assert first.out.splitlines()[0] == "applied 0001_eval_runs"
    assert first.out.splitlines()[-1] == f"the database is at {head()}"
    assert evalops("db", "upgrade").out == f"the database is at {head()}\n"
    assert evalops("db", "current").out == f"{head()} (this version needs {head()})\n"


@pytest.mark.usefixtures("bare_database")
def test_a_command_that_needs_tables_which_are_not_there_names_the_one_that_makes_them(evalops: Evalops) -> None:
    said = evalops("trend")
    assert (said.code, said.out) == (1, "")
    assert said.err == "error: the database has no EvalOps tables yet: run `evalops db upgrade`\n"


@pytest.mark.usefixtures("database")
def test_an_older_database_of_one_s_own_is_left_alone_until_it_is_upgraded(evalops: Evalops, engine: Engine) -> None:
    downgrade(engine, "0002")
    said = evalops("trend")
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        f"error: the database is at revision 0002_add_eval_run_type and {head()} is needed: run `evalops db upgrade`\n"
    )
    assert evalops("db", "upgrade").code == 0
    assert evalops("trend").code == 0


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("command", [["trend"], ["db", "upgrade"]])
def test_a_newer_database_says_which_version_to_install(evalops: Evalops, engine: Engine, command: list[str]) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE evalops.alembic_version SET version_num = '9999_from_the_future'"))
    said = evalops(*command)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("error: the database is at revision 9999_from_the_future, which this version")
    assert said.err.count("\n") == 1


@pytest.mark.usefixtures("database")
def test_a_database_that_can_be_used_passes_the_check_and_one_that_cannot_fails_it(
    evalops: Evalops, engine: Engine
) -> None:
    said = evalops("db", "check")
    assert (said.code, said.err) == (0, "")
    assert said.out == f"the database is at {head()}, as this version needs, and the gate's lock works\n"
    downgrade(engine, "0002")
    said = evalops("db", "check")
    assert (said.code, said.out) == (1, "")
    assert said.err.endswith("is needed: run `evalops db upgrade`\n")


def test_a_database_behind_a_pooler_in_transaction_mode_fails_the_check_until_the_lock_has_a_url(
    evalops: Evalops, database_url: SecretStr, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction_pooler(database_url) as pooled:
        monkeypatch.setenv("EVALOPS_DATABASE_URL", pooled.get_secret_value())
        said = evalops("db", "check")
        assert (said.code, said.err.count("\n")) == (1, 1)
        assert "set EVALOPS_LOCK_DATABASE_URL to the server itself" in said.err
        monkeypatch.setenv("EVALOPS_LOCK_DATABASE_URL", database_url.get_secret_value())
        assert evalops("db", "check").code == 0


def test_a_database_that_cannot_be_reached_is_one_sentence_without_the_password(
    evalops: Evalops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALOPS_DATABASE_URL", "postgresql://me:s3cret@127.0.0.1:1/nowhere")
    said = evalops("db", "current")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("error: cannot connect to database nowhere at 127.0.0.1:1")
    assert said.err.count("\n") == 1
    assert "s3cret" not in said.err


def test_a_setting_that_cannot_be_used_is_named(evalops: Evalops, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALOPS_UI_PORT", "many")
    said = evalops("db", "current")
    assert said.code == 2
    assert said.err.startswith("error: EVALOPS_UI_PORT: ")
