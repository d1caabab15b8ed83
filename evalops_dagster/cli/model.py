"""`evalops model`: the embedded model's files and its server.

What belongs here: printing. What does not: fetching and serving (providers.local_model).
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from evalops_core.providers.local_model.files import Progress
    from evalops_core.providers.local_model.process import ModelServer

app = typer.Typer(help="The embedded model: its files, and the server that answers for it.", no_args_is_help=True)


@app.command()
def fetch() -> None:
    """Download the model's files (115 MB, once), each checked against a pinned SHA-256; complete ones are kept."""
    server = _server()
    before = {found.path for found in server.files() if found.state == "ok"}
    with _downloads() as show:
        server.fetch(show)
    for found in server.files():
        typer.echo(f"{'kept' if found.path in before else 'fetched'} {found.path} ({found.file.size / 1e6:.1f} MB)")


@app.command()
def status(*, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Print the files with their state, and the server's."""
    import json
    from datetime import datetime, timezone

    server = _server()
    files, state = server.files(), server.status()
    since = None if state.started_at is None else datetime.fromtimestamp(state.started_at, timezone.utc)
    if as_json:
        listed = [
            {"path": str(it.path), "state": it.state, "size": it.file.size, "sha256": it.file.sha256} for it in files
        ]
        running = {"running": state.running, "url": state.url, "pid": state.pid, "engines": state.engines}
        running |= {"started_at": since and since.isoformat(), "current": state.current}
        typer.echo(json.dumps({"files": listed, "server": running}, indent=2))
        return
    for found in files:
        typer.echo(f"{found.state:<8} {found.file.size / 1e6:6.1f} MB  {found.path}")
    if any(found.state != "ok" for found in files):
        typer.echo("`evalops model fetch` downloads what is missing or damaged")
    if since is None:
        typer.echo("the server is not running" if state.pid is None else "the server is starting, or does not answer")
    else:
        typer.echo(f"the server answers at {state.url} (process {state.pid}, since {since:%Y-%m-%d %H:%M} UTC)")
    if not state.current:
        typer.echo("it was started by another version; the next `evalops model start` replaces it")


@app.command()
def start() -> None:
    """Start the server and leave it running, fetching missing files first; print its URL."""
    with _downloads() as show:
        endpoint = _server().start(show)
    typer.echo(f"{endpoint.url} ({'was already running' if endpoint.adopted else 'started'})")


@app.command()
def stop() -> None:
    """Stop the server; requests in flight are given up."""
    typer.echo("stopped" if _server().stop() else "it was not running")


@app.command(hidden=True)
def serve() -> None:
    """Serve in the foreground, for service managers and for looking at failures."""
    _server().serve()


def _server() -> "ModelServer":
    from evalops_core.settings import load_settings
    from evalops_core.wiring import model_server

    return model_server(load_settings(), stays=True)


@contextmanager
def _downloads() -> Generator["Progress", None, None]:
    """Shows what is downloaded: with a bar on a terminal, with a line a file elsewhere."""
    from rich import progress
    from rich.console import Console

    console, tasks = Console(stderr=True), dict[str, progress.TaskID]()
    columns = progress.TextColumn("{task.description}"), progress.BarColumn(), progress.DownloadColumn()
    with progress.Progress(*columns, console=console, disable=not console.is_terminal) as bar:

        def show(package: str, done: int, total: int) -> None:
            if package not in tasks:
                tasks[package] = bar.add_task(package, total=total)
                if not console.is_terminal:
                    console.print(f"downloading {package} ({total / 1e6:.1f} MB)", highlight=False, soft_wrap=True)
            bar.update(tasks[package], completed=done)

        yield show
