"""The gate as a run's resource: held for the whole run, and free again however it fails in a process that lives on.

Processes that die are another matter: see `tests/acceptance/test_gate_processes.py`.
"""

import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url, text

from evalops_core.domain.suite import Suite
from evalops_core.domain.window import window_of
from evalops_core.store.engine import make_engine
from evalops_core.wiring import GateError, Held, Workshop
from evalops_dagster.definitions import build_definitions
from evalops_dagster.resources import gate_resource
from tests.builders import make_suite
from tests.mock_fixture import MockOpenAI

CHAIN = ("golden_cases", "responses", "judgments", "eval_score")
SCORED_BY_HAND = """\
description: Answers questions about orders.
model: {name: mock-model, base_url: "%(base_url)s"}
prompt:
  - {role: user, content: "%(prompt)s"}
scorers:
  - {type: python, function: "by_hand:score"}
repeats: %(repeats)d
interval: 24
"""


@pytest.fixture
def suite(mock_openai: MockOpenAI, tmp_path: Path) -> Suite:
    return make_suite(tmp_path / "suites", mock_openai.base_url, cases=4)


def materialize(suite: Suite, workshop: Workshop, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    definitions = build_definitions(suites={suite.feature: suite}, since=workshop.tools.now(), workshop=workshop)
    return definitions.resolve_job_def("eval_daily").execute_in_process(
        instance=instance,
        partition_key=window_of(workshop.tools.now(), suite.interval_hours).key,
        asset_selection=[dg.AssetKey([suite.feature, step]) for step in CHAIN],
        raise_on_error=False,
    )


def why(result: dg.ExecuteInProcessResult) -> str | None:
    """What the first failed step says, in its own words."""
    data = next(event for event in result.all_events if event.is_step_failure).step_failure_data
    return data.user_failure_data.description if data.user_failure_data else None


def test_it_is_held_by_the_dagster_run_from_the_first_step_to_the_last_and_free_afterwards(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    holders: list[str | None] = []
    watched = workshop.gate()

    @dg.asset(key_prefix="watch", deps=[dg.AssetKey(["orders", "eval_score"])])
    def last() -> None:
        holder = watched.holder()
        holders.append(holder and holder.run)

    definitions = build_definitions(suites={"orders": suite}, since=workshop.tools.now(), workshop=workshop)
    both = dg.Definitions.merge(definitions, dg.Definitions(assets=[last]))
    job = both.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=instance,
        partition_key=window_of(workshop.tools.now(), suite.interval_hours).key,
        asset_selection=[dg.AssetKey(["orders", step]) for step in CHAIN] + [last.key],
    )
    assert holders == [result.run_id]
    assert workshop.gate().holder() is None


def test_a_scorer_s_file_that_broke_since_the_suite_was_loaded_leaves_it_free(
    workshop: Workshop, instance: dg.DagsterInstance, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    folder = tmp_path / "suites" / "orders"
    folder.mkdir(parents=True)
    (folder / "by_hand.py").write_text("def score(answer, case):\n    return 5\n")
    suite = make_suite(tmp_path / "suites", mock_openai.base_url, cases=4, yaml=SCORED_BY_HAND)
    (folder / "by_hand.py").write_text("def score(answer, case)\n")
    result = materialize(suite, workshop, instance)
    assert not result.success
    assert "by_hand cannot be imported (SyntaxError" in (why(result) or "")
    assert not mock_openai.requests()
    assert workshop.gate().holder() is None
    (folder / "by_hand.py").write_text("def score(answer, case):\n    return 5\n")
    assert materialize(suite, workshop, instance).success


def test_a_resource_that_fails_after_it_was_taken_leaves_it_free(
    workshop: Workshop, instance: dg.DagsterInstance
) -> None:
    @dg.resource(required_resource_keys={"gate"})
    def broken(_: dg.InitResourceContext) -> Iterator[None]:
        assert workshop.gate().holder() is not None
        raise RuntimeError("no such thing")
        yield

    @dg.asset
    def needs_both(gate: dg.ResourceParam[Held], broken: dg.ResourceParam[None]) -> None:
        raise AssertionError("nothing may run")

    result = dg.materialize(
        [needs_both],
        instance=instance,
        resources={"evalops": workshop, "gate": gate_resource({}), "broken": broken},
        raise_on_error=False,
    )
    assert not result.success
    assert workshop.gate().holder() is None


def test_a_database_that_goes_away_after_it_was_taken_leaves_it_free_when_it_is_back(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance, database_url: SecretStr
) -> None:
    @dg.asset(deps=[])
    def gone(gate: dg.ResourceParam[Held]) -> None:
        with shut(database_url):
            with pytest.raises(GateError):
                gate.verify()
            raise RuntimeError("the database is gone")

    with dg.DagsterInstance.ephemeral() as elsewhere:
        result = dg.materialize(
            [gone],
            instance=elsewhere,
            resources={"evalops": workshop, "gate": gate_resource({})},
            raise_on_error=False,
        )
    assert not result.success
    assert workshop.gate().holder() is None
    assert materialize(suite, workshop, instance).success


def test_a_gate_that_stays_held_fails_the_run_with_a_sentence_that_names_the_holder(
    suite: Suite, workshop: Workshop, instance: dg.DagsterInstance, mock_openai: MockOpenAI
) -> None:
    hasty = Workshop(workshop.settings.model_copy(update={"gate_wait_s": 0.1}), workshop.engine, workshop.tools)
    with workshop.gate().hold("the-other-run", wait_s=0):
        result = materialize(suite, hasty, instance)
    assert not result.success
    said = [entry.user_message or "" for entry in instance.all_logs(result.run_id)]
    assert any("the-other-run" in words and socket.gethostname()[:8] in words for words in said)
    assert not mock_openai.requests()
    assert workshop.tools.runs.recent("orders", 5) == []


@contextmanager
def shut(url: SecretStr) -> Generator[None, None, None]:
    """Nobody is connected to the database, and nobody can be."""
    mine = make_url(url.get_secret_value())
    elsewhere = SecretStr(mine.set(database="postgres").render_as_string(hide_password=False))
    admin = make_engine(elsewhere, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f'ALTER DATABASE "{mine.database}" ALLOW_CONNECTIONS false'))
        ended = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
        connection.execute(ended, {"name": mine.database})
        try:
            yield
        finally:
            connection.execute(text(f'ALTER DATABASE "{mine.database}" ALLOW_CONNECTIONS true'))
    admin.dispose()
