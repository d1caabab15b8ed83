"""From a fallen score to a mail and a failed check, by real daemons: once, whatever is down, late, or done twice.

What belongs here: a mail server that fails, a daemon that is restarted, a second deployment, a lost cursor. What does
not: processes struck while an alert is on its way (test_alert_kills), what is decided and when (tests/run).
"""

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import TickStatus
from pydantic import SecretStr

from evalops_core.domain.window import window_of
from evalops_core.postgres.server import Started
from evalops_core.store.runs import EvalRuns
from tests.acceptance.alert_site import (
    DELIVERY_SENSOR,
    REGRESSION_SENSOR,
    SENSORS,
    UNREACHABLE,
    Site,
    own_resend,
    site_of,
    variables,
)
from tests.acceptance.deployments import awaited
from tests.builders import JUDGED, write_suite
from tests.conftest import new_database
from tests.mock_fixture import MockOpenAI
from tests.mock_resend.fixture import MockResend
from tests.run.scored import Scored

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

CHAIN = ("golden_cases", "responses", "judgments", "eval_score")
MANY = [f"many_{number:02}" for number in range(50)]
MEANWHILE = ["meanwhile_0", "meanwhile_1", "meanwhile_2"]
FAULTS = {  # by feature
    "refused": {"fault": "refuse", "status": 500},
    "limited": {"fault": "refuse", "status": 429, "name": "rate_limit_exceeded", "retry_after": "2"},
    "unheard": {"fault": "reset_before"},
    "unanswered": {"fault": "reset_after"},
}
OUTCOMES = {"refused": "500", "limited": "429", "unheard": "reset_before", "unanswered": "reset_after"}


@pytest.fixture(scope="module")
def database(postgres: Started, template_database: str) -> Iterator[SecretStr]:
    yield from new_database(postgres, template_database)


@pytest.fixture(scope="module")
def resend() -> Iterator[MockResend]:
    with own_resend() as resend:
        yield resend


@pytest.fixture(scope="module")
def environment(
    database: SecretStr, resend: MockResend, mock_process: MockOpenAI, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("alerts")
    for feature in [*MANY, *MEANWHILE, *FAULTS, "hanging", "forgotten"]:
        write_suite(folder / "suites", UNREACHABLE, feature=feature, cases=1)
    write_suite(folder / "suites", UNREACHABLE, feature="sliding", cases=1, yaml=f"{JUDGED}regression: {{drop: 0.3}}\n")
    write_suite(folder / "suites", mock_process.base_url, feature="evaluated", cases=4)
    return variables(database, folder, resend, mock_process.base_url)


@pytest.fixture(scope="module")
def site(
    postgres: Started,
    database: SecretStr,
    resend: MockResend,
    environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("one") / "dagster home"
    for own in new_database(postgres, "template0"):
        with site_of(folder, own, database, resend, environment) as site:
            yield site


@pytest.fixture(autouse=True)
def mail_server_is_well_again(resend: MockResend) -> Iterator[None]:
    yield
    resend.configure(fault="", hold="", retry_after="")


def test_a_mail_server_that_refuses_limits_and_resets_gets_each_mail_once_when_it_is_back(site: Site) -> None:
    for feature, fault in FAULTS.items():
        site.resend.configure(**fault)
        site.regress(feature)
        awaited(lambda feature=feature: site.resend.outcomes().count(OUTCOMES[feature]) >= 2, f"faults: {feature}")
    assert not [state for feature in FAULTS for state in site.messages(feature) if state != "due"]
    for feature in FAULTS:
        awaited(lambda feature=feature: site.shows_failed(feature), f"the check of {feature}")

    site.resend.configure(fault="", retry_after="")
    for feature in FAULTS:
        site.wait_until_told(feature)
    site.wait_for_ticks()
    site.assert_told_once(FAULTS)


@pytest.mark.usefixtures("mock_openai")
def test_while_the_mail_server_hangs_scores_are_compared_and_reported_and_an_eval_run_succeeds(site: Site) -> None:
    site.resend.configure(fault="hang_before")
    site.regress("hanging")
    site.resend.wait_for(in_flight=1, timeout_s=60)
    steps = [dg.AssetKey(["evaluated", step]) for step in CHAIN]
    window = window_of(datetime.now(timezone.utc), 24).key
    run = site.deployment.launch(steps, window, evalops__run_type="scheduled")
    made: list[str] = []
    for feature in MEANWHILE:  # one may fall between two attempts at the mail
        made.append(feature)
        site.regress(feature)
        awaited(lambda feature=feature: site.shows_failed(feature), f"the check of {feature}")
        if during_a_delivery(site, feature):
            break
    else:
        pytest.fail("no check was reported while a mail was being delivered")
    assert site.deployment.wait_for(run) is dg.DagsterRunStatus.SUCCESS, site.deployment.said(run)
    (stored,) = EvalRuns(site.engine).recent("evaluated", 5)
    assert (stored.status, stored.n, stored.n_unscored) == ("completed", 4, 0)
    awaited(lambda: site.verdicts("evaluated") == ["no_baseline"], "the verdict on the eval run")
    assert {state for feature in ("hanging", *made) for state in site.messages(feature)} == {"due"}, "it did not hang"

    site.resend.configure(fault="")
    for feature in ("hanging", *made):
        site.wait_until_told(feature)
    site.assert_told_once(["hanging", *made])


def test_ten_regressed_runs_in_a_row_are_one_mail_and_the_recovery_is_one_however_often_the_daemon_starts_anew(
    site: Site,
) -> None:
    scores = ["4.900", *(f"{4.9 - 0.3 * number:.3f}" for number in range(1, 11)), "4.900"]
    for first, end, restarted in (
        (0, 1, False),
        (1, 2, False),
        (2, 6, True),
        (6, 7, False),
        (7, 11, True),
        (11, 12, True),
    ):
        if restarted:  # these runs end while nobody looks
            site.deployment.kill_daemon()
        Scored(site.engine).runs(scores[first:end], first_day=first, feature="sliding")
        if restarted:
            site.deployment.start_daemon()
        awaited(lambda end=end: len(passed(site, "sliding")) == end, f"the checks of {end} windows")
    awaited(lambda: site.messages("sliding") == ["sent", "sent"], "the mails")
    site.wait_for_ticks()

    assert site.told("sliding") == [("firing", "sent", 1), ("resolved", "sent", 1)]
    assert site.verdicts("sliding") == ["no_baseline", *["regressed"] * 10, "improved"]
    assert site.incidents("sliding") == ["recovered"]
    assert passed(site, "sliding") == [True, *[False] * 10, True]


def test_a_sensor_that_has_lost_its_cursor_shows_the_checks_again_and_changes_nothing_else(site: Site) -> None:
    site.regress("forgotten")
    site.wait_until_told("forgotten")
    site.wait_for_ticks()
    site.deployment.kill_daemon()
    before, shown = site.everything(), len(site.checks("forgotten"))
    site.forget_cursor(REGRESSION_SENSOR)
    site.deployment.start_daemon()
    awaited(lambda: len(site.checks("forgotten")) > shown, "the check to be reported again")
    site.wait_for_ticks()
    assert site.everything() == before
    assert not site.checks("forgotten")[-1].passed
    site.assert_told_once(["forgotten"])


def test_two_deployments_over_one_database_make_of_fifty_regressions_fifty_incidents_and_fifty_mails(
    site: Site, bare_database_url: SecretStr, database: SecretStr, environment: dict[str, str], tmp_path: Path
) -> None:
    mails_before = len(site.resend.mails())
    with site_of(tmp_path / "other", bare_database_url, database, site.resend, environment) as other:
        both = (site, other)
        for each in both:
            each.wait_for_ticks()
        site.resend.configure(hold="before")
        for feature in MANY:
            site.regress(feature)
        site.resend.wait_for(in_flight=2, timeout_s=60)  # each asks for one mail at a time
        site.resend.configure(hold="")
        for each in both:
            for feature in MANY:
                each.wait_until_told(feature)
        for each in both:
            each.wait_for_ticks()
            each.assert_told_once(MANY)
            for sensor in SENSORS:
                failed = [tick.error for tick in each.ticks(sensor) if tick.status is TickStatus.FAILURE]
                assert not failed, failed
        sent = [sum(" sent" in (tick.skip_reason or "") for tick in each.ticks(DELIVERY_SENSOR)) for each in both]
    assert len(site.resend.mails()) == mails_before + len(MANY)
    print(f"ticks that sent mails: {sent}")
    assert all(sent), "only one of them sent mails, so nothing had to keep them apart"


def passed(site: Site, feature: str) -> list[bool]:
    """By window, in their order; a check that was reported again must say the same."""
    found: dict[str, bool] = {}
    for check in site.checks(feature):
        assert found.setdefault(check.window, check.passed) == check.passed, check.window
    return [found[window] for window in sorted(found)]


def during_a_delivery(site: Site, feature: str) -> bool:
    """Whether the check was reported while a tick of the delivery sensor went on."""
    at = next(check.at for check in site.checks(feature) if not check.passed)
    return any(
        tick.timestamp < at and (tick.status is TickStatus.STARTED or at < (tick.end_timestamp or 0))
        for tick in site.ticks(DELIVERY_SENSOR, 20)
    )
