import re
from typing import Any

import pytest

from tests.deploy.files import DEPLOY, PROJECT, compose

DOCKERFILE = (DEPLOY / "docker" / "Dockerfile").read_text()
SERVICES: dict[str, dict[str, Any]] = compose()["services"]
OURS = sorted(SERVICES.keys() - {"postgres"})
PINNED = re.compile(r":\d+\.\d+(\.\d+)?-[a-z-]+(@sha256:[0-9a-f]{64})?$")


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} (.*)$", DOCKERFILE, re.MULTILINE)


def test_the_image_starts_as_an_ordinary_user_of_a_fixed_number() -> None:
    assert instructions("USER")[-1] == "10001:10001"
    assert DOCKERFILE.index("USER ") > DOCKERFILE.rindex("RUN ")


def test_every_image_is_pinned_to_a_version() -> None:
    [base] = re.findall(r"^ARG PYTHON_IMAGE=(.*)$", DOCKERFILE, re.MULTILINE)

    assert PINNED.search(base)
    assert PINNED.search(SERVICES["postgres"]["image"])
    assert [line.split()[0] for line in instructions("FROM")] == ["${PYTHON_IMAGE}"] * 2


def test_signals_reach_dagster_and_not_a_shell() -> None:
    assert instructions("ENTRYPOINT") == ['["/usr/bin/tini", "--"]']
    assert all(isinstance(SERVICES[name]["command"], list) for name in OURS)


def test_the_image_takes_packages_by_hash_and_fetches_nothing_else() -> None:
    pip = [line for line in DOCKERFILE.splitlines() if re.search(r"\bpip\b (download|install|wheel)", line)]

    assert [line for line in pip if "--no-index" not in line] == [line for line in pip if "--require-hashes" in line]
    assert len(pip) == 4


def test_no_secret_can_get_into_the_image() -> None:
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()
    allowed = [line for line in ignored if line.startswith("!")]

    assert "*" in ignored
    assert not [line for line in allowed if ".env" in line or line in ("!deploy", "!deploy/docker")]
    assert not re.search(r"^(ARG|ENV).*(KEY|PASSWORD|SECRET|TOKEN)", DOCKERFILE, re.MULTILINE)
    assert not [line for line in instructions("COPY") if re.search(r"(^| )\.( |$)", line.split(" /")[0])]


@pytest.mark.parametrize("name", SERVICES)
def test_published_ports_are_loopbacks_alone(name: str) -> None:
    assert all(str(port).startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_only_the_ui_is_published() -> None:
    assert [name for name in SERVICES if "ports" in SERVICES[name]] == ["webserver"]


@pytest.mark.parametrize("name", OURS)
def test_services_have_no_rights_that_they_do_not_need(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "no-new-privileges:true" in service["security_opt"]


def test_the_code_server_waits_for_the_migration_and_has_time_for_its_runs_to_end() -> None:
    server = SERVICES["code-server"]

    assert server["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert server["stop_grace_period"] == "15m"
    assert "TimeoutStopSec=15min" in (DEPLOY / "systemd" / "evalops-code-server.service").read_text()


def test_the_daemon_stops_before_the_code_server() -> None:
    assert "code-server" in SERVICES["daemon"]["depends_on"]  # Compose stops in the reverse order


def test_every_service_that_stays_has_a_health_check() -> None:
    assert [name for name, service in SERVICES.items() if "healthcheck" not in service] == ["migrate"]
