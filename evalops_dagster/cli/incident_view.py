"""What `evalops incidents` prints.

What belongs here: an incident's facts in words, and as JSON. What does not: options (incidents), how it is looked up
(run.incident_desk).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import typer

from evalops_core.domain.incident import Incident, Kind, is_silent
from evalops_core.mail.wording import distance
from evalops_core.run.incident_desk import IncidentFile, Listed, how_it_ended
from evalops_dagster.cli.moments import spelt
from evalops_dagster.cli.sheet import print_facts, print_json, print_table, shown

if TYPE_CHECKING:
    from evalops_core.domain.drift.day import DriftDay
    from evalops_core.store.outbox import Message

_FOLDS = {"state": True, "feature": True, "model": True}
_HEADINGS = ("id", "kind", "state", "feature", "model", "reference → current", "since (UTC)", "runs")
_NONE = "–"
# What accepting an incident says; a kind that is not here has no level to accept.
_ACCEPTED: Mapping[Kind, str] = {
    "regression": "the new level is meant: later runs are compared with it",
    "drift": "people ask like this from now on: the days since it opened are the new baseline",
}


def kind_of(incident: Incident) -> str:
    return incident.kind.replace("_", " ")


def state_of(incident: Incident, now: datetime) -> str:
    """`firing`, `silenced until …`, `resolved` or `accepted by …`, and who has taken it on."""
    if not incident.is_open:
        by = f" by {incident.closed_by}" if incident.closed_by else ""
        return f"accepted{by}" if incident.resolution == "accepted" else "resolved"
    silent = incident.silenced_until if is_silent(incident.silenced_until, now) else None
    state = f"silenced until {spelt(silent)}" if silent else "firing"
    by = f", acknowledged by {incident.acknowledged_by or 'somebody'}" if incident.acknowledged_at else ""
    return f"{state}{by}"


def subject_of(incident: Incident) -> str:
    """The feature, and the model where it is of one."""
    return f"{incident.feature} with {incident.model_id}" if incident.model_id else incident.feature


def print_list(found: Sequence[Listed], now: datetime) -> None:
    rows = [
        (
            str(incident.id),
            kind_of(incident),
            state_of(incident, now),
            incident.feature,
            incident.model_id or _NONE,
            _drift_in_short(listed) if incident.kind == "drift" else _scores(incident) or _NONE,
            f"{spelt(incident.opened_at).removesuffix(' UTC')}",
            str(listed.runs) if listed.runs else _NONE,
        )
        for listed in found
        for incident in [listed.incident]
    ]
    print_table({heading: _FOLDS.get(heading, False) for heading in _HEADINGS}, rows)


def print_list_json(found: Sequence[Listed], now: datetime) -> None:
    print_json([_facts(listed, now) for listed in found])


def print_file(found: IncidentFile, now: datetime) -> None:
    incident = found.incident
    typer.echo(f"incident {incident.id}: {kind_of(incident)} of {shown(subject_of(incident))}")
    thing = "day" if incident.kind == "drift" else "run"
    by = "the day" if incident.kind == "drift" else "the run of window"
    print_facts(
        [
            ("state", state_of(incident, now) if incident.is_open else how_it_ended(incident)),
            ("ended by", found.resolved_window and f"{by} {found.resolved_window}"),
            ("since", spelt(incident.opened_at) + (f", {_counted(found.runs, thing)}" if found.runs else "")),
            ("opened by", found.opened_window and f"{by} {found.opened_window}"),
            ("reference", _score_of(incident.reference, found.reference_window)),
            ("current", _score_of(incident.current)),
            ("lowest", _score_of(incident.lowest)),
            ("drift", _last_drift(found)),
            ("recovers at", _recovers_at(found)),
            ("acknowledged", _acknowledged(incident)),
            ("silence", _silence_after(incident, now)),
            *((name, address) for name, address in found.links.items()),
        ]
    )
    if found.verdicts:
        typer.echo("\nruns it has seen")
        headings = {"window (UTC)": False, "score": False, "verdict": True}
        rows = [(v.partition_key, str(v.current), f"{v.outcome.replace('_', ' ')}: {v.why}") for v in found.verdicts]
        print_table(headings, rows)
    if found.drift and found.drift.days:
        typer.echo("\ndays it has seen")
        headings = {"day (UTC)": False, "drift": False, "threshold": False, "state": False, "why": True}
        print_table(headings, [_day(day) for day in reversed(found.drift.days)])
    typer.echo("\nmessages" if found.messages else "\nno messages")
    if found.messages:
        headings = {"id": False, "about": False, "state": False, "to": True, "when (UTC)": False}
        print_table(headings, [_message(message) for message in found.messages])
    typer.echo("what can be done" if incident.is_open else "nothing to do: it is over")
    print_facts(_what_next(incident, now))


def print_file_json(found: IncidentFile, now: datetime) -> None:
    print_json(
        {
            **_facts(found, now),
            "opened_window": found.opened_window,
            "reference_window": found.reference_window,
            "resolved_window": found.resolved_window,
            "recovers_at": found.recovers_at,
            "verdicts": found.verdicts,
            "days": found.drift.days[::-1] if found.drift else (),
            "messages": [_without_mail(message) for message in found.messages],
            "links": dict(found.links),
        }
    )


def _facts(of: Listed | IncidentFile, now: datetime) -> Mapping[str, Any]:
    """`drift` and `threshold` are those of a drift's last compared day."""
    incident, last = of.incident, of.drift and of.drift.last
    silent = incident.is_open and is_silent(incident.silenced_until, now)
    return {
        **dataclasses.asdict(incident),
        "drift": last and last.drift,
        "threshold": last and last.threshold,
        "runs": of.runs,
        "is_open": incident.is_open,
        "is_silent": silent,
    }


def _without_mail(message: "Message") -> Mapping[str, Any]:
    facts = {item.name: getattr(message, item.name) for item in dataclasses.fields(message)}
    return {name: value for name, value in facts.items() if name != "rendered"}


def _message(message: "Message") -> Sequence[str]:
    when = message.sent_at or (message.due_at if message.state == "due" else message.created_at)
    to = message.recipient or "nobody configured"
    state = message.state.replace("_", " ")
    return str(message.id), message.transition, state, to, spelt(when).removesuffix(" UTC")


def _what_next(incident: Incident, now: datetime) -> Sequence[tuple[str, str]]:
    if not incident.is_open:
        return ()
    command, silent = f"  evalops incidents {{}} {incident.id}{{}}", is_silent(incident.silenced_until, now)
    can = [(command.format("ack", ""), "you are on it: no more reminders")]
    can += [(command.format("silence", " --until 3d"), "no mails about it until then")]
    if silent:
        can += [(command.format("unsilence", ""), "mails again")]
    if incident.kind in _ACCEPTED:
        can += [(command.format("accept", ' --reason "…"'), _ACCEPTED[incident.kind])]
    return can


def _drift_in_short(listed: Listed) -> str:
    last = listed.drift and listed.drift.last
    return _NONE if not last else f"{_distance(last.drift)} above {_distance(last.threshold)}"


def _last_drift(found: IncidentFile) -> str | None:
    last = found.drift and found.drift.last
    return last and f"{_distance(last.drift)} on {last.day}, threshold {_distance(last.threshold)}"


def _recovers_at(found: IncidentFile) -> str | None:
    if not found.incident.is_open:
        return None
    if found.incident.kind == "drift":
        return "the first day that is within its threshold"
    return f"{found.recovers_at.normalize():f} or more" if found.recovers_at else None


def _day(day: "DriftDay") -> Sequence[str]:
    return day.day.isoformat(), _distance(day.drift), _distance(day.threshold), day.state or _NONE, day.why


def _distance(value: float | None) -> str:
    return _NONE if value is None else distance(value)


def _scores(incident: Incident) -> str | None:
    if incident.reference is None and incident.current is None:
        return None
    return f"{incident.reference or _NONE} → {incident.current or _NONE}"


def _score_of(score: Decimal | None, window: str | None = None) -> str | None:
    return None if score is None else f"{score}" + (f", of window {window}" if window else "")


def _acknowledged(incident: Incident) -> str | None:
    if incident.acknowledged_at is None:
        return None
    return f"by {incident.acknowledged_by or 'somebody'} on {spelt(incident.acknowledged_at)}"


def _silence_after(incident: Incident, now: datetime) -> str | None:
    """Of one that is over, whose silence holds for the next one."""
    until = incident.silenced_until
    if incident.is_open or until is None or not is_silent(until, now):
        return None
    return f"until {spelt(until)}, also for the next one of its kind"


def _counted(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
