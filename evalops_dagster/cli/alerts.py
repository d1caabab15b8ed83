"""`evalops alerts`: the messages about incidents, and whether they reach people.

What belongs here: the commands and their options. What does not: what is done (run.message_desk), how it is printed
(alert_view), delivery as it goes on by itself (the sensor).
"""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from evalops_core.run.alert_rules import AlertRules
    from evalops_core.settings import Settings
    from evalops_core.wiring import Workshop

app = typer.Typer(help="Alert mails: list, show, send again, test.", no_args_is_help=True)

NO_KEY = "RESEND_API_KEY or EVALOPS_RESEND_API_KEY"
LARGEST_ID = 2**63 - 1
Id = Annotated[int, typer.Argument(metavar="ID", min=1, max=LARGEST_ID, help="As `evalops alerts list` shows it.")]
To = Annotated[str | None, typer.Option("--to", metavar="ADDRESS", help="A mail address.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.callback()
def alerts() -> None:
    """The mails about incidents: what is to be sent, what was, and what did not reach anybody."""


@app.command("list", short_help="List the messages that nobody got yet.")
def list_(
    state: Annotated[
        Literal["due", "sent", "dead", "not_configured", "dropped"] | None,
        typer.Option(help="Those in this state only.", show_default=False),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Those that were sent or dropped, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="How many, newest first.")] = 100,
    as_json: Json = False,
) -> None:
    """List the messages that nobody got yet: those given up first, then the newest.

    \b
      evalops alerts list
      evalops alerts list --all --limit 20
      evalops alerts list --state dead
    """
    from evalops_core.run.message_desk import list_messages, message_counts
    from evalops_dagster.cli.alert_view import print_messages, print_messages_json

    with _store() as (_, workshop):
        found = list_messages(workshop.engine, state=state, every=every, limit=limit)
        counts = message_counts(workshop.engine)
    if as_json:
        print_messages_json(found)
    elif found:
        print_messages(found)
    elif not counts:
        typer.echo("There has been no message yet; the first regression makes one.")
    elif state:
        typer.echo(f"No message is {state.replace('_', ' ')}.")
    else:
        typer.echo(f"No message waits ({counts.get('sent', 0)} sent); `evalops alerts list --all` shows them.")


@app.command(short_help="Show one message and its mail.")
def show(
    message_id: Id,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the mail as a web page.", show_default=False)
    ] = None,
    text: Annotated[bool, typer.Option("--text", help="Print the mail's plain text alone.")] = False,
    as_json: Json = False,
) -> None:
    """Show one message: its state, its history, and the mail that was or would be sent. Nothing changes by it.

    \b
      evalops alerts show 12
      evalops alerts show 12 --html mail.html
    """
    from evalops_core.errors import ConfigError
    from evalops_core.run.message_desk import message_file
    from evalops_dagster.cli import alert_view

    if (html is not None) + text + as_json > 1:
        raise ConfigError("--html, --text and --json exclude each other; choose one")
    if html is not None:
        alert_view.writable(html)
    with _store() as (settings, workshop):
        found = message_file(workshop.engine, message_id, _rules(settings), workshop.tools.now())
        now = workshop.tools.now()
    if as_json:
        alert_view.print_message_json(found)
    elif html is None and not text:
        alert_view.print_message(found, now)
    elif found.was_purged:
        raise ConfigError(f"the mail of message {message_id} was purged, so there is none to show")
    elif found.mail is None:
        raise ConfigError(f"message {message_id} has nothing to say to its recipient, so there is no mail to show")
    elif html is None:
        typer.echo(found.mail.text.rstrip())
    else:
        alert_view.write_html(found.mail, html)
        typer.echo(str(html))


@app.command(short_help="Send one message again that was given up or never sent.")
def resend(message_id: Id, to: To = None) -> None:
    """Make a message due again that was given up, or that had no key or recipient; with a key, send it now.

    Exits with 1 if it could not be delivered.

    \b
      evalops alerts resend 12
      evalops alerts resend 12 --to team@example.com
    """
    from evalops_core.run.message_desk import resend as again
    from evalops_core.wiring import mailer_of
    from evalops_dagster.cli.alert_view import to_whom, what_became_of

    recipient = None if to is None else _address(to)
    with _store() as (settings, workshop), _unsaid():
        mailer = mailer_of(settings)
        message = again(workshop.engine, message_id, recipient, _rules(settings), mailer, workshop.tools.now)
    if mailer is None:
        typer.echo(
            f"message {message_id} to {to_whom(message)} is due again, but this shell has no key for Resend "
            f"({NO_KEY}): it stays until one is set, here for `resend` or where alert_delivery_sensor runs"
        )
        return
    typer.echo(what_became_of(message))
    if message.state != "sent":
        raise typer.Exit(1)


@app.command("test", short_help="Send a test mail.")
def send_test(to: To = None) -> None:
    """Send a test mail to an address, or to all of EVALOPS_ALERT_TO; no other message is sent by it.

    Exits with 1 if it could not be delivered, and with 2 if nothing is configured.

    \b
      evalops alerts test
      evalops alerts test --to me@example.com
    """
    from evalops_core.errors import ConfigError
    from evalops_core.run.message_desk import send_test_mails
    from evalops_core.settings import load_settings
    from evalops_core.wiring import mailer_of
    from evalops_dagster.cli.alert_view import what_became_of

    settings = load_settings()
    recipients = settings.alert_to if to is None else (_address(to),)
    mailer = mailer_of(settings)
    if not recipients:
        raise ConfigError("not configured: nobody is to be told; set EVALOPS_ALERT_TO, or name an address with --to")
    if mailer is None:
        raise ConfigError(f"not configured: there is no key for Resend; set {NO_KEY}")
    with _store() as (settings, workshop), _unsaid():
        tried = send_test_mails(workshop.engine, recipients, _rules(settings), mailer, workshop.tools.now)
    for message in tried:
        typer.echo(what_became_of(message))
    if any(message.state != "sent" for message in tried):
        raise typer.Exit(1)


@contextmanager
def _store() -> "Generator[tuple[Settings, Workshop], None, None]":
    from evalops_core.settings import load_settings
    from evalops_core.wiring import open_workshop, while_needed

    settings = load_settings()
    with while_needed(settings), open_workshop(settings) as workshop:
        yield settings, workshop


@contextmanager
def _unsaid() -> Generator[None, None, None]:
    """What delivery logs is said by the command itself, once."""
    logger, handler = logging.getLogger("evalops_core.run.deliver"), logging.NullHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _rules(settings: "Settings") -> "AlertRules":
    from evalops_core.wiring import alert_rules, read_suites

    return alert_rules(settings, read_suites(settings).usable)


def _address(value: str) -> str:
    from evalops_core.errors import ConfigError
    from evalops_core.setting_types import mail_address

    try:
        return mail_address(value.strip())
    except ValueError as error:
        raise ConfigError(str(error), key="--to") from None
