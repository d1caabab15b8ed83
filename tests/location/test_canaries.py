"""No secret is stored or printed: each is planted as a canary, everything is done that could repeat it, and then all
that is kept anywhere is searched.

The endpoints repeat the key that they are sent in their error messages, as real gateways have done.
"""

import logging
import shutil
import sys
import zlib
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import dagster as dg
import pytest
from dagster._utils.error import serializable_error_info_from_exc_info
from pydantic import SecretStr
from sqlalchemy import Engine, make_url, text

from evalops_core.domain.window import window_of
from evalops_core.settings import load_settings
from evalops_core.store.engine import make_engine
from evalops_core.suites.loader import load_suites
from evalops_dagster.definitions import build_definitions
from evalops_dagster.tags import RUN_TYPE
from tests.builders import JUDGED, environment, write_suite
from tests.cli.calling import Evalops, caller
from tests.location.canaries import (
    ADDRESS_PASSWORD,
    DAGSTER_PASSWORD,
    HEARTBEAT_TOKEN,
    KEYS,
    STORE_PASSWORD,
    WRONG_PASSWORD,
    files,
    found,
    rows,
)
from tests.location.conftest import PROJECT
from tests.mock_fixture import MockOpenAI
from tests.mock_resend.fixture import MockResend, mock_resend, resend_process
from tests.run.scored import START, TEAM, Scored

__all__ = ["mock_resend", "resend_process"]

CONTROL = "no-secret-0815"  # the version of the code, which is to be found: the search works
STORE, DAGSTER = "canary_store", "canary_dagster"
EMBEDDED = """\
prompt: [{role: user, content: "%(prompt)s"}]
scorers: [{type: similarity}]
"""
COMMANDS = (
    "settings",
    "settings --markdown",
    "run --feature orders --limit 1",
    "trend --format csv",
    "trend --format json",
    "report -o report.html",
    "incidents",
    "alerts list",
    "alerts show 1",
    "alerts test",
    "compare 1 2 --json",
    "plan-cost",
    "gate status",
    "features list",
    "suites check",
    "suites show orders",
    "traces list",
    "drift",
    "db current",
    "db check",
    "baseline list",
    "doctor",
    "doctor --json",
    "metrics",
    "purge --older-than 90d",
)


@pytest.fixture
def roles(postgres: object, database_url: SecretStr, bare_database_url: SecretStr) -> Iterator[dict[str, str]]:
    """The URLs of both databases for users of their own, whose passwords are canaries."""
    admin = make_engine(database_url)
    given = ((STORE, STORE_PASSWORD, database_url), (DAGSTER, DAGSTER_PASSWORD, bare_database_url))
    with admin.begin() as connection:
        for role, password, _ in given:
            connection.execute(text(f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD '{password}'"))
    yield {
        role: make_url(url.get_secret_value())
        .set(username=role, password=password)
        .render_as_string(hide_password=False)
        for role, password, url in given
    }
    admin.dispose()
    for role, _, url in given:
        engine = make_engine(url)
        with engine.begin() as connection:
            connection.execute(text(f"REASSIGN OWNED BY {role} TO CURRENT_USER"))
        engine.dispose()
    engine = make_engine(database_url)
    with engine.begin() as connection:
        for role, *_ in given:
            connection.execute(text(f"DROP ROLE {role}"))
    engine.dispose()


@pytest.fixture
def planted(
    roles: dict[str, str],
    mock_openai: MockOpenAI,
    mock_resend: MockResend,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A deployment with all secrets; two suites, one with a key of its own, one over the settings' models."""
    home = tmp_path / "dagster home"
    home.mkdir()
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, home)
    suites = tmp_path / "suites"
    own = JUDGED.replace("model: {", "model: {api_key_env: ORDERS_KEY, ")
    write_suite(suites, mock_openai.base_url, cases=3, yaml=own)
    write_suite(suites, mock_openai.base_url, feature="plain", cases=3, yaml=EMBEDDED)
    mock_resend.configure(api_key=KEYS["EVALOPS_RESEND_API_KEY"])
    variables = {
        **environment(SecretStr(roles[STORE]), tmp_path / "home", suites, mock_openai.base_url),
        **KEYS,
        "EVALOPS_DAGSTER_DATABASE_URL": roles[DAGSTER],
        "EVALOPS_LOCK_DATABASE_URL": roles[STORE],
        "EVALOPS_HEARTBEAT_URL": f"http://127.0.0.1:9/ping/{HEARTBEAT_TOKEN}",
        "EVALOPS_MODEL": "mock-model",
        "EVALOPS_MODEL_BASE_URL": mock_openai.base_url,
        "EVALOPS_EMBEDDING_MODEL": "mock-embeddings",
        "EVALOPS_EMBEDDING_BASE_URL": mock_openai.base_url,
        "EVALOPS_RESEND_BASE_URL": mock_resend.base_url,
        "EVALOPS_ALERT_TO": TEAM,
        "EVALOPS_SCHEDULED_ENABLED": "true",
        "EVALOPS_GIT_SHA": CONTROL,
        "EVALOPS_CALL_MAX_ATTEMPTS": "2",
        "EVALOPS_JUDGE_CACHE": "false",  # the judge is to refuse what it has judged before
        "DAGSTER_HOME": str(home),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return home


def test_no_secret_is_stored_or_printed(
    planted: Path,
    roles: dict[str, str],
    mock_openai: MockOpenAI,
    mock_resend: MockResend,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    store, dagster = (make_engine(SecretStr(roles[role])) for role in (STORE, DAGSTER))
    places: dict[str, str] = {}
    with dg.DagsterInstance.from_config(str(planted)) as instance:
        _evaluate(instance, mock_openai)
        places |= _alert(instance, store, mock_resend)
        places |= {f"events of {run.run_id}": str(instance.all_logs(run.run_id)) for run in instance.get_runs()}
    places |= _commands(caller(monkeypatch, capsys), mock_openai, mock_resend)
    with monkeypatch.context() as wrong:
        places |= _wrong_password(wrong, roles[STORE], planted, caller(monkeypatch, capsys))
    places["mails"] = str(mock_resend.mails())
    places["logs"] = caplog.text
    places |= rows(store, "evalops") | rows(dagster, "public") | files(tmp_path)
    store.dispose()
    dagster.dispose()

    assert {place.partition(" ")[0] for place in places if CONTROL in places[place]} >= {"table", "events", "file"}
    assert "answered 401" in places["table evalops.responses"], "the endpoint did not repeat its key"
    assert "***" in places["table evalops.responses"]
    assert "***" in places["table evalops.scores"]
    assert "(Bearer …)" in places["table evalops.outbox"]
    assert "password authentication failed" in places["wrong password: trend"]
    assert "orders" in places["table public.snapshots"], "the snapshots were not unpacked"
    assert found(places) == []


def test_the_search_finds_a_secret_in_a_column_a_snapshot_and_a_file(bare_engine: Engine, tmp_path: Path) -> None:
    key = KEYS["EVALOPS_JUDGE_API_KEY"]
    with bare_engine.begin() as connection:
        connection.execute(text('CREATE TABLE "Kept" (a jsonb, b bytea)'))
        connection.execute(
            text('INSERT INTO "Kept" VALUES (CAST(:a AS jsonb), NULL), (NULL, :b)'),
            {"a": f'{{"error": "Bearer {key[:20]}…"}}', "b": zlib.compress(STORE_PASSWORD.encode())},
        )
    (tmp_path / "a.log").write_text(f"postgresql://{STORE}:{STORE_PASSWORD}@127.0.0.1/x")
    leaks = found(rows(bare_engine, "public") | files(tmp_path))
    assert [leak.partition(":")[0] for leak in leaks] == ["table public.Kept", "table public.Kept", "file a.log"]


def _evaluate(instance: dg.DagsterInstance, mock: MockOpenAI) -> None:
    """A scheduled run of both features with failures that are retried, then runs of each whose keys are refused."""
    suites = load_suites(load_settings().suites)
    now = datetime.now(timezone.utc)
    job = build_definitions(suites=suites, since=now).resolve_job_def("eval_daily")

    def run(*features: str, tags: dict[str, str]) -> bool:
        steps = ("golden_cases", "responses", "judgments", "eval_score", "trend")
        return job.execute_in_process(
            instance=instance,
            partition_key=window_of(now, 24).key,
            asset_selection=[dg.AssetKey([feature, step]) for feature in features for step in steps],
            tags=tags,
            raise_on_error=False,
        ).success

    mock.configure(echo_headers=True, fail_status=503, fail_times=1, retry_after="0")
    assert run(*suites, tags={RUN_TYPE: "scheduled"})
    mock.configure(fail_status=0, require_key=KEYS["ORDERS_KEY"])
    assert run("orders", tags={}), "the judge's key is refused, so its scores are unscored"
    mock.configure(require_key=KEYS["EVALOPS_MODEL_API_KEY"])
    assert run("plain", tags={}), "the embeddings' key is refused, so its scores are unscored"
    mock.configure(require_key="another")
    assert not run("orders", tags={}), "the model's key is refused"
    assert not run("plain", tags={}), "the model's key is refused"


def _alert(instance: dg.DagsterInstance, store: Engine, resend: MockResend) -> dict[str, str]:
    """A regression, its mail refused with the key in the reason, then sent; what the ticks say."""
    Scored(store).runs(["4.200", "3.600"])
    Scored(store).runs(["4.200", "3.600"], feature="other")
    repository = build_definitions(suites=load_suites(load_settings().suites), since=START).get_repository_def()

    def tick(sensor: str) -> str:
        with dg.build_sensor_context(instance=instance, repository_def=repository) as context:
            data = repository.get_sensor_def(sensor).evaluate_tick(context)
        for event in data.asset_events:
            instance.report_runless_asset_event(event)
        return f"{data.skip_message} {data}"

    said = {"tick of regression": tick("regression_sensor"), "tick of watch": tick("incident_watch_sensor")}
    resend.configure(fault="refuse", fault_times=1, status=422, echo_key=True)
    said["tick of refused mails"] = tick("alert_delivery_sensor")
    said["tick of mails"] = tick("alert_delivery_sensor")
    assert resend.mails()
    said["tick of the heartbeat"] = tick("heartbeat_sensor")
    return said


def _commands(evalops: Evalops, mock: MockOpenAI, resend: MockResend) -> dict[str, str]:
    """What commands print, with endpoints that work and with such that refuse and repeat the key."""
    said: dict[str, str] = {}
    for refused, commands in ((False, COMMANDS), (True, ("run --feature orders", "alerts test"))):
        mock.configure(require_key="another" if refused else "")
        resend.configure(fault="refuse" if refused else "", status=403, echo_key=True)
        for command in commands:
            ended = evalops(*command.split())
            said[f"command, {'refused' if refused else 'fine'}: {command}"] = f"{ended.code} {ended.out} {ended.err}"
    return said


def _wrong_password(environment: pytest.MonkeyPatch, url: str, home: Path, evalops: Evalops) -> dict[str, str]:
    """Commands, a run and a tick where the database refuses the password, and addresses that cannot be read."""
    said: dict[str, str] = {}

    def commands(why: str, *names: str) -> None:
        for name in names:
            ended = evalops(*name.split())
            assert ended.code != 0, name
            said[f"{why}: {name}"] = f"{ended.out} {ended.err}"

    suites = load_suites(load_settings().suites)
    wrong = make_url(url).set(password=WRONG_PASSWORD).render_as_string(hide_password=False)
    environment.setenv("EVALOPS_DATABASE_URL", wrong)
    commands(
        "wrong password", "trend", "run --feature orders", "db current", "db upgrade", "report", "alerts list", "doctor"
    )
    repository = build_definitions(suites=suites, since=START).get_repository_def()
    with dg.DagsterInstance.from_config(str(home)) as instance:
        job = build_definitions(suites=suites, since=START).resolve_job_def("eval_daily")
        result = job.execute_in_process(
            instance=instance,
            partition_key=window_of(datetime.now(timezone.utc), 24).key,
            asset_selection=[dg.AssetKey(["orders", "responses"])],
            raise_on_error=False,
        )
        assert not result.success
        said["wrong password: events"] = str(instance.all_logs(result.run_id))
        try:
            with dg.build_sensor_context(instance=instance, repository_def=repository) as context:
                repository.get_sensor_def("regression_sensor").evaluate_tick(context)
        except Exception:  # noqa: BLE001 - whatever it is, it is what the daemon keeps of a tick
            said["wrong password: tick"] = str(serializable_error_info_from_exc_info(sys.exc_info()))
    assert "wrong password: tick" in said
    for broken in (f"postgresql://u:{ADDRESS_PASSWORD}@x@127.0.0.1/db", f"mysql://u:{ADDRESS_PASSWORD}@127.0.0.1/db"):
        environment.setenv("EVALOPS_DATABASE_URL", broken)
        commands(f"address {broken[:5]}", "trend", "db current")
    for variable in ("EVALOPS_JUDGE_BASE_URL", "EVALOPS_MODEL_BASE_URL", "EVALOPS_UI_URL", "EVALOPS_RESEND_BASE_URL"):
        with environment.context() as once:
            once.setenv(variable, f"https://user:{ADDRESS_PASSWORD}@gateway.example/v1")
            commands(variable, "settings")
    return said
