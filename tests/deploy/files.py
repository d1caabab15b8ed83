"""The files of `deploy/`, read: what tests compare, and the commands that the files would run.

What belongs here: finding and parsing. What does not: what a test expects.
"""

import re
import shlex
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[2]
DEPLOY = PROJECT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
_BIN = "/opt/evalops/bin/"


def read_yaml(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


def dagster_yaml() -> dict[str, Any]:
    return read_yaml(PROJECT / "dagster.yaml")


def compose() -> dict[str, Any]:
    return read_yaml(DEPLOY / "docker" / "compose.yaml")


def values() -> dict[str, Any]:
    return read_yaml(DEPLOY / "kubernetes" / "values.yaml")


def code_location() -> dict[str, Any]:
    """The chart's one user deployment."""
    [deployment] = values()["dagster-user-deployments"]["deployments"]
    return deployment


def unit_commands() -> dict[str, list[str]]:
    """Every command of the units by `unit: key`, without the folder of the programs."""
    found: dict[str, list[str]] = {}
    for unit in UNITS:
        for key, line in re.findall(r"^(ExecStart\w*)=(.*)$", unit.read_text(), re.MULTILINE):
            inside = re.search(r"sh -c 'until (.*?) >", line)
            found[f"{unit.name}: {key}"] = shlex.split((inside[1] if inside else line).replace(_BIN, ""))
    return found


def compose_commands() -> dict[str, list[str]]:
    """Every command and health check of the services that run the project's image."""
    found: dict[str, list[str]] = {}
    for name, service in compose()["services"].items():
        if name == "postgres":
            continue
        found |= _of_shell(f"compose {name}", service["command"])
        if "healthcheck" in service:
            found[f"compose {name}: healthcheck"] = service["healthcheck"]["test"][1:]
    return found


def kubernetes_commands() -> dict[str, list[str]]:
    """The migration's, the code server's as the chart completes it, and the probes that name a command."""
    job = read_yaml(DEPLOY / "kubernetes" / "migrate.yaml")
    [container] = job["spec"]["template"]["spec"]["containers"]
    server = ["dagster", "api", "grpc", "-h", "0.0.0.0", "-p", str(code_location()["port"])]  # noqa: S104 - the chart's words
    probes = {name: probe for name, probe in values()["dagsterDaemon"].items() if name.endswith("Probe")}
    return {
        **_of_shell("migrate.yaml", container["args"]),
        "values: code server": [*server, *code_location()["dagsterApiGrpcArgs"]],
        **{f"values: {name}": probe["exec"]["command"] for name, probe in probes.items()},
    }


def _of_shell(name: str, command: list[str]) -> dict[str, list[str]]:
    if command[:2] != ["sh", "-ec"]:
        return {name: command}
    parts = [shlex.split(part.strip().removeprefix("exec ")) for part in command[2].split(";")]
    return {f"{name}: {' '.join(part[:3])}": part for part in parts}
