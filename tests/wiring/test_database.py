"""A database of one's own: a role that owns nothing but its schemas, and a lock beside a pooler."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, make_url, text

from evalops_core.errors import ConfigError, DatabaseError
from evalops_core.settings import Settings, load_settings
from evalops_core.store.engine import make_engine
from evalops_core.wiring import Workshop, dagster_url, open_store, upgrade_store, workshop_over
from evalops_dagster.storage import EvalOpsStorage
from tests.store.pooler import transaction_pooler

# docs/database.md has these statements for people
_ROLE = """
    CREATE ROLE {role} LOGIN PASSWORD 'secret' NOSUPERUSER NOCREATEDB NOCREATEROLE;
    REVOKE ALL ON DATABASE {database} FROM PUBLIC;
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    GRANT CONNECT ON DATABASE {database} TO {role};
"""
_SCHEMAS = "CREATE SCHEMA evalops AUTHORIZATION {role}; CREATE SCHEMA dagster AUTHORIZATION {role};"


@pytest.fixture
def role(bare_engine: Engine) -> Iterator[str]:
    """A role that may connect to the bare database, and nothing else."""
    name = f"limited_{bare_engine.url.database}"
    with bare_engine.begin() as connection:
        connection.execute(text(_ROLE.format(role=name, database=bare_engine.url.database)))
    yield name
    with bare_engine.begin() as connection:
        connection.execute(text(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}"))


def settings_of(url: SecretStr, role: str, home: Path) -> Settings:
    own = make_url(url.get_secret_value()).set(username=role, password="secret")
    return load_settings(database_url=SecretStr(own.render_as_string(hide_password=False)), home=home)


def test_a_role_that_owns_only_its_schemas_is_enough(
    bare_engine: Engine, bare_database_url: SecretStr, role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bare_engine.begin() as connection:
        connection.execute(text(_SCHEMAS.format(role=role)))
    settings = settings_of(bare_database_url, role, tmp_path)
    assert settings.database_url is not None
    assert len(upgrade_store(settings)) > 10
    monkeypatch.setenv("EVALOPS_DATABASE_URL", settings.database_url.get_secret_value())
    storage = EvalOpsStorage.from_config_value(None, {})
    assert storage.run_storage.get_runs_count() == 0
    engine = open_store(settings)
    workshop = workshop_over(engine, settings)
    with workshop.gate_of(["explain"]).hold("run", wait_s=0) as held:
        held.verify()
    assert workshop.tools.runs.last_scheduled("explain") is None
    engine.dispose()


def test_a_role_that_may_make_no_schema_is_told_which_statement_makes_it(
    bare_database_url: SecretStr, role: str, tmp_path: Path
) -> None:
    settings = settings_of(bare_database_url, role, tmp_path)
    with pytest.raises(DatabaseError, match=f"CREATE SCHEMA evalops AUTHORIZATION {role}"):
        upgrade_store(settings)
    with pytest.raises(DatabaseError, match=f"CREATE SCHEMA dagster AUTHORIZATION {role}"):
        dagster_url(settings, create=lambda _: None)


def workshop_with(engine: Engine, home: Path, lock: SecretStr) -> Workshop:
    return workshop_over(engine, load_settings(home=home, lock_database_url=lock))


def test_behind_a_pooler_the_gate_is_taken_by_the_url_for_the_lock(database_url: SecretStr, tmp_path: Path) -> None:
    with transaction_pooler(database_url) as pooled, contextlib.closing(_Disposed(pooled)) as behind:
        workshop = workshop_with(behind.engine, tmp_path, database_url)
        with workshop.gate().hold("run", wait_s=5) as held:
            held.verify()


def test_a_url_for_the_lock_that_leads_to_another_database_is_refused(
    engine: Engine, bare_database_url: SecretStr, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"leads to database test_[0-9]+, which is not the store's test_"):
        workshop_with(engine, tmp_path, bare_database_url).gate()


class _Disposed:
    def __init__(self, url: SecretStr) -> None:
        self.engine = make_engine(url)

    def close(self) -> None:
        self.engine.dispose()
