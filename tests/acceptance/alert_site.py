"""A deployment and the mail server that it hands its alerts to, and what became of the regressions that a test makes.

What belongs here: putting the two up beside each other, making regressions, and asking tables, mail server and Dagster
what there is. What does not: what a test expects, and what strikes the processes.
"""

from collections import Counter
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorState, InstigatorTick, SensorInstigatorData, TickStatus
from pydantic import SecretStr
from sqlalchemy import Engine, text

from evalops_core.store.engine import make_engine
from evalops_dagster.checks import NO_REGRESSION, score_key
from tests.acceptance.deployments import Deployment, awaited, deployed
from tests.acceptance.quick_alerts import MODULE
from tests.builders import environment
from tests.mock_resend.fixture import MockResend, start_mock_resend
from tests.run.scored import TEAM, Scored

REGRESSION_SENSOR, DELIVERY_SENSOR = "regression_sensor", "alert_delivery_sensor"
SENSORS = (REGRESSION_SENSOR, DELIVERY_SENSOR)
DAEMON = ("tests.acceptance.quick_daemon", "run")
UNREACHABLE = "http://127.0.0.1:9/v1"  # the endpoint of suites that are not evaluated
_VERDICTS = """
    SELECT v.outcome FROM evalops.verdicts v JOIN evalops.eval_runs r ON r.id = v.eval_run_id
    WHERE r.feature = :feature ORDER BY r.window_start, v.id
"""
_INCIDENTS = "SELECT coalesce(resolution, state) FROM evalops.incidents WHERE feature = :feature ORDER BY id"
_MESSAGES = """
    SELECT o.key, o.transition, o.state FROM evalops.outbox o JOIN evalops.outbox_incidents l ON l.outbox_id = o.id
    JOIN evalops.incidents i ON i.id = l.incident_id WHERE i.feature = :feature ORDER BY o.id, i.id
"""
_EVERYTHING = (
    "SELECT * FROM evalops.verdicts ORDER BY id",
    "SELECT * FROM evalops.incidents ORDER BY id",
    "SELECT * FROM evalops.outbox ORDER BY id",
    "SELECT * FROM evalops.outbox_incidents ORDER BY outbox_id, incident_id",
)


@dataclass(frozen=True)
class Shown:
    """A stored evaluation of `no_regression`; `window` is that of the score, `at` when Dagster was told of it."""

    window: str
    passed: bool
    at: float


@dataclass(frozen=True)
class Site:
    """`engine` connects to the eval database, `dagster_engine` to Dagster's own."""

    deployment: Deployment
    engine: Engine
    dagster_engine: Engine
    resend: MockResend

    def regress(self, feature: str) -> None:
        """Two scheduled runs of no Dagster run's, so that the mail is about no other feature."""
        Scored(self.engine).runs(["4.200", "3.600"], feature=feature)

    def verdicts(self, feature: str) -> list[str]:
        return [row[0] for row in self._rows(_VERDICTS, feature=feature)]

    def incidents(self, feature: str) -> list[str]:
        """The state of each, or how it was resolved."""
        return [row[0] for row in self._rows(_INCIDENTS, feature=feature)]

    def told(self, feature: str, taken: Counter[str] | None = None) -> list[tuple[str, str, int]]:
        """The messages about the feature: transition, state, and how many mails the server has taken for it."""
        mails = self.taken() if taken is None else taken
        return [(row[1], row[2], mails[str(row[0])]) for row in self._rows(_MESSAGES, feature=feature)]

    def taken(self) -> Counter[str]:
        """How many mails the server has taken, by idempotency key."""
        return Counter(mail["key"] for mail in self.resend.mails())

    def messages(self, feature: str) -> list[str]:
        """Their states alone, for those who ask often."""
        return [row[2] for row in self._rows(_MESSAGES, feature=feature)]

    def everything(self) -> list[Any]:
        """Each row of verdicts, incidents and messages, and each mail."""
        return [[tuple(row) for row in self._rows(query)] for query in _EVERYTHING] + self.resend.mails()

    def checks(self, feature: str) -> list[Shown]:
        """What Dagster shows, oldest first."""
        key = dg.AssetCheckKey(score_key(feature), NO_REGRESSION)
        records = self.deployment.instance.event_log_storage.get_asset_check_execution_history(key, limit=1000)
        shown: list[Shown] = []
        for entry in (record.event for record in reversed(records)):
            assert entry is not None
            assert entry.dagster_event is not None
            data = entry.dagster_event.asset_check_evaluation_data
            shown.append(Shown(str(data.metadata["window"].value), data.passed, entry.timestamp))
        return shown

    def shows_failed(self, feature: str) -> bool:
        return any(not check.passed for check in self.checks(feature))

    def wait_until_told(self, feature: str, messages: int = 1) -> None:
        """Until so many are sent and Dagster shows a failed check."""
        awaited(lambda: self.messages(feature) == ["sent"] * messages, f"the mail about {feature}")
        awaited(lambda: self.shows_failed(feature), f"the check of {feature}")

    def assert_told_once(self, features: Collection[str]) -> None:
        """One regression of each: one verdict on it, one incident, one mail, and Dagster shows a failed check."""
        taken = self.taken()
        for feature in features:
            assert self.verdicts(feature) == ["no_baseline", "regressed"], feature
            assert self.incidents(feature) == ["firing"], feature
            assert self.told(feature, taken) == [("firing", "sent", 1)], feature
            assert not self.checks(feature)[-1].passed, feature
        assert set(taken.values()) == {1}, "a mail has arrived more than once"

    def ticks(self, sensor: str, limit: int | None = None) -> Sequence[InstigatorTick]:
        """The latest first; none before the daemon has seen the sensor."""
        state = self._state(sensor)
        if state is None:
            return []
        return self.deployment.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=limit)

    def forget_cursor(self, sensor: str) -> None:
        """As the UI's reset does; to be done while no tick is about to store one."""
        state = self._state(sensor)
        assert state is not None
        assert isinstance(state.instigator_data, SensorInstigatorData)
        assert state.instigator_data.cursor
        forgetful = state.with_data(state.instigator_data._replace(cursor=None))
        self.deployment.instance.update_instigator_state(forgetful)

    def wait_for_ticks(self) -> None:
        """Until each of the sensors has ended a tick that began after now: what was to be done is done."""
        latest = {sensor: max((int(tick.tick_id) for tick in self.ticks(sensor, 1)), default=0) for sensor in SENSORS}
        for sensor, last in latest.items():
            awaited(lambda sensor=sensor, last=last: self._has_ended_one(sensor, last), f"a tick of {sensor}")

    def _has_ended_one(self, sensor: str, after: int) -> bool:
        ended = (TickStatus.SKIPPED, TickStatus.SUCCESS)
        return any(int(tick.tick_id) > after and tick.status in ended for tick in self.ticks(sensor, 5))

    def _state(self, sensor: str) -> InstigatorState | None:
        states = self.deployment.instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
        return next((state for state in states if state.instigator_name == sensor), None)

    def _rows(self, query: str, **values: Any) -> Sequence[Any]:
        with self.engine.connect() as connection:
            return connection.execute(text(query), values).all()


def variables(database: SecretStr, folder: Path, resend: MockResend, models: str) -> dict[str, str]:
    """The environment of a deployment over suites in `folder`/suites, whose mails go to `resend`."""
    return {
        **environment(database, folder / "home", folder / "suites", models),
        "EVALOPS_RESEND_API_KEY": resend.api_key,
        "EVALOPS_RESEND_BASE_URL": resend.base_url,
        "EVALOPS_ALERT_TO": TEAM,
    }


@contextmanager
def own_resend() -> Generator[MockResend]:
    """A mail server that no other test resets."""
    process, resend = start_mock_resend()
    with process:
        try:
            yield resend
        finally:
            process.terminate()


@contextmanager
def site_of(
    folder: Path,
    dagster_database: SecretStr,
    database: SecretStr,
    resend: MockResend,
    own: Mapping[str, str],
    *,
    module: str = MODULE,
) -> Generator[Site]:
    """A deployment with the sensors of `module`, its Dagster home in `folder`, and `own` as its environment."""
    engine, dagster_engine = make_engine(database), make_engine(dagster_database)
    try:
        with deployed(folder, dagster_database, own, module=module, daemon=DAEMON) as deployment:
            yield Site(deployment, engine, dagster_engine, resend)
    finally:
        engine.dispose()
        dagster_engine.dispose()
