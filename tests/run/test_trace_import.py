"""Lines into the store: streamed, counted, told what is wrong with them, and never twice."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from evalops_core.errors import ConfigError
from evalops_core.run.trace_import import Imported, Problem, import_traces
from evalops_core.traces.call import BadRecordError

NOW = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)


def line(number: int = 1, **more: Any) -> str:
    asked = [{"role": "user", "content": f"secret {number}"}]
    return json.dumps({"id": f"t{number}", "feature": "orders", "created_at": 1795600000, "messages": asked} | more)


def imported(engine: Engine, lines: Iterable[str | bytes], **options: Any) -> Imported:
    return import_traces(engine, lines, now=NOW, **options)


def stored(engine: Engine) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM evalops.llm_traces ORDER BY id")).mappings()
        return [dict(row) for row in rows]


def test_importing_again_stores_nothing_twice_with_ids_or_without(engine: Engine) -> None:
    lines = [line(1), line(2), line(3, id=None), line(3, id=None), line(4, id="")]
    first = imported(engine, lines)
    assert (first.new, first.known, first.bad, first.features) == (4, 1, 0, {"orders": 5})
    again = imported(engine, [item.encode() for item in reversed(lines)])
    assert (again.new, again.known) == (0, 5)
    hashes = [row["id"] for row in stored(engine) if not row["id"].startswith("t")]
    assert [len(name) for name in hashes] == [64, 64]


def test_only_what_the_table_has_is_stored(engine: Engine) -> None:
    imported(engine, [line(model="gpt", error="late", choices=[{"text": "private"}], user="private")])
    (row,) = stored(engine)
    assert row == {
        "id": "t1",
        "feature": "orders",
        "created_at": datetime.fromtimestamp(1795600000, timezone.utc),
        "messages": [{"role": "user", "content": "secret 1"}],
        "model": "gpt",
        "error": "late",
    }


def test_a_bad_line_is_reported_with_its_number_and_skipped(engine: Engine) -> None:
    found = imported(engine, [line(1), "", "  \r\n", "secret", line(2), line(3, messages="secret")])
    assert (found.new, found.bad, found.usable) == (2, 2, 2)
    assert found.problems == (
        Problem(4, "expected JSON; found none at column 1"),
        Problem(6, "expected `messages` to be a list of messages; found text"),
    )
    assert [row["id"] for row in stored(engine)] == ["t1", "t2"]


def test_of_very_many_bad_lines_the_first_are_named_and_all_are_counted(engine: Engine) -> None:
    found = imported(engine, ["secret"] * 50)
    assert (found.bad, found.usable, len(found.problems)) == (50, 0, 20)


def test_with_strict_the_first_bad_line_is_raised_and_nothing_is_stored(engine: Engine) -> None:
    lines = [*map(line, range(2500)), "secret", line(7777)]
    with pytest.raises(ConfigError) as raised:
        imported(engine, lines, strict=True, file=Path("calls.jsonl"))
    assert str(raised.value) == "calls.jsonl:2501: expected JSON; found none at column 1"
    assert stored(engine) == []
    with pytest.raises(ConfigError, match="line 2501: expected JSON"):
        imported(engine, lines, strict=True)
    assert imported(engine, lines[:2500], strict=True).new == 2500


def test_lines_are_streamed_and_each_batch_is_kept_even_if_a_later_one_fails(engine: Engine) -> None:
    ahead: list[int] = []

    def lines() -> Iterator[str]:
        for number in range(5000):
            if number % 500 == 0:
                ahead.append(number - len(stored(engine)))
            yield line(number)
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - as the generator raises it
        imported(engine, lines())
    assert max(ahead) <= 1000
    assert len(stored(engine)) == 5000


def test_large_lines_are_stored_before_there_are_a_thousand(engine: Engine) -> None:
    ahead: list[int] = []

    def lines() -> Iterator[str]:
        for number in range(12):
            ahead.append(number - len(stored(engine)))
            yield line(number, messages=[{"role": "user", "content": "x" * 3_000_000}])

    assert imported(engine, lines()).new == 12
    assert max(ahead) <= 3


@pytest.mark.parametrize(
    ("given", "feature", "reason"),
    [
        (
            {"feature": None},
            None,
            "expected the feature as `feature` or `metadata.feature`, of a span as the attribute",
        ),
        ({"feature": "Our-Orders"}, "orders", "expected a feature's name, lower-case letters, digits and underscores"),
        ({"feature": "my secret"}, None, "letter first, at most 63; found text of 9 characters"),
        ({"created_at": (NOW + timedelta(hours=25)).isoformat()}, None, "expected a time that is over; found one more"),
        ({"id": "x" * 301}, None, "expected an id of at most 300 characters; found 301"),
    ],
)
def test_what_every_trace_must_have_is_told(
    engine: Engine, given: dict[str, Any], feature: str | None, reason: str
) -> None:
    found = imported(engine, [line(**given)], feature=feature)
    assert (found.new, found.bad) == (0, 1)
    assert reason in found.problems[0].reason
    assert "secret" not in found.problems[0].reason


def test_the_option_s_feature_is_that_of_calls_which_name_none(engine: Engine) -> None:
    clocks_differ = (NOW + timedelta(hours=23)).isoformat()
    found = imported(engine, [line(1), line(2, feature=None, created_at=clocks_differ)], feature="returns")
    assert found.features == {"orders": 1, "returns": 1}


def test_what_postgresql_cannot_hold_is_replaced(engine: Engine) -> None:
    nul = [{"role": "user", "content": "a\x00b", "odd\x00": [{"x": "\x00"}]}]
    imported(engine, [line(id="i\x00d", model="m\x00", error="e\x00", messages=nul)])
    (row,) = stored(engine)
    assert (row["id"], row["model"], row["error"]) == ("i\ufffdd", "m\ufffd", "e\ufffd")
    assert row["messages"] == [{"role": "user", "content": "a\ufffdb", "odd\ufffd": [{"x": "\ufffd"}]}]


def test_json_within_a_span_may_be_no_deeper_than_a_line(engine: Engine) -> None:
    deep = '[{"role": "user", "content": ' + "[" * 500 + "]" * 500 + "}]"
    span = {"context": {}, "attributes": {"gen_ai.prompt": deep}, "start_time": 1795600000}
    found = imported(engine, [json.dumps(span)], feature="orders")
    assert found.problems == (Problem(1, "expected at most 64 levels of lists and objects; found more"),)


def test_texts_are_redacted_before_anything_is_stored_or_said(engine: Engine) -> None:
    def redact(given: str) -> str:
        if "unreadable" in given:
            raise BadRecordError("expected ours:f to return the redacted text; it raised ValueError")
        return given.replace("secret", "***")

    lines = [
        line(1, error="secret", model="secret"),
        line(2, messages=[{"role": "user", "content": "unreadable"}]),
        line(3, feature="Secret!secret"),
    ]
    found = imported(engine, lines, redact=redact)
    (row,) = stored(engine)
    assert (row["messages"], row["error"]) == ([{"role": "user", "content": "*** 1"}], "***")
    assert row["model"] == "secret", "a model's name is no text"
    assert found.problems[0] == Problem(2, "expected ours:f to return the redacted text; it raised ValueError")
    assert found.problems[1].reason.endswith("found 'Secret!***'")


def test_an_id_is_made_of_the_redacted_content_so_that_nothing_can_be_guessed_from_it(engine: Engine) -> None:
    def redact(_: str) -> str:
        return "***"

    found = imported(engine, [line(1, id=None), line(2, id=None)], redact=redact)
    assert (found.new, found.known) == (1, 1)


def test_a_line_of_many_spans_is_counted_once_and_used_as_far_as_it_goes(engine: Engine) -> None:
    asking = {"key": "gen_ai.prompt", "value": {"stringValue": "secret"}}
    feature = {"key": "evalops.feature", "value": {"stringValue": "orders"}}
    good, bad = [
        {"traceId": "01", "spanId": "02", "startTimeUnixNano": "1795600000000000000", "attributes": attributes}
        for attributes in ([asking, feature], [asking])
    ]
    other = {"traceId": "01", "spanId": "03", "attributes": []}

    def export(*spans: Any) -> str:
        return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})

    found = imported(engine, [export(good, bad, bad, other), export(other), export(bad)])
    assert (found.new, found.bad, found.partly, found.silent, found.usable) == (1, 2, 1, 1, 2)
    assert found.problems[0].reason.endswith("for all by --feature; found none (the first problem of 2 in the line)")


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", "\ufeff"])
def test_a_file_may_begin_with_the_mark_of_its_encoding(engine: Engine, mark: str | bytes) -> None:
    first = mark + line().encode() if isinstance(mark, bytes) else mark + line()
    assert imported(engine, [first]).new == 1
