import io
import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from tests.cli.calling import Evalops, Said, settle

NOW = datetime.now(timezone.utc)


@pytest.fixture(autouse=True)
def deployment(database_url: SecretStr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database of the test's own; a suite `orders`."""
    settle(monkeypatch, tmp_path, database_url, cases=2)


def line(number: int, **more: Any) -> str:
    asked = [{"role": "user", "content": f"secret {number}"}]
    row = {"id": f"t{number}", "feature": "orders", "created_at": "2026-11-20T12:00:00Z", "messages": asked}
    return json.dumps(row | more)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "calls.jsonl"
    found.write_text("\n".join([line(1), "secret", line(2), line(2)]))
    return found


def stored(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(text("SELECT id FROM evalops.llm_traces ORDER BY id")))


def test_an_import_says_what_it_came_to_and_names_the_lines_it_skipped(
    evalops: Evalops, engine: Engine, file: Path
) -> None:
    bad = f"{file}:2: expected JSON; found none at column 1\n"
    assert evalops("traces", "import", str(file)) == Said(
        0, "2 traces imported, 1 known already, 1 line skipped\n", bad
    )
    assert evalops("traces", "import", str(file)) == Said(
        0, "0 traces imported, 3 known already, 1 line skipped\n", bad
    )
    assert stored(engine) == ["t1", "t2"]


def test_standard_input_is_read_for_a_dash(evalops: Evalops, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "\n".join([line(number, feature=None) for number in range(1203)] + ["secret"])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    said = evalops("traces", "import", "-", "--feature", "orders")
    assert said == Said(0, "1,203 traces imported, 1 line skipped\n", "-:1204: expected JSON; found none at column 1\n")
    assert len(stored(engine)) == 1203


def test_with_strict_nothing_is_stored_if_a_line_cannot_be_used(evalops: Evalops, engine: Engine, file: Path) -> None:
    said = evalops("traces", "import", str(file), "--strict")
    assert said == Said(2, "", f"error: {file}:2: expected JSON; found none at column 1\n")
    assert stored(engine) == []


def test_it_has_failed_where_no_line_could_be_used(evalops: Evalops, file: Path) -> None:
    file.write_text("secret\n" * 25)
    said = evalops("traces", "import", str(file))
    assert (said.code, said.out) == (2, "0 traces imported, 25 lines skipped\n")
    assert said.err.splitlines()[-1] == f"{file}: 5 lines more with problems"
    assert len(said.err.splitlines()) == 21
    file.write_text("\n")
    assert evalops("traces", "import", str(file)) == Said(0, "0 traces imported\n", "")


def test_spans_that_call_no_model_are_no_mistake(evalops: Evalops, file: Path) -> None:
    file.write_text('{"resourceSpans": []}\n')
    assert evalops("traces", "import", str(file)).out == "0 traces imported, 1 line without a call of a model\n"


def test_a_feature_without_a_suite_is_allowed_and_said(evalops: Evalops, file: Path) -> None:
    file.write_text(line(1, feature="returns"))
    said = evalops("traces", "import", str(file))
    assert said.code == 0
    assert said.out.splitlines() == [
        "1 trace imported",
        "returns has no suite; its traces are kept, and nothing is made of them before it has one.",
    ]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nowhere.jsonl"], "nowhere.jsonl: cannot be read: No such file or directory"),
        (["."], ".: cannot be read: Is a directory"),
        (["-", "--feature", "No Name"], "--feature: a feature is named by lower-case letters"),
    ],
)
def test_what_cannot_be_imported_is_refused_in_a_sentence(evalops: Evalops, arguments: list[str], reason: str) -> None:
    said = evalops("traces", "import", *arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"error: {reason}")
    assert said.err.count("\n") == 1


def test_the_redaction_of_the_settings_is_applied_or_nothing_is_imported(
    evalops: Evalops, engine: Engine, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "masks_of_a_test.py").write_text("def hide(text):\n    return text.replace('secret', '***')\n")
    monkeypatch.setenv("EVALOPS_TRACE_REDACTION", "masks_of_a_test:hides")
    said = evalops("traces", "import", str(file))
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: EVALOPS_TRACE_REDACTION: masks_of_a_test has no plain function hides")
    assert stored(engine) == []
    monkeypatch.setenv("EVALOPS_TRACE_REDACTION", "masks_of_a_test:hide")
    assert evalops("traces", "import", str(file)).code == 0
    with engine.connect() as connection:
        messages = connection.scalar(text("SELECT messages FROM evalops.llm_traces WHERE id = 't1'"))
    assert messages == [{"role": "user", "content": "*** 1"}]


def test_old_traces_are_purged_by_the_setting_or_by_the_option(
    evalops: Evalops, engine: Engine, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = [(NOW - timedelta(days=days, hours=1)).isoformat() for days in (0, 5, 5, 40)]
    file.write_text("\n".join(line(number, created_at=moment) for number, moment in enumerate(moments)))
    evalops("traces", "import", str(file))
    refused = evalops("traces", "purge")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("error: EVALOPS_TRACE_RETENTION_DAYS: is unset, so traces are kept for ever; set it")
    monkeypatch.setenv("EVALOPS_TRACE_RETENTION_DAYS", "30")
    assert evalops("traces", "purge") == Said(0, "1 trace older than 30 days deleted\n", "")
    assert evalops("traces", "purge", "--older-than", "1") == Said(0, "2 traces older than 1 day deleted\n", "")
    assert evalops("traces", "purge", "--older-than", "99999999") == Said(
        0, "0 traces older than 99,999,999 days deleted\n", ""
    )
    assert stored(engine) == ["t0"]
    assert evalops("traces", "purge", "--older-than", "0").code == 2


def test_the_list_shows_how_many_traces_a_feature_has_and_from_when(evalops: Evalops, file: Path) -> None:
    assert evalops("traces", "list").out == "No trace is stored; evalops traces import FILE stores some.\n"
    assert evalops("traces", "list", "--json").out == "[]\n"
    later = line(3, created_at="2026-11-21T08:30:00+01:00")
    file.write_text("\n".join([line(1), later, line(4, feature="returns"), line(5, error="late")]))
    evalops("traces", "import", str(file))
    said = evalops("traces", "list")
    (orders, returns) = [words.split() for words in said.out.splitlines() if "2026" in words]
    assert orders == ["orders", "2", "2026-11-20", "12:00", "UTC", "2026-11-21", "07:30", "UTC"]
    assert returns[:2] == ["returns", "1"]
    first, _ = json.loads(evalops("traces", "list", "--json").out)
    assert first == {
        "feature": "orders",
        "traces": 2,
        "first": "2026-11-20T12:00:00+00:00",
        "last": "2026-11-21T07:30:00+00:00",
    }
