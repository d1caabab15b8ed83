"""The metrics: what each says of a real database, and what is missing rather than 0."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy import Engine

from evalops_core.domain.budget import Charge
from evalops_core.domain.chat import Usage
from evalops_core.run.metrics import METRICS, MetricsCollector
from evalops_core.settings import load_settings
from evalops_core.store.alerting import alerting
from evalops_core.store.gate import Gate
from evalops_core.store.outbox import Outbox, enqueue
from evalops_core.store.spend import SpendLedger
from evalops_core.wiring import MetricsSource
from tests.run.scored import START, TEAM, Scored

DOCS = Path(__file__).parents[2] / "docs" / "monitoring.md"
NOBODY_THERE = SecretStr("postgresql://me:secret-word@127.0.0.1:9/evalops")


def scraped(url: SecretStr, *gates: str) -> Mapping[str, float]:
    """What a scrape gives, read by Prometheus' own parser: `name{label="value"}` → value."""
    source = MetricsSource(load_settings(database_url=url), gates or ("evalops",))
    registry = CollectorRegistry()
    registry.register(MetricsCollector(source.read))
    try:
        page = generate_latest(registry).decode()
    finally:
        source.close()
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(page):
        assert (family.type, bool(family.documentation)) == ("gauge", True)
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


@pytest.fixture
def today() -> int:
    """The day whose window is open, as `Scored` counts."""
    return (datetime.now(timezone.utc) - START).days


def test_a_feature_shows_its_newest_valid_run_and_when_the_newest_ended(
    engine: Engine, database_url: SecretStr, today: int
) -> None:
    scored = Scored(engine)
    scored.runs(["4.200", "3.600"], first_day=today - 2)
    last = scored.run(today, None, status="invalid")
    found = scraped(database_url)
    assert last.finished_at is not None
    explain = {name.partition("{")[0]: value for name, value in found.items() if name.endswith('{feature="explain"}')}
    assert explain == {
        "evalops_interval_seconds": 86_400,
        "evalops_last_run_timestamp_seconds": last.finished_at.timestamp(),
        "evalops_last_success_timestamp_seconds": (last.finished_at - timedelta(days=1)).timestamp(),
        "evalops_score": 3.6,
        "evalops_score_standard_error": 0.1,
        "evalops_coverage_ratio": 1.0,
    }, "no price is known, so there is no cost"
    assert (found["evalops_up"], found["evalops_unjudged_runs"]) == (1, 2)


def test_what_was_never_valid_or_is_long_gone_has_no_score(engine: Engine, database_url: SecretStr, today: int) -> None:
    scored = Scored(engine)
    scored.run(today, "4.000", feature="by_hand", run_type="manual")
    scored.run(today, None, feature="torn", status="invalid")
    scored.run(today - 32, "4.000", feature="removed")
    found = scraped(database_url)
    assert 'evalops_last_run_timestamp_seconds{feature="torn"}' in found
    assert not [name for name in found if name.startswith(("evalops_score", "evalops_last_success"))]
    assert not [name for name in found if "by_hand" in name or "removed" in name]


def test_spending_of_unknown_price_is_counted_and_not_0_usd(engine: Engine, database_url: SecretStr) -> None:
    day, usage = datetime.now(timezone.utc).date(), Usage(10, 2)

    def charge(cost: str | None, of: date = day) -> Charge:
        return Charge("eval.judge", "m", of, usage, None if cost is None else Decimal(cost))

    ledger = SpendLedger(engine)
    ledger.add("priced", [charge("0.25"), charge("0.5"), charge("9", day - timedelta(days=1))])
    ledger.add("unpriced", [charge(None)])
    found = scraped(database_url)
    spent = {name: value for name, value in found.items() if "today" in name}
    assert spent == {
        'evalops_spend_today_usd{feature="priced",purpose="eval.judge"}': 0.75,
        'evalops_unpriced_calls_today{feature="priced",purpose="eval.judge"}': 0,
        'evalops_unpriced_calls_today{feature="unpriced",purpose="eval.judge"}': 1,
    }


def test_open_incidents_and_mails_are_counted_and_closed_ones_are_not(
    engine: Engine, database_url: SecretStr, today: int
) -> None:
    Scored(engine).run(today, "4.000")
    now = datetime.now(timezone.utc)
    with alerting(engine) as tables:
        for model in ("small", "large", "old"):
            incident = tables.incidents.open_one("regression", "explain", model, now)
            assert incident is not None
            if model == "old":
                tables.incidents.close(incident.id, "recovered", now)
                continue
            enqueue(tables.connection, "firing", TEAM, [incident.id], now - timedelta(minutes=model == "large" and 90))
        silent = tables.incidents.open_one("drift", "explain", None, now)
        assert silent is not None
        tables.incidents.silence(silent.id, now + timedelta(days=1))
    found = scraped(database_url)
    open_ones = {name: value for name, value in found.items() if name.startswith("evalops_open_incidents") and value}
    assert open_ones == {
        'evalops_open_incidents{feature="explain",kind="regression",state="firing"}': 2,
        'evalops_open_incidents{feature="explain",kind="drift",state="silenced"}': 1,
    }
    assert found['evalops_open_incidents{feature="explain",kind="no_data",state="firing"}'] == 0
    assert found['evalops_outbox_messages{state="due"}'] == 2
    assert found["evalops_outbox_oldest_due_age_seconds"] == pytest.approx(90 * 60, abs=60)
    for message in Outbox(engine).listed():
        Outbox(engine).ended(message.id, "dead", "refused")
    found = scraped(database_url)
    assert (found['evalops_outbox_messages{state="dead"}'], found['evalops_outbox_messages{state="due"}']) == (2, 0)
    assert "evalops_outbox_oldest_due_age_seconds" not in found, "nothing waits"


def test_each_gate_that_is_asked_after_says_whether_it_is_held_and_for_how_long(database_url: SecretStr) -> None:
    with Gate(database_url, "evalops explain").hold("run-1", wait_s=0):
        found = scraped(database_url, "evalops", "evalops explain")
    gates = {name: value for name, value in found.items() if name.startswith("evalops_gate")}
    assert gates.pop('evalops_gate_held_seconds{gate="evalops explain"}') < 60
    assert gates == {'evalops_gate_held{gate="evalops"}': 0, 'evalops_gate_held{gate="evalops explain"}': 1}


def test_a_database_that_is_down_gives_up_0_and_says_so_once_without_its_password(
    database_url: SecretStr, caplog: pytest.LogCaptureFixture
) -> None:
    found = scraped(NOBODY_THERE)
    assert {name.partition("{")[0] for name in found} == {"evalops_up", "evalops_build_info"}
    assert found["evalops_up"] == 0
    url = NOBODY_THERE
    collector = MetricsCollector(lambda: MetricsSource(load_settings(database_url=url), ()).read())
    caplog.clear()
    for _ in range(2):
        list(collector.collect())
    url = database_url
    list(collector.collect())
    down, up = (record.getMessage() for record in caplog.records)
    assert down.startswith(
        "the metrics lack everything but evalops_up: cannot connect to database evalops at 127.0.0.1"
    )
    assert up == "the metrics are complete again"
    assert "secret-word" not in caplog.text


def test_another_schema_is_as_bad_as_no_database_and_is_named(bare_database_url: SecretStr) -> None:
    found = scraped(bare_database_url)
    assert found["evalops_up"] == 0
    (schema,) = [name for name in found if name.startswith("evalops_schema_info")]
    assert 'revision="empty"' in schema
    assert len(found) == 3


def test_an_embedded_server_that_is_not_running_is_down_and_is_not_started(tmp_path: Path) -> None:
    source = MetricsSource(load_settings(home=tmp_path / "home"))
    registry = CollectorRegistry()
    registry.register(MetricsCollector(source.read))
    assert b"evalops_up 0.0" in generate_latest(registry)
    assert not (tmp_path / "home").exists()


def test_the_documentation_lists_each_metric_as_the_code_has_it() -> None:
    rows = [line for line in DOCS.read_text().splitlines() if line.startswith("| `evalops_")]
    listed = [
        f"| `{metric.name}` | {', '.join(f'`{label}`' for label in metric.labels) or '–'} | {metric.meaning} |"
        for metric in METRICS
    ]
    assert rows == listed
