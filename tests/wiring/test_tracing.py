"""Traces from within an application."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from evalops_core.errors import ConfigError, DatabaseError
from evalops_core.settings import Settings, load_settings
from evalops_core.wiring import TraceWriter, write_trace

ASKED = [{"role": "user", "content": "secret"}]


@pytest.fixture
def settings(database_url: SecretStr, tmp_path: Path) -> Settings:
    return load_settings(database_url=database_url, home=tmp_path)


@pytest.fixture
def writer(settings: Settings) -> Iterator[TraceWriter]:
    with TraceWriter(settings) as writer:
        yield writer


def stored(engine: Engine) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM evalops.llm_traces ORDER BY created_at")).mappings()
        return [dict(row) for row in rows]


def test_a_call_is_stored_with_what_is_known_of_it(engine: Engine, writer: TraceWriter) -> None:
    at = datetime(2026, 11, 24, 12)  # noqa: DTZ001 - without an offset
    given = writer.write("orders", ASKED, id="a", created_at=at, model="gpt", error="late")
    assert given == "a"
    (row,) = stored(engine)
    assert row == {
        "id": "a",
        "feature": "orders",
        "created_at": at.replace(tzinfo=timezone.utc),
        "messages": ASKED,
        "model": "gpt",
        "error": "late",
    }


def test_without_more_it_was_made_now_and_equal_calls_are_two(engine: Engine, writer: TraceWriter) -> None:
    before = datetime.now(timezone.utc)
    ids = {writer.write("orders", ASKED), writer.write("orders", ASKED)}
    rows = stored(engine)
    assert {row["id"] for row in rows} == ids
    assert len(ids) == 2
    assert all(before - timedelta(seconds=1) <= row["created_at"] <= datetime.now(timezone.utc) for row in rows)


def test_an_id_that_is_known_changes_nothing(engine: Engine, writer: TraceWriter) -> None:
    writer.write("orders", ASKED, id="a")
    assert writer.write("returns", ASKED, id="a") == "a"
    assert [row["feature"] for row in stored(engine)] == ["orders"]


def test_many_threads_share_a_writer(engine: Engine, writer: TraceWriter) -> None:
    with ThreadPoolExecutor(8) as threads:
        ids = set(threads.map(writer.write, ["orders"] * 40, [ASKED] * 40))
    assert {row["id"] for row in stored(engine)} == ids
    assert len(ids) == 40


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"feature": "No Name"}, "expected a feature's name, lower-case letters"),
        ({"messages": []}, "expected `messages` to be a list of messages; found an empty one"),
        ({"messages": "secret"}, "expected `messages` to be a list of messages; found text"),
        ({"messages": [{"content": "secret"}]}, "expected message 1 of `messages` to have a role like user"),
        (
            {"messages": [{"role": "user", "content": object()}]},
            "expected `messages` to be a list of objects that JSON",
        ),
        ({"created_at": datetime.now(timezone.utc) + timedelta(days=2)}, "expected a time that is over"),
        ({"id": "x" * 999}, "expected an id of at most 300 characters"),
    ],
)
def test_a_call_that_cannot_be_kept_is_refused_without_its_texts(
    engine: Engine, writer: TraceWriter, given: dict[str, Any], reason: str
) -> None:
    valid: dict[str, Any] = {"feature": "orders", "messages": ASKED}
    with pytest.raises(ValueError, match=reason) as raised:
        writer.write(**(valid | given))
    assert "secret" not in str(raised.value)
    assert stored(engine) == []


def test_texts_go_through_the_redaction(
    engine: Engine, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "masks_of_a_writer.py").write_text("def hide(text):\n    return text.replace('secret', '***')\n")
    redacting = settings.model_copy(update={"trace_redaction": "masks_of_a_writer:hide"})
    write_trace("orders", ASKED, error="secret", settings=redacting)
    (row,) = stored(engine)
    assert (row["messages"], row["error"]) == ([{"role": "user", "content": "***"}], "***")
    with pytest.raises(ConfigError, match="EVALOPS_TRACE_REDACTION: nothing_there cannot be imported"):
        TraceWriter(settings.model_copy(update={"trace_redaction": "nothing_there:f"}))


def test_a_store_that_cannot_be_reached_is_an_error_of_the_database(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"database_url": SecretStr("postgresql://nobody@127.0.0.1:1/nothing")})
    with pytest.raises(DatabaseError, match="cannot connect"):
        write_trace("orders", ASKED, settings=nowhere)


def test_a_process_keeps_one_writer_and_logs_nothing(
    engine: Engine, database_url: SecretStr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALOPS_DATABASE_URL", database_url.get_secret_value())
    said = subprocess.run([sys.executable, "-c", _APPLICATION], check=True, capture_output=True, text=True)
    assert (said.stdout, said.stderr) == ("1\n", "")
    assert len(stored(engine)) == 3


_APPLICATION = """
import logging
import gc

logging.disable(logging.NOTSET)
from evalops_core.wiring import TraceWriter, write_trace

for _ in range(3):
    write_trace("orders", [{"role": "user", "content": "secret"}])
print(sum(isinstance(found, TraceWriter) for found in gc.get_objects()))
"""
