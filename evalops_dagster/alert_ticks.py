"""What the sensors of scores and mails do in a tick, and what Dagster is told of it.

What belongs here: ticks. What does not: verdicts, incidents and delivery themselves (`evalops_core.run`), the sensors
(alert_sensors). Imported at the first tick, which few of Dagster's processes have.
"""

import json
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timezone

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorStatus, ScheduleInstigatorData

from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.suite import Suite
from evalops_core.domain.window import window_of
from evalops_core.run.deliver import Delivery, deliver
from evalops_core.run.detect import Looked, detect, verdicts_since
from evalops_core.run.watch import watch
from evalops_core.settings import load_settings
from evalops_core.wiring import Workshop, alert_rules, mailer_of, open_workshop
from evalops_dagster.checks import ALERTS_DELIVERED, score_key
from evalops_dagster.features import COVERAGE
from evalops_dagster.jobs import job_name
from evalops_dagster.schedule_ticks import over_budget
from evalops_dagster.schedules import schedule_name
from evalops_dagster.tags import CONFIRMS, GATE, ROOT_RUN, gate_tag
from evalops_dagster.trend import TREND
from evalops_dagster.trend_pages import refreshed
from evalops_dagster.verdict_pages import delivery_facts, evaluation, given_up

_REPORTS = 100  # checks reported in one tick
_DELIVERY_S = 30.0  # Dagster gives a tick 60 s


def judge_new_scores(
    context: dg.SensorEvaluationContext, suites: Mapping[str, Suite], given: Workshop | None
) -> dg.SensorResult:
    """The cursor is the last verdict that this Dagster was told of."""
    with _workshop(given) as workshop:
        rules, scope = alert_rules(workshop.settings, suites), workshop.settings.gate_scope
        looked = detect(
            workshop.engine,
            rules,
            workshop.tools.now(),
            in_progress=lambda: _in_progress(context.instance, workshop),
            cannot_confirm=lambda run: obstacle(run, suites.get(run.feature), workshop),
        )
        told = int(context.cursor) if context.cursor else None
        news = verdicts_since(workshop.engine, told, suites, _REPORTS)
        known = [judged for judged in news if judged.feature in suites]
        shown = refreshed(workshop, suites, (judged.feature for judged in known))
    return dg.SensorResult(
        run_requests=[_second_run(run, suites[run.feature], scope) for run in looked.to_confirm],
        asset_events=[*(evaluation(judged, rules) for judged in known), *shown],
        skip_reason=None if looked.to_confirm else _in_words(looked),
        cursor=str(max((judged.id for judged in news), default=told or 0)),
    )


def deliver_mails(
    context: dg.SensorEvaluationContext,
    suites: Mapping[str, Suite],
    given: Workshop | None,
    hand_over: Callable[..., Delivery] | None,
) -> dg.SensorResult:
    """The cursor holds the given-up mails that this Dagster was last told of, as a JSON list; a tick that died before
    that says so again."""
    with _workshop(given) as workshop:
        rules, mailer = alert_rules(workshop.settings, suites), mailer_of(workshop.settings)
        done = (hand_over or deliver)(workshop.engine, rules, mailer, workshop.tools.now, within_s=_DELIVERY_S)
        dead = given_up(workshop)
    events: list[dg.AssetCheckEvaluation] = []
    if dead != json.loads(context.cursor or "[]") or (done.sent and context.cursor is None):
        facts = delivery_facts(dead)
        events = [dg.AssetCheckEvaluation(asset_key=TREND, check_name=ALERTS_DELIVERED, passed=not dead, **facts)]
    if done.dead:
        context.log.error(str(done))
    return dg.SensorResult(
        asset_events=events, skip_reason=str(done), cursor=json.dumps(dead) if events else context.cursor
    )


def watch_incidents(
    context: dg.SensorEvaluationContext, suites: Mapping[str, Suite], given: Workshop | None
) -> dg.SkipReason:
    """What does not come, what is silenced for too long, whom to remind."""
    with _workshop(given) as workshop:
        scheduled = _scheduled(context.instance, suites.values()) if workshop.settings.scheduled_enabled else {}
        rules = alert_rules(workshop.settings, suites)
        seen = watch(workshop.engine, rules, workshop.tools.now(), scheduled=scheduled)
    lacking = f"no valid data of {', '.join(seen.lacking)}" if seen.lacking else "no feature lacks data"
    return dg.SkipReason(f"{lacking}; {len(scheduled)} features are scheduled, {seen.messages} messages were made")


def obstacle(run: EvalRun, suite: Suite | None, workshop: Workshop) -> str | None:
    """Why no second run may confirm the fall of `run`; None where one may be started."""
    if not workshop.settings.scheduled_enabled:
        return "runs that cost money are off (EVALOPS_SCHEDULED_ENABLED)"
    if suite is None:
        return "its suite is gone"
    if window_of(workshop.tools.now(), suite.interval_hours).key != run.partition_key:
        return "its window has ended"
    spent = over_budget(suite, workshop)
    return spent and f"it is over its budget: {spent}"


def _second_run(run: EvalRun, suite: Suite, gate_scope: str) -> dg.RunRequest:
    """Of that feature alone, by hand as the trend sees it, and behind the same gate."""
    score = score_key(run.feature)
    return dg.RunRequest(
        run_key=f"confirm:{run.id}",
        job_name=job_name(suite.interval_hours),
        partition_key=run.partition_key,
        asset_selection=[dg.AssetKey([run.feature, step]) for step in ("responses", "judgments", "eval_score")],
        asset_check_keys=[dg.AssetCheckKey(score, COVERAGE)],
        tags={CONFIRMS: str(run.id)} | ({} if gate_scope == "all" else {GATE: gate_tag(run.feature)}),
    )


def _workshop(given: Workshop | None) -> AbstractContextManager[Workshop]:
    return open_workshop(load_settings()) if given is None else nullcontext(given)


def _in_progress(instance: dg.DagsterInstance, workshop: Workshop) -> Collection[str]:
    """The runs that hold the gate or wait for it, of any deployment, and the roots of those that this Dagster knows."""
    present = workshop.gate().runs_present()
    known = [run for run in (instance.get_run_by_id(run_id) for run_id in present) if run is not None]
    return present | {run.tags[ROOT_RUN] for run in known if ROOT_RUN in run.tags}


def _scheduled(instance: dg.DagsterInstance, suites: Collection[Suite]) -> dict[str, datetime]:
    """Since when the schedule of each feature is on, of those where it is."""
    on: dict[str, datetime] = {}
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE):
        data = state.instigator_data
        if state.status is InstigatorStatus.RUNNING and isinstance(data, ScheduleInstigatorData):
            since = data.start_timestamp
            if since is not None:
                on[state.instigator_name] = datetime.fromtimestamp(since, timezone.utc)
    names = {suite.feature: schedule_name(suite.interval_hours) for suite in suites}
    return {feature: on[name] for feature, name in names.items() if name in on}


def _in_words(looked: Looked) -> str:
    second = f"; {looked.unconfirmed} wait for a second run" if looked.unconfirmed else ""
    if not looked.judged:
        waits = f"; {looked.waiting} wait for the end of their Dagster run" if looked.waiting else ""
        return f"no new scheduled score{waits}{second}"
    scores = "1 score" if looked.judged == 1 else f"{looked.judged} scores"
    return (
        f"checked {scores}: {looked.regressed} regressed, {looked.opened} incidents opened, "
        f"{looked.recovered} resolved, {looked.messages} messages made{second}"
    )
