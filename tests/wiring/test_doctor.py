"""The doctor's rounds over real parts: none can hold up or hide another, and no secret gets out."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from evalops_core.run.doctor.background import no_tables
from evalops_core.run.doctor.finding import Finding, failed
from evalops_core.settings import Settings, load_settings
from evalops_core.wiring import dagster_tables, examine
from tests.builders import write_suite


@pytest.fixture
def settings(database_url: SecretStr, tmp_path: Path) -> Settings:
    write_suite(tmp_path / "suites", "http://127.0.0.1:9/v1", cases=1)
    return load_settings(home=tmp_path / "home", suites=(tmp_path / "suites",), database_url=database_url)


def by_name(findings: Sequence[Finding]) -> dict[str, Finding]:
    return {found.name: found for found in findings}


def test_a_part_that_does_not_end_is_a_failed_finding_and_holds_up_nobody(settings: Settings) -> None:
    let_go = threading.Event()

    def hangs(_: SecretStr | None) -> Sequence[Finding]:
        let_go.wait()
        return []

    try:
        found = by_name(examine(settings, hangs, patience_s=5))
    finally:
        let_go.set()
    assert found["dagster"].status == "failed"
    assert found["dagster"].seen == "there was no answer within 5 s"
    assert found["disk"].seen.startswith("EVALOPS_HOME ")


def test_a_check_that_raises_is_a_failed_finding_and_the_others_are_known(settings: Settings) -> None:
    def raises(_: SecretStr | None) -> Sequence[Finding]:
        raise ZeroDivisionError("of a kind\nthat nobody foresaw")

    found = by_name(examine(settings, raises))
    assert found["daemon"].seen == "the check itself failed, with ZeroDivisionError: of a kind"
    assert (found["schema"].status, found["lock"].status) == ("ok", "ok")


def test_a_secret_that_a_check_let_slip_is_taken_out_and_so_is_a_line_break(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-1")
    monkeypatch.setenv("RESEND_API_KEY", "re_planted_2")
    given = settings.model_copy(
        update={
            "judge_api_key": SecretStr("judge-planted-3"),
            "resend_base_url": "http://127.0.0.1:9",
            "dagster_database_url": SecretStr("postgresql://me:pl%40nted-4@127.0.0.1:9/d"),
        }
    )
    slip = "sk-planted-1\nre_planted_2 judge-planted-3 pl%40nted-4 pl@nted-4"
    found = by_name(examine(given, lambda _: [failed("dagster", slip, slip)]))["dagster"]
    assert (found.seen, found.mend) == ("*** *** *** *** ***", "*** *** *** *** ***")


def test_an_embedded_server_that_cannot_be_had_leaves_the_other_checks(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    given = settings.model_copy(update={"database_url": None, "home": tmp_path / "taken"})
    found = by_name(examine(given, lambda _: no_tables()))
    assert found["database"].status == "failed"
    assert found["schema"].status == "skipped"
    assert found["suites"].status == "ok"


def test_dagster_s_tables_are_looked_for_and_never_made(settings: Settings, engine: Engine) -> None:
    assert dagster_tables(settings, settings.database_url) is None
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'dagster%'")) == 0
    assert dagster_tables(settings.model_copy(update={"database_url": None}), None) is None
