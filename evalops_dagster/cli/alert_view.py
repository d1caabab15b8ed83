"""What `evalops alerts` prints.

What belongs here: a message's facts in words, and as JSON. What does not: options (alerts), how it is looked up
(run.message_desk).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from evalops_core.domain.mail import Mail
from evalops_core.errors import ConfigError
from evalops_core.mail.compose import standalone_html
from evalops_core.run.message_desk import ListedMessage, MessageFile
from evalops_dagster.cli.incident_view import kind_of, state_of, subject_of
from evalops_dagster.cli.moments import spelt
from evalops_dagster.cli.sheet import print_facts, print_json, print_table, shown

if TYPE_CHECKING:
    from evalops_core.store.outbox import Message

_HEADINGS = {
    "id": False,
    "state": False,
    "about": False,
    "to": True,
    "incidents": True,
    "tries": False,
    "next or sent (UTC)": False,
    "last error": True,
}
_ERROR = 100  # characters of a reason in the table


def to_whom(message: "Message") -> str:
    return message.recipient or "nobody configured"


def print_messages(found: Sequence[ListedMessage]) -> None:
    print_table(_HEADINGS, [_row(listed) for listed in found])
    dead = [listed.message.id for listed in found if listed.message.state == "dead"]
    if dead:
        those = "what is marked with ! was given up; it is tried again by"
        typer.echo(f"{those}: evalops alerts resend {dead[0] if len(dead) == 1 else 'ID'}")


def print_messages_json(found: Sequence[ListedMessage]) -> None:
    print_json([_facts(listed.message, listed) for listed in found])


def print_message(found: MessageFile, now: datetime) -> None:
    message, mail = found.message, found.mail
    typer.echo(f"message {message.id}: {message.transition}, to {shown(to_whom(message))}")
    error = message.last_error
    print_facts(
        [
            ("state", message.state.replace("_", " ")),
            ("made", spelt(message.created_at)),
            ("tries", str(message.attempts)),
            ("first tried", message.first_attempt_at and spelt(message.first_attempt_at)),
            ("next try", spelt(message.due_at) if message.state == "due" else None),
            ("sent", message.sent_at and f"{spelt(message.sent_at)}, as {message.provider_id}"),
            ("last error", error),
            *(
                ("about", f"incident {one.id}: {kind_of(one)} of {subject_of(one)}, {state_of(one, now)}")
                for one in found.incidents
            ),
            ("subject", mail and mail.subject),
        ]
    )
    if found.was_purged:
        typer.echo(f"\nThe mail was purged on {spelt(message.texts_purged_at or now)}.")
        return
    if mail is None:
        typer.echo("\nThere is nothing to say to this recipient, as things are.")
        return
    typer.echo("" if found.is_kept else "\nThis is how it would be now; what is sent is composed when it is sent.\n")
    typer.echo(mail.text.rstrip())


def print_message_json(found: MessageFile) -> None:
    mail = found.mail
    shown_mail = mail and {"subject": mail.subject, "text": mail.text, "html": mail.html, "is_kept": found.is_kept}
    print_json({**_facts(found.message, found), "mail": shown_mail})


def writable(file: Path) -> None:
    """ConfigError unless there is a folder for it."""
    if not file.absolute().parent.is_dir():
        raise ConfigError(f"the folder {file.absolute().parent} is not there; make it first", key="--html")
    if file.is_dir():
        raise ConfigError(f"{file} is a folder; name a file", key="--html")


def write_html(mail: Mail, file: Path) -> None:
    """One file that shows the mail with its pictures. ConfigError where it cannot be written."""
    from evalops_dagster.cli.output_file import write_whole

    writable(file)
    write_whole(file, standalone_html(mail).encode())


def what_became_of(message: "Message") -> str:
    """One sentence after it was tried."""
    to = shown(to_whom(message))
    if message.state == "sent":
        return f"message {message.id} was sent to {to} as {message.provider_id}"
    if message.state == "dead":
        return f"message {message.id} to {to} was given up: {shown(message.last_error or 'no reason is known')}"
    if message.state == "dropped":
        return f"message {message.id} to {to} was dropped: {shown(message.last_error or 'nothing is left to say')}"
    if message.last_error:
        why = f"was not taken: {shown(message.last_error)}"
        return f"message {message.id} to {to} {why}; alert_delivery_sensor tries it again from {spelt(message.due_at)}"
    return f"message {message.id} to {to} is due; alert_delivery_sensor sends it"


def _row(listed: ListedMessage) -> Sequence[str]:
    message = listed.message
    when = message.sent_at if message.state == "sent" else message.due_at if message.state == "due" else None
    about = ", ".join(f"{one.id} {one.feature}" for one in listed.incidents)
    state = "! dead" if message.state == "dead" else message.state.replace("_", " ")
    return (
        str(message.id),
        state,
        message.transition,
        to_whom(message),
        about or "–",
        str(message.attempts),
        "–" if when is None else spelt(when).removesuffix(" UTC"),
        shown(message.last_error or "", _ERROR),
    )


def _facts(message: "Message", about: ListedMessage | MessageFile) -> Mapping[str, Any]:
    facts = {item.name: getattr(message, item.name) for item in dataclasses.fields(message)}
    facts["incidents"] = [
        {"id": one.id, "kind": one.kind, "feature": one.feature, "model_id": one.model_id, "is_open": one.is_open}
        for one in about.incidents
    ]
    return {name: value for name, value in facts.items() if name != "rendered"}
