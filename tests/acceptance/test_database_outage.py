"""The database goes away in the middle of everything and comes back: nothing is lost, doubled or left in the way.

What belongs here: the server that is stopped, with the eval store and Dagster's storage in it, while a run calls the
model and a mail is on its way. What does not: processes that are killed (test_gate_processes, test_alert_kills).
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url, text

from evalops_core.domain.window import window_of
from evalops_core.postgres.guard import guarded_server
from evalops_core.postgres.server import EmbeddedServer
from evalops_core.run.tick import decide_tick
from evalops_core.store.engine import make_engine
from evalops_core.store.gate import Gate
from evalops_core.store.results import CaseResults
from evalops_core.store.runs import EvalRuns
from evalops_core.store.schema import upgrade
from evalops_core.suites.loader import load_suites
from tests.acceptance.alert_site import Site, own_resend, site_of, variables
from tests.acceptance.deployments import awaited, is_gone
from tests.acceptance.quick_outage import MODULE
from tests.builders import environment, write_suite
from tests.mock_fixture import MockOpenAI

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

CASES, IN_FLIGHT = 48, 8
CHAIN = ("golden_cases", "responses", "judgments", "eval_score")
STARTED, FAILURE, SUCCESS = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """One of the test's own, with the empty databases `evals`, migrated, and `dagster`."""
    root = tmp_path / "postgres"
    with guarded_server(root) as started:
        maintenance = make_engine(started.url, isolation_level="AUTOCOMMIT")
        with maintenance.connect() as connection:
            for name in ("evals", "dagster"):
                connection.execute(text(f'CREATE DATABASE "{name}"'))
        maintenance.dispose()
        yield EmbeddedServer(root)


@pytest.fixture
def site(server: EmbeddedServer, mock_openai: MockOpenAI, tmp_path: Path) -> Iterator[Site]:
    evals = database(server, "evals")
    engine = make_engine(evals)
    upgrade(engine)
    engine.dispose()
    write_suite(tmp_path / "suites", mock_openai.base_url, cases=CASES)
    with own_resend() as resend:
        own = {
            **variables(evals, tmp_path, resend, mock_openai.base_url),
            **environment(evals, tmp_path / "home", tmp_path / "suites", mock_openai.base_url),
        }
        with site_of(tmp_path / "dagster home", database(server, "dagster"), evals, resend, own, module=MODULE) as site:
            yield site


def test_a_stopped_database_fails_the_run_and_what_was_going_on_goes_on_when_it_is_back(
    site: Site, server: EmbeddedServer, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    deployment, gate = site.deployment, Gate(database(server, "evals"))
    runs, results = EvalRuns(site.engine), CaseResults(site.engine)
    suites = list(load_suites([tmp_path / "suites"]).values())
    now = datetime.now(timezone.utc)
    window = window_of(now, 24).key
    chain = [dg.AssetKey(["orders", step]) for step in CHAIN]

    def answered() -> set[str]:
        run = runs.scheduled("orders", window)
        return {row.case_id for row in results.responses(run.id)} if run else set()

    site.resend.configure(hold="after")
    site.regress("returns")
    awaited(lambda: site.resend.stats()["mails"] == 1, "the mail to be taken, and not yet answered")
    mock_openai.configure(latency_ms=500)
    struck = deployment.launch(chain, window, evalops__run_type="scheduled")
    awaited(answered, "the first answers")
    worker = deployment.worker(struck)
    seen = answered()
    assert site.messages("returns") == ["due"]

    assert server.stop()
    site.resend.configure(hold="")
    awaited(lambda: is_gone(worker), "the worker to give up")
    called = len(mock_openai.requests())
    assert server.start(keep=False)

    for process in deployment.processes.values():
        assert process.poll() is None, "it needs somebody to start it again"
    assert deployment.wait_for(struck) is FAILURE
    # the reaper says so, or before it the code server, if it looks after its child when the database is back
    assert any(words in deployment.said(struck) for words in ("out of reach", "marked as failed from outside"))
    assert gate.holder() is None
    kept = answered()
    assert seen <= kept, "what was stored is lost"
    assert called - len(kept) <= IN_FLIGHT, "more than what was in flight is paid twice"
    assert len(mock_openai.requests()) == called, "it went on calling"

    mock_openai.configure(latency_ms=0)
    assert decide_tick(suites, runs, now, over_budget=lambda _: None).start == ("orders",)
    again = deployment.launch(chain, window, evalops__run_type="scheduled")
    assert deployment.wait_for(again) is SUCCESS
    (finished,) = runs.recent("orders", 10)
    assert (finished.status, finished.n, finished.n_unscored) == ("completed", CASES, 0)
    later = Counter((request["kind"], request["key"]) for request in mock_openai.requests()[called:])
    assert not [case for case in kept if later["generate", case]], "a stored answer was paid again"
    assert sum(later.values()) == 2 * CASES - len(kept)

    awaited(lambda: site.verdicts("orders") == ["no_baseline"], "the verdict on it")
    awaited(lambda: site.messages("returns") == ["sent"], "the mail to be noted as sent")
    site.wait_for_ticks()
    assert site.told("returns") == [("firing", "sent", 1)]
    assert site.verdicts("returns") == ["no_baseline", "regressed"]
    assert len(site.resend.mails()) == 1
    assert [deployment.status(run) for run in (struck, again)] == [FAILURE, SUCCESS]


def database(server: EmbeddedServer, name: str) -> SecretStr:
    url = server.url()
    assert url is not None
    return SecretStr(make_url(url.get_secret_value()).set(database=name).render_as_string(hide_password=False))
