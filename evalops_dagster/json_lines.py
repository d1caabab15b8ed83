"""Log lines as JSON, an object a line, with the keys of Dagster's own `--log-format json`.

What belongs here: what a line holds, and making a process write such lines. What does not: whether to (settings), the
options that Dagster's services are started with (cli.dagster_process). Dagster has such an option for its services, and
none for the lines of runs and of ticks.
"""

import logging
import sys
import warnings
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO, cast

import structlog

_CONSOLE = "dagster"  # the name of every logger that Dagster makes for the lines of a run or of a tick
_RUN_FACTS = ("run_id", "job_name", "step_key")


def json_formatter() -> logging.Formatter:
    """`event`, `logger`, `level`, `timestamp` (ISO 8601, UTC), `exception` where there is one; of a run's lines also
    `run_id`, `job_name`, `step_key`, `partition` and `event_type`, of a tick's the `instigator`."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _dagster_facts,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(default=str),
        ],
    )


def write_json_lines() -> None:
    """From here on, what this process logs about runs and ticks, and what nobody else handles, is JSON on stderr."""
    if not issubclass(logging.getLoggerClass(), _JsonConsole):
        logging.setLoggerClass(_JsonConsole)
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(json_formatter())
    warnings.showwarning = _log_warning


def json_line(words: str) -> str:
    """What a command says of its progress, as such a line."""
    return json_formatter().format(logging.LogRecord("evalops", logging.INFO, "", 0, words.strip(), None, None))


class _JsonConsole(logging.Logger):
    """The class of loggers made from now on. It differs in those that Dagster makes anew for each run and tick, by
    this class, to write coloured lines: there the handler is given another formatter."""

    def addHandler(self, hdlr: logging.Handler) -> None:  # noqa: N802  # the standard library's name
        if self.name == _CONSOLE and isinstance(hdlr, logging.StreamHandler):
            hdlr.setFormatter(json_formatter())
        super().addHandler(hdlr)


def _dagster_facts(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The message as it was logged, and what Dagster has put in front of it as keys of their own."""
    meta = cast("Mapping[str, Any] | None", getattr(event["_record"], "dagster_meta", None))
    if not meta:
        return event
    event["event"] = meta.get("orig_message") or event["event"]
    event.update({name: meta[name] for name in _RUN_FACTS if meta.get(name)})
    partition = (meta.get("job_tags") or {}).get("dagster/partition")
    if partition:
        event["partition"] = partition
    if meta.get("name"):
        event["instigator"] = meta["name"]
    happened = meta.get("dagster_event")
    if happened is not None:
        event["event_type"] = happened.event_type_value
        error = getattr(happened.event_specific_data, "error", None)
        if error is not None:
            event["exception"] = error.to_string()
    return event


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if file not in (None, sys.stderr):
        file.write(warnings.formatwarning(message, category, filename, lineno, line))
        return
    logging.getLogger("py.warnings").warning("%s: %s (%s:%s)", category.__name__, message, filename, lineno)
