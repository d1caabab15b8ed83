"""Whether the last scheduled cycle was a good one, so that somebody outside may be told that all is well.

What belongs here: that decision, and reading what it needs. What does not: the call (providers), when it is tried (the
sensor). A dead-man's switch fires when it is told nothing, so whatever is in doubt is a reason to say nothing.

A cycle is the scheduled eval runs that were judged since the last ping. It is good where, of every feature, the newest
scheduled run that has ended is complete and judged, whatever the verdict: a score that fell is for the alerts, and
the system that found it works.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Engine

from evalops_core.domain.incident import Incident
from evalops_core.store.alerting import reading
from evalops_core.store.cycles import Course, ScheduledRun, courses, newest_verdict
from evalops_core.store.mail_queue import MailQueue, mail_queue

OVERDUE_AFTER = timedelta(hours=1)  # four times the longest pause between two attempts at a mail
_OPEN_AT_MOST = 1000

RunState = Literal["going on", "succeeded", "failed"]
RunStates = Callable[[str], "RunState | None"]  # by Dagster run; None for one that nobody here knows


@dataclass(frozen=True, slots=True)
class Good:
    """Worth a ping; `verdict` is the newest one that it stands for."""

    verdict: int
    features: tuple[str, ...]

    def __str__(self) -> str:
        return f"the cycle of {', '.join(self.features)} is good"


@dataclass(frozen=True, slots=True)
class Silent:
    """No ping, and why not."""

    why: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known. `broken` are features whose suite cannot be read, `missing` the open incidents of features whose
    data does not come."""

    courses: Sequence[Course]
    missing: Sequence[Incident]
    mail: MailQueue
    broken: Collection[str] = ()


def look(
    engine: Engine, features: Collection[str], broken: Collection[str], told: int, now: datetime, state_of: RunStates
) -> Good | Silent:
    """Decide for the deployment with these features; `told` is the newest verdict of the last ping, 0 before the first.

    Costs one look at an index while nothing was judged since.
    """
    with reading(engine) as tables:
        newest = newest_verdict(tables.connection)
        if newest == told:
            return Silent("no new cycle")
        missing = tables.incidents.listed(kinds=("no_data",), limit=_OPEN_AT_MOST)
        standing = Standing(
            courses(tables.connection, features),
            [incident for incident in missing if incident.feature in {*features, *broken}],
            mail_queue(tables.connection, now),
            broken,
        )
    return decide(standing, told if told < newest else 0, now, state_of)  # else it was another database's


def decide(standing: Standing, told: int, now: datetime, state_of: RunStates) -> Good | Silent:
    """A feature whose missing data was silenced by a person does not count. `state_of` is asked as little as possible.

    A ping that could not be made is worth making until the next cycle is due, and not later.
    """
    ended = [course.ended for course in standing.courses if course.ended is not None]
    new = [run for run in ended if run.verdict_id is not None and run.verdict_id > told]
    if not new:
        return Silent("no new cycle")
    newest = max(new, key=lambda run: run.verdict_id or 0)
    if newest.judged_at is None or now - newest.judged_at > newest.interval:
        return Silent(f"the last cycle, of {newest.feature} in window {newest.partition_key}, is too long ago")
    problem = _problem(standing, {run.eval_run_id for run in new}, now, state_of)
    if problem is not None:
        return Silent(problem)
    return Good(newest.verdict_id or 0, tuple(sorted(run.feature for run in new)))


def _problem(standing: Standing, new: Collection[int], now: datetime, state_of: RunStates) -> str | None:
    excused = {incident.feature for incident in standing.missing if incident.state == "silenced"}
    for feature in sorted(set(standing.broken) - excused):
        return f"the suite of {feature} cannot be read"
    for course in standing.courses:
        if course.newest.feature not in excused:
            problem = _of_feature(course, new, state_of)
            if problem is not None:
                return problem
    for incident in standing.missing:
        if incident.feature not in excused:
            return f"{incident.feature}: its data does not come (incident {incident.id})"
    return _of_mail(standing.mail, now)


def _of_feature(course: Course, new: Collection[int], state_of: RunStates) -> str | None:
    newest, ended = course.newest, course.ended
    if newest.status == "running" and _state(newest, state_of) != "going on":
        return f"{_named(newest)} was cut short"
    if ended is None:
        return None
    if ended.status != "completed":
        return f"{_named(ended)} is {ended.status}"
    if ended.verdict_id is None:
        return f"{_named(ended)} waits for its verdict"
    if ended.eval_run_id in new:
        state = _state(ended, state_of)
        if state == "going on":
            return f"{_named(ended)} belongs to a Dagster run that goes on"
        if state == "failed":
            return f"{_named(ended)} belongs to a Dagster run that failed"
    return None


def _of_mail(mail: MailQueue, now: datetime) -> str | None:
    if mail.given_up_lately:
        return f"{mail.given_up_lately} alert mails were given up in the last week; `evalops alerts list` shows them"
    if mail.owed_since is not None and now - mail.owed_since > OVERDUE_AFTER:
        return f"an alert mail has been due since {mail.owed_since:%Y-%m-%d %H:%M} UTC"
    return None


def _state(run: ScheduledRun, state_of: RunStates) -> RunState | None:
    return None if run.dagster_run_id is None else state_of(run.dagster_run_id)


def _named(run: ScheduledRun) -> str:
    return f"{run.feature}: its run of window {run.partition_key}"
