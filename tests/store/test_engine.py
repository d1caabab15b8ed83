import socket
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import Engine, make_url, text

from evalops_core.errors import ConfigError, DatabaseError
from evalops_core.store.engine import check, make_engine, normalise_url


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_spelling_of_a_url_names_the_driver(scheme: str) -> None:
    url = f"{scheme}://user:p%40ss%25@db.example:5433/evals?sslmode=require"
    assert normalise_url(SecretStr(url)) == "postgresql+psycopg2://user:p%40ss%25@db.example:5433/evals?sslmode=require"
    assert normalise_url(url) == normalise_url(SecretStr(url))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_password_survives_normalising(password: str) -> None:
    url = make_url("postgresql://user@db/evals").set(password=password).render_as_string(hide_password=False)
    assert make_url(normalise_url(url)).password == password


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("mysql://u:hunter2@h/d", "starts with mysql://, which is not PostgreSQL"),
        ("postgresql+asyncpg://u:hunter2@h/d", r"starts with postgresql\+asyncpg://"),
        ("hunter2", "has no scheme"),
        ("postgresql://u:hunter2@h:port/d", "cannot be read"),
        ("postgresql://u:x@hunter2@h/d", "write it as %40"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_showing_it(url: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as refused:
        normalise_url(SecretStr(url))
    assert "hunter2" not in str(refused.value)


def test_sessions_run_in_utc_under_our_name(engine: Engine) -> None:
    with engine.connect() as connection:
        now, zone, name = connection.execute(
            text("SELECT now(), current_setting('TimeZone'), current_setting('application_name')")
        ).one()
    assert now.utcoffset() == timedelta(0)
    assert (zone, name) == ("UTC", "evalops")


def test_the_session_stays_in_utc_after_a_rollback(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        connection.rollback()
        assert connection.execute(text("SHOW TimeZone")).scalar_one() == "UTC"


def test_options_of_the_caller_reach_the_driver(database_url: SecretStr) -> None:
    engine = make_engine(database_url, pool_size=1, connect_args={"application_name": "gate"})
    with engine.connect() as connection:
        assert connection.execute(text("SHOW application_name")).scalar_one() == "gate"
    engine.dispose()


def test_an_application_name_in_the_url_is_kept(database_url: SecretStr) -> None:
    named = make_url(database_url.get_secret_value()).update_query_dict({"application_name": "mine"})
    engine = make_engine(SecretStr(named.render_as_string(hide_password=False)))
    with engine.connect() as connection:
        assert connection.execute(text("SHOW application_name")).scalar_one() == "mine"
    engine.dispose()


def test_a_server_that_is_not_there_is_named_in_one_sentence_without_the_password() -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else can answer there
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        engine = make_engine(SecretStr(f"postgresql://someone:hunter2@127.0.0.1:{port}/evals"))
        with pytest.raises(DatabaseError) as failed:
            check(engine)
    assert str(failed.value) == f"cannot connect to database evals at 127.0.0.1:{port}: Connection refused"


def test_a_wrong_password_is_told_and_not_shown(database_url: SecretStr) -> None:
    url = make_url(database_url.get_secret_value())
    engine = make_engine(SecretStr(url.set(password="hunter2").render_as_string(hide_password=False)))
    with pytest.raises(DatabaseError, match="password authentication failed") as failed:
        check(engine)
    assert f"database {url.database} at 127.0.0.1:{url.port}" in str(failed.value)
    assert "hunter2" not in str(failed.value)


def test_a_missing_database_is_named(database_url: SecretStr) -> None:
    url = make_url(database_url.get_secret_value()).set(database="absent")
    with pytest.raises(DatabaseError, match='database "absent" does not exist'):
        check(make_engine(SecretStr(url.render_as_string(hide_password=False))))


def test_a_connection_lost_in_use_is_told_and_the_next_one_works(engine: Engine, database_url: SecretStr) -> None:
    other = make_engine(database_url)
    with engine.connect() as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        _terminate(other, pid)
        with pytest.raises(DatabaseError, match=r"lost the connection to database .*: (server closed|terminating) "):
            connection.execute(text("SELECT 1"))
    check(engine)
    other.dispose()


def test_a_connection_lost_while_idle_is_replaced_unnoticed(engine: Engine, database_url: SecretStr) -> None:
    other = make_engine(database_url)
    with engine.connect() as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    _terminate(other, pid)
    check(engine)
    other.dispose()


def test_parameters_never_show_in_an_error(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(Exception, match="SELECT") as failed:
        connection.execute(text("SELECT missing FROM nowhere WHERE x = :secret"), {"secret": "hunter2"})
    assert "[SQL parameters hidden" in str(failed.value)


def _terminate(engine: Engine, pid: int) -> None:
    with engine.connect() as connection:
        gone = connection.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid}).scalar_one()
    assert gone
