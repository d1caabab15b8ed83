"""`evalops suites`: look at suites, check them, start a new one.

What belongs here: options and printing. What does not: reading and checking (`evalops_core.suites`), how runs use a
suite (`evalops_core.run`).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from evalops_core.domain.scorer import ScorerSpec
    from evalops_core.domain.suite import Suite
    from evalops_core.settings import Settings

app = typer.Typer(help="The features' suites: list, check, start one, show one.", no_args_is_help=True)

Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Suites' folders, or folders of them; those of EVALOPS_SUITES without any.", show_default=False
    ),
]


@app.command("list")
def list_() -> None:
    """Print a table of the configured suites."""
    import sys

    from rich.console import Console
    from rich.table import Table

    from evalops_core.settings import load_settings
    from evalops_core.suites.loader import load_suites
    from evalops_core.wiring import model_ref

    settings = load_settings()
    table = Table()
    for heading in ("feature", "cases", "repeats", "interval", "model", "scorers", "owner", "folder"):
        table.add_column(heading, overflow="fold", justify="right" if heading in ("cases", "repeats") else "left")
    for suite in load_suites(settings.suites).values():
        cells = (suite.feature, str(len(suite.cases)), str(suite.repeats), f"{suite.interval_hours} h")
        scorers = ", ".join(spec.name for spec in suite.scorers)
        # Text from files is no markup: `[` in it means itself.
        table.add_row(
            *map(_plain, (*cells, model_ref(suite.model, settings).name, scorers, suite.owner or "", str(suite.folder)))
        )
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@app.command()
def check(paths: Paths = None) -> None:
    """Check every suite, print `ok` or the first problem of each, and exit with 2 if there was any."""
    from evalops_core.errors import ConfigError
    from evalops_core.settings import load_settings
    from evalops_core.suites.loader import load_suite

    folders, problems = _folders(paths or list(load_settings().suites))
    for folder in folders:
        try:
            suite = load_suite(folder)
        except ConfigError as error:
            problems.append(error)
        else:
            typer.echo(f"ok: {suite.feature}, {len(suite.cases)} case{'' if len(suite.cases) == 1 else 's'}")
    for problem in problems:
        typer.echo(f"error: {problem}", err=True)
    if problems:
        raise typer.Exit(2)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The feature's name: lower-case letters, digits and underscores.")],
    into: Annotated[
        Path | None,
        typer.Option(help="Folder to make it in; the first of EVALOPS_SUITES, else ./suites.", show_default=False),
    ] = None,
) -> None:
    """Write a small working suite to start from."""
    import shlex

    from evalops_core.settings import SHIPPED_SUITES, load_settings
    from evalops_core.suites.scaffold import create_suite

    root = into
    if root is None:
        own = [path for path in load_settings().suites if path != SHIPPED_SUITES]
        root = own[0] if own else Path("suites")
    folder = create_suite(name, root)
    typer.echo(f"created {folder}")
    typer.echo(f"change its files, then: evalops suites check {shlex.quote(str(folder))}")
    if root.absolute() not in load_settings().suites:
        typer.echo(f"to have it evaluated: export EVALOPS_SUITES={shlex.quote(str(root.absolute()))}")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="The feature's name.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print everything that is decided about one suite: its prompt, its first case as sent, its scorers, its hashes."""
    import json

    from evalops_core.errors import ConfigError
    from evalops_core.settings import load_settings
    from evalops_core.suites.file_model import listed, suggestion
    from evalops_core.suites.loader import find_suites, load_suite

    settings = load_settings()
    folders = find_suites(settings.suites)
    if name not in folders:
        hint = suggestion(name, folders)
        raise ConfigError(f"there is no feature {name}{hint}; there are {listed(sorted(folders))}")
    facts = _facts(load_suite(folders[name]), settings)
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    import yaml

    typer.echo(yaml.safe_dump(facts, allow_unicode=True, sort_keys=False, width=100).rstrip())


@app.command()
def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write it to.", show_default=False)
    ] = None,
) -> None:
    """Print the JSON Schema of suite.yaml, by which editors complete and check it."""
    import json

    from evalops_core.suites.files import json_schema
    from evalops_dagster.cli.output_file import write_whole

    text = json.dumps(json_schema(), ensure_ascii=False, indent=2)
    if output is None:
        typer.echo(text)
    else:
        write_whole(output, f"{text}\n".encode())


def _folders(paths: list[Path]) -> "tuple[list[Path], list[Exception]]":
    """Every suite's folder in or at `paths`, and what is wrong with the paths themselves."""
    from evalops_core.errors import ConfigError
    from evalops_core.suites.loader import find_suites, is_suite, suite_folders

    folders: dict[Path, None] = {}
    problems: list[Exception] = []
    roots: list[Path] = []
    for path in paths:
        try:
            found = [path] if is_suite(path) else suite_folders(path)
        except ConfigError as error:
            problems.append(error)
        else:
            folders.update(dict.fromkeys(found))
            roots += [] if is_suite(path) else [path]
    try:
        find_suites(roots)
    except ConfigError as error:
        problems.append(error)
    return list(folders), problems


def _facts(suite: "Suite", settings: "Settings") -> "dict[str, Any]":
    """As plain JSON values, defaults included."""
    from evalops_core.domain.scorer import axis_weights, in_force
    from evalops_core.suites.render import PromptRenderer
    from evalops_core.wiring import judge_ref, model_ref

    first = suite.cases[0]
    model = model_ref(suite.model, settings)
    specs = in_force(suite.scorers, judge_configured=judge_ref(settings) is not None)
    return {
        "feature": suite.feature,
        "description": suite.description,
        "owner": suite.owner,
        "folder": str(suite.folder),
        "model": {
            "name": model.name,
            "base_url": model.base_url,
            "api_key_env": model.api_key_env,
            "parameters": dict(model.parameters),
        },
        "repeats": suite.repeats,
        "interval_hours": suite.interval_hours,
        "daily_budget_usd": None if suite.daily_budget_usd is None else str(suite.daily_budget_usd),
        "regression": {"drop": str(suite.regression.drop), "min_coverage": suite.regression.min_coverage},
        "prompt": [{"role": message.role, "content": message.content} for message in suite.prompt.messages],
        "scorers": [_scorer(spec) for spec in suite.scorers],
        "shares": {".".join(dict.fromkeys(key)): round(share, 4) for key, share in axis_weights(specs).items()},
        "cases": len(suite.cases),
        "first_case": {
            "id": first.id,
            "messages": [{"role": one.role, "content": one.content} for one in PromptRenderer(suite).render(first)],
            "reference": first.reference,
        },
        "hashes": {"dataset": suite.dataset_hash, "prompt": suite.prompt_hash, "rubric": suite.rubric_hash},
    }


def _scorer(spec: "ScorerSpec") -> "dict[str, Any]":
    import json
    from dataclasses import asdict

    facts: dict[str, Any] = json.loads(json.dumps(asdict(spec)))  # tuples become lists, which YAML knows too
    return {"name": facts.pop("name"), "type": facts.pop("type"), **facts}


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(text)
