"""Kill -9 of code server and daemon at each point between a score and the mail server's answer: each mail comes once.

What belongs here: being struck while an alert is on its way. What does not: mail servers that fail, and deployments
beside each other (test_alerts).

The sensors are the project's, in Dagster's own processes; the mail server stands in for Resend and honours idempotency
keys. A moment is held open by a lock in the database or by the mail server until the processes are dead.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from evalops_core.postgres.server import Started
from tests.acceptance.alert_site import UNREACHABLE, Site, own_resend, site_of, variables
from tests.acceptance.deployments import HeldStatements, awaited
from tests.builders import write_suite
from tests.conftest import new_database

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Struck:
    """A moment that is held open: whether somebody has come to it, and how it ends once they are dead."""

    is_reached: Callable[[], bool]
    end: Callable[[], None]


Moment = Callable[[Site], AbstractContextManager[Struck]]


def statements(*kinds: tuple[Callable[[Site], Engine], str, str]) -> Moment:
    """While statements of all these kinds wait: whose database, which statements, on which rows."""

    @contextmanager
    def moment(site: Site) -> Generator[Struck]:
        with ExitStack() as stack:
            held = [HeldStatements(engine(site), what, when) for engine, what, when in kinds]
            for each in held:
                stack.callback(each.end)
                each.hold()

            def end() -> None:
                for each in held:
                    each.end_those_waiting()
                awaited(lambda: not any(each.is_awaited() for each in held), "the dead ones' statements to end")

            yield Struck(lambda: all(each.is_awaited() for each in held), end)

    return moment


def mail_server(*, mails: int = 0, **behaviour: str | int) -> Moment:
    """While a request is in flight and the server has taken `mails` more."""

    @contextmanager
    def moment(site: Site) -> Generator[Struck]:
        before = len(site.resend.mails())
        site.resend.configure(**behaviour)

        def is_reached() -> bool:
            stats = site.resend.stats()
            return stats["in_flight"] > 0 and stats["mails"] == before + mails

        def end() -> None:
            site.resend.configure(hold="", fault="")
            awaited(lambda: site.resend.stats()["in_flight"] == 0, "the dead one's request to end")

        try:
            yield Struck(is_reached, end)
        finally:
            site.resend.configure(hold="", fault="")

    return moment


def evals(site: Site) -> Engine:
    return site.engine


def dagsters(site: Site) -> Engine:
    return site.dagster_engine


OUTBOX = "UPDATE ON evalops.outbox"
JUDGED = ["no_baseline", "regressed"]
# with what is there afterwards, before the restart: the verdicts, and the messages with the mails taken for each
MOMENTS: dict[str, tuple[Moment, list[str], list[tuple[str, str, int]]]] = {
    "the message is being stored, in a transaction with incident and verdict": (
        statements((evals, "INSERT ON evalops.outbox", "true")),
        [],
        [],
    ),
    "all is stored, the check is being reported and the message is being claimed": (
        statements(
            (dagsters, "INSERT ON event_logs", "NEW.dagster_event_type = 'ASSET_CHECK_EVALUATION'"),
            (evals, OUTBOX, "NEW.attempts > OLD.attempts"),
        ),
        JUDGED,
        [("firing", "due", 0)],
    ),
    "the mail is composed and the server is about to be asked": (
        statements((evals, OUTBOX, "OLD.first_attempt_at IS NULL AND NEW.first_attempt_at IS NOT NULL")),
        JUDGED,
        [("firing", "due", 0)],
    ),
    "the server is being asked and does not take it": (
        mail_server(fault="hang_before", fault_times=1),
        JUDGED,
        [("firing", "due", 0)],
    ),
    "the server has taken it and is about to answer": (
        mail_server(hold="after", mails=1),
        JUDGED,
        [("firing", "due", 1)],
    ),
    "the server has answered and that is being noted": (
        statements((evals, OUTBOX, "NEW.state = 'sent'")),
        JUDGED,
        [("firing", "due", 1)],
    ),
}
FEATURES = {name: f"feature_{number}" for number, name in enumerate(MOMENTS)}


@pytest.fixture(scope="module")
def database(postgres: Started, template_database: str) -> Iterator[SecretStr]:
    yield from new_database(postgres, template_database)


@pytest.fixture(scope="module")
def site(postgres: Started, database: SecretStr, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("alert kills")
    for feature in FEATURES.values():
        write_suite(folder / "suites", UNREACHABLE, feature=feature, cases=1)
    for own in new_database(postgres, "template0"):
        with own_resend() as resend:
            environment = variables(database, folder, resend, UNREACHABLE)
            with site_of(folder / "dagster home", own, database, resend, environment) as site:
                yield site


@pytest.mark.parametrize("name", MOMENTS)
def test_whoever_is_killed_the_regression_comes_to_one_incident_one_failed_check_and_one_mail(
    site: Site, name: str
) -> None:
    moment, verdicts, told = MOMENTS[name]
    feature = FEATURES[name]
    with moment(site) as struck:
        site.regress(feature)
        awaited(struck.is_reached, f"the moment in which {name}")
        site.deployment.kill_daemon()
        site.deployment.kill_code_server()
        struck.end()
    left = site.verdicts(feature), site.told(feature)
    site.deployment.start_code_server()
    site.deployment.start_daemon()
    assert left == (verdicts, told), "they were struck at another moment"
    site.wait_until_told(feature)
    site.wait_for_ticks()
    with_those_before = [feature for feature in FEATURES.values() if site.verdicts(feature)]
    site.assert_told_once(with_those_before)
    assert len(site.resend.mails()) == len(with_those_before)
