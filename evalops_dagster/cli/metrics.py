"""`evalops metrics`: the state of the deployment for Prometheus, printed, written into a file or served.

What belongs here: the command and its three ways out. What does not: the metrics (run.metrics), where their facts are
read (wiring).
"""

import contextlib
import logging
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dagster import DagsterInstance
    from prometheus_client import CollectorRegistry

    from evalops_core.run.metrics import Facts
    from evalops_core.settings import Settings

_HOST = "127.0.0.1"


def register(app: typer.Typer) -> None:
    app.command(short_help="Print, write or serve metrics for Prometheus.")(metrics)


def metrics(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write them into FILE, whole or not at all."),
    ] = None,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Serve /metrics until Ctrl-C; a PORT alone is 127.0.0.1's.")
    ] = None,
) -> None:
    """Print the metrics of this deployment in Prometheus' text format, write them, or serve them.

    The database is asked anew each time; one that is down gives `evalops_up 0`. Nothing is started, and an embedded
    database that is not running counts as down.

    \b
      evalops metrics
      evalops metrics -o /var/lib/node_exporter/textfile/evalops.prom
      evalops metrics --listen 9464
      evalops metrics --listen 0.0.0.0:9464
    """
    from prometheus_client import generate_latest

    from evalops_core.errors import ConfigError
    from evalops_core.settings import load_settings
    from evalops_dagster.cli.output_file import ensure_writable, write_whole

    if output is not None and listen is not None:
        raise ConfigError("-o and --listen exclude each other; choose one")
    settings = load_settings()
    if output is not None:
        ensure_writable(output)
    place = None if listen is None else place_of(listen)
    with _logged(settings), _registry(settings) as registry:
        if place is not None:
            _serve(registry, *place, settings)
        elif output is not None:
            write_whole(output, generate_latest(registry))
        else:
            typer.echo(generate_latest(registry), nl=False)


def _serve(registry: "CollectorRegistry", host: str, port: int, settings: "Settings") -> None:
    from prometheus_client import generate_latest, start_http_server

    from evalops_core.errors import ConfigError
    from evalops_dagster.cli.waiting import interruptible, sayer, until_interrupted

    say = sayer(settings.log_format)
    with until_interrupted(say), interruptible():
        generate_latest(registry)  # the first look imports Dagster, which would take longer than a scrape may
        try:
            server, thread = start_http_server(port, addr=host, registry=registry)
        except OSError as error:
            raise ConfigError(
                f"{host}:{port} cannot be served on ({error.strerror}); choose another", key="--listen"
            ) from None
        try:
            shown = f"[{host}]" if ":" in host else host
            say(f"serving http://{shown}:{server.server_port}/metrics; Ctrl-C ends it")
            thread.join()
        finally:
            server.shutdown()
            server.server_close()


@contextlib.contextmanager
def _registry(settings: "Settings") -> "Generator[CollectorRegistry, None, None]":
    from dataclasses import replace

    from prometheus_client import CollectorRegistry

    from evalops_core.run.metrics import MetricsCollector
    from evalops_core.wiring import MetricsSource, dagster_tables

    registry, source, queue = CollectorRegistry(), MetricsSource(settings), _Queue()

    def read() -> "Facts":
        facts = source.read()
        # without its tables, Dagster's storage would make them: that is not for who only looks
        if facts.store is None or dagster_tables(settings, source.url()) is None:
            return facts
        return replace(facts, dagster_runs=queue.counts())

    registry.register(MetricsCollector(read))
    try:
        yield registry
    finally:
        queue.close()
        source.close()


class _Queue:
    """Dagster's runs that have not ended, by status; its instance is opened at the first look and kept."""

    def __init__(self) -> None:
        self._instance: DagsterInstance | None = None

    def counts(self) -> Mapping[str, int] | None:
        """None where no DAGSTER_HOME can be found, or its database does not answer."""
        from evalops_core.errors import ConfigError
        from evalops_dagster.cli.instance import instance_folder

        try:
            folder = instance_folder()
        except ConfigError:
            return None
        import dagster as dg

        statuses = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED)
        try:
            if self._instance is None:
                self._instance = dg.DagsterInstance.from_config(str(folder))
            count = self._instance.get_runs_count
            return {status.value.lower(): count(dg.RunsFilter(statuses=[status])) for status in statuses}
        except Exception as error:  # noqa: BLE001  # whatever Dagster's storage raises, the other metrics go on
            logging.getLogger(__name__).warning("Dagster's runs cannot be counted (%s)", type(error).__name__)
            self.close()  # its database may be elsewhere by the next look
            return None

    def close(self) -> None:
        instance, self._instance = self._instance, None
        if instance is not None:
            instance.dispose()


@contextlib.contextmanager
def _logged(settings: "Settings") -> Generator[None, None, None]:
    """Warnings go to stderr, in the form of the settings."""
    if settings.log_format == "json":
        from evalops_dagster.json_lines import write_json_lines

        write_json_lines()
        yield
        return
    from evalops_dagster.cli.mishaps import brief_warnings

    with brief_warnings():
        yield


def place_of(listen: str) -> tuple[str, int]:
    """ConfigError for what is no HOST:PORT and no port."""
    from evalops_core.errors import ConfigError

    host, _, port = listen.rpartition(":")
    if not port.isdecimal() or int(port) > 65_535:
        raise ConfigError(f"expected HOST:PORT or PORT, like 127.0.0.1:9464, not {listen!r}", key="--listen")
    return host.strip("[]") or _HOST, int(port)
