"""`evalops incidents`: conditions that last, and what people do about them.

What belongs here: the commands and their options. What does not: what is done (run.incident_desk), how it is printed
(incident_view).
"""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from evalops_core.domain.incident import Incident
    from evalops_core.settings import Settings
    from evalops_core.wiring import Workshop

app = typer.Typer(help="Incidents: list, show, take on, silence, accept. Without a command: list.")

LARGEST_ID = 2**63 - 1
Id = Annotated[int, typer.Argument(metavar="ID", min=1, max=LARGEST_ID, help="As `evalops incidents list` shows it.")]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who does it; your login name without it.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.callback(invoke_without_command=True)
def incidents(context: typer.Context) -> None:
    """Conditions that last: quality that has dropped and stays low, data that does not come, users asking otherwise."""
    if context.invoked_subcommand is None:
        list_()


@app.command("list", short_help="List the incidents, the open ones.")
def list_(
    feature: Annotated[str | None, typer.Option(metavar="NAME", help="Of this feature only.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="How many, newest first.")] = 100,
    as_json: Json = False,
) -> None:
    """List the incidents that are open, newest first.

    \b
      evalops incidents list
      evalops incidents list --feature explain --all
    """
    from evalops_core.run.incident_desk import list_incidents
    from evalops_dagster.cli.incident_view import print_list, print_list_json

    with _store() as (settings, workshop):
        found = list_incidents(workshop.engine, feature=feature, only_open=not every, limit=limit)
        if feature is not None and not found:
            _ensure_known(feature, settings, workshop)
        now = workshop.tools.now()
    if as_json:
        print_list_json(found, now)
    elif found:
        print_list(found, now)
    else:
        of = f" of {feature}" if feature else ""
        typer.echo(
            f"There has been no incident{of} yet."
            if every
            else f"No incident{of} is open; `evalops incidents list --all` shows those that are over."
        )


@app.command(short_help="Show everything about one incident.")
def show(incident_id: Id, *, as_json: Json = False) -> None:
    """Show everything about one incident: scores, runs or days, messages, links, and what can be done.

    \b
      evalops incidents show 3
    """
    from evalops_core.run.incident_desk import incident_file
    from evalops_core.wiring import alert_rules, read_suites
    from evalops_dagster.cli.incident_view import print_file, print_file_json

    with _store() as (settings, workshop):
        rules = alert_rules(settings, read_suites(settings).usable)
        found = incident_file(workshop.engine, incident_id, rules)
        now = workshop.tools.now()
    (print_file_json if as_json else print_file)(found, now)


@app.command(short_help="Say that you are on it: no more reminders.")
def ack(incident_id: Id, by: By = None) -> None:
    """Acknowledge an incident: somebody is on it, and no more reminders are sent.

    \b
      evalops incidents ack 3
      evalops incidents ack 3 --by ann
    """
    from evalops_core.run.incident_desk import acknowledge
    from evalops_dagster.cli.person import person
    from evalops_dagster.cli.sheet import shown

    who = person(by)
    with _store() as (_, workshop):
        acknowledge(workshop.engine, incident_id, who, workshop.tools.now())
    typer.echo(f"incident {incident_id} is acknowledged by {shown(who)}: no more reminders")


@app.command(short_help="Send no mails about it until a moment.")
def silence(
    incident_id: Id,
    until: Annotated[
        str, typer.Option(metavar="WHEN", help="A date, a date and time (UTC or with an offset), or a span like 3d.")
    ],
) -> None:
    """Send no mails about an incident until a moment; nor about the next one of its kind, feature and model.

    A span is a number of minutes, hours, days or weeks: 90m, 12h, 3d, 2w.

    \b
      evalops incidents silence 3 --until 3d
      evalops incidents silence 3 --until 2026-12-01
      evalops incidents silence 3 --until 2026-12-01T09:00+01:00
    """
    from evalops_core.errors import ConfigError
    from evalops_core.run.incident_desk import silence as quieten
    from evalops_dagster.cli.moments import future_moment, spelt

    try:
        moment = future_moment(until, datetime.now(timezone.utc))
    except ValueError as error:
        raise ConfigError(str(error), key="--until") from None
    with _store() as (_, workshop):
        quieten(workshop.engine, incident_id, moment, workshop.tools.now())
    typer.echo(f"incident {incident_id} is silenced until {spelt(moment)}")


@app.command(short_help="End its silence.")
def unsilence(incident_id: Id) -> None:
    """End an incident's silence now. If nobody was told of it yet, that is made up for.

    \b
      evalops incidents unsilence 3
    """
    from evalops_core.run.incident_desk import unsilence as wake
    from evalops_core.wiring import alert_rules, read_suites

    with _store() as (settings, workshop):
        rules = alert_rules(settings, read_suites(settings).usable)
        _, messages = wake(workshop.engine, incident_id, rules, workshop.tools.now())
    made = f"; {messages} message{'' if messages == 1 else 's'} made, for it began in silence" if messages else ""
    typer.echo(f"incident {incident_id} is not silenced any more{made}")


@app.command(short_help="Accept the new level as the one that is meant.")
def accept(
    incident_id: Id,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why the new level is meant; it is kept.")],
    by: By = None,
) -> None:
    """Accept the new level: the incident is over, and later runs are compared with those since the drop.

    Of a drift: people ask like this from now on, and later days are compared with those since it opened. Nobody is
    sent a mail.

    \b
      evalops incidents accept 3 --reason "the new prompt is shorter on purpose"
    """
    from evalops_core.errors import ConfigError
    from evalops_core.run.incident_desk import accept as take
    from evalops_dagster.cli.person import person

    why = reason.strip()
    if not why:
        raise ConfigError("expected a few words that say why the new level is meant", key="--reason")
    who = person(by)
    with _store() as (_, workshop):
        incident = take(workshop.engine, incident_id, why, who, workshop.tools.now())
    typer.echo(f"incident {incident_id} is over: {_what_is_accepted(incident)}; nobody is told")


def _what_is_accepted(incident: "Incident") -> str:
    if incident.kind == "drift":
        return "how people ask now is accepted, the days since it opened are the new baseline"
    level = f" at {incident.current}" if incident.current is not None else ""
    return f"the new level{level} is accepted, later runs are compared with it"


@contextmanager
def _store() -> "Generator[tuple[Settings, Workshop], None, None]":
    from evalops_core.settings import load_settings
    from evalops_core.wiring import open_workshop, while_needed

    settings = load_settings()
    with while_needed(settings), open_workshop(settings) as workshop:
        yield settings, workshop


def _ensure_known(feature: str, settings: "Settings", workshop: "Workshop") -> None:
    """ConfigError unless there is a suite of that name, or there were runs or incidents of it."""
    from evalops_core.run.feature_desk import past_features
    from evalops_core.wiring import read_suites
    from evalops_dagster.cli.console import known_feature

    past = past_features(workshop.engine)
    if feature not in past:
        known_feature(feature, read_suites(settings), past)
