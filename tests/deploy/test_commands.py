from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest
import typer.main
from dagster._cli import create_dagster_cli
from dagster._daemon.cli import create_dagster_daemon_cli
from dagster_webserver.cli import dagster_webserver

from evalops_dagster.cli import app
from tests.deploy.files import DEPLOY, PROJECT, code_location, compose_commands, kubernetes_commands, read_yaml
from tests.deploy.files import unit_commands as units

COMMANDS = {**units(), **compose_commands(), **kubernetes_commands()}
SERVERS = {name: words for name, words in COMMANDS.items() if words[:3] == ["dagster", "api", "grpc"]}
PROGRAMS: dict[str, Any] = {  # typer has a click of its own
    "dagster": create_dagster_cli(),
    "dagster-daemon": create_dagster_daemon_cli(),
    "dagster-webserver": dagster_webserver,
    "evalops": typer.main.get_command(app),
}


def parsed(words: list[str]) -> Any:
    """click's context of the command that the words call, as the installed version takes them; its error otherwise."""
    command, left = PROGRAMS[words[0]], words[1:]
    while children := vars(command).get("commands"):
        command, left = children[left[0]], left[1:]
    return command.make_context(words[0], left)


@pytest.mark.parametrize("name", [name for name, words in COMMANDS.items() if words[0] not in ("python", "celery")])
def test_the_installed_programs_take_every_command_as_it_stands_in_the_files(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT)  # where a workspace.yaml is, as where the services run

    assert parsed(COMMANDS[name]).command is not None


def test_the_worker_is_started_with_the_app_that_executes_whole_runs() -> None:
    [words] = [words for words in COMMANDS.values() if words[0] == "celery"]
    app_module = words[words.index("-A") + 1]

    assert find_spec(app_module) is not None
    assert app_module == "evalops_dagster.celery_app"


def test_a_command_or_an_option_that_does_not_exist_is_seen() -> None:
    with pytest.raises(click.NoSuchOption):
        parsed(["dagster-daemon", "run", "--no-such-option"])
    with pytest.raises(KeyError, match="upgrades"):
        parsed(["evalops", "db", "upgrades"])


@pytest.mark.parametrize("name", SERVERS)
def test_every_code_server_serves_the_location_of_the_workspace(name: str) -> None:
    [ours] = read_yaml(PROJECT / "workspace.yaml")["load_from"]
    options = parsed(SERVERS[name]).params

    assert options["location_name"] == ours["python_module"]["location_name"]
    assert options["module_name"] == ours["python_module"]["module_name"]


@pytest.mark.parametrize(
    ("workspace", "server"),
    [
        ("docker/workspace.yaml", "compose code-server"),
        ("systemd/workspace.yaml", "evalops-code-server.service: ExecStart"),
    ],
)
def test_each_workspace_looks_where_its_code_server_listens(workspace: str, server: str) -> None:
    [entry] = read_yaml(DEPLOY / Path(workspace))["load_from"]
    options = parsed(COMMANDS[server]).params

    assert entry["grpc_server"]["port"] == options["port"]
    assert entry["grpc_server"]["location_name"] == options["location_name"]
    assert entry["grpc_server"]["host"] in (options["host"], server.removeprefix("compose "))


def test_every_health_check_of_a_code_server_asks_its_port() -> None:
    checks = [parsed(words).params["port"] for words in COMMANDS.values() if "grpc-health-check" in words]

    assert checks == [4266] * 2


def test_the_chart_names_the_location_by_its_deployment() -> None:
    [ours] = read_yaml(PROJECT / "workspace.yaml")["load_from"]

    assert code_location()["name"] == ours["python_module"]["location_name"]
