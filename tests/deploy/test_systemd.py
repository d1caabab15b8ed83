import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.files import DEPLOY, UNITS

FOLDER = DEPLOY / "systemd"
COMMON = (FOLDER / "evalops-.service.d" / "common.conf").read_text()


def test_there_is_a_unit_for_each_process_and_the_target_wants_all_but_workers() -> None:
    wanted = re.findall(r"^Wants=(.*)$", (FOLDER / "evalops.target").read_text(), re.MULTILINE)

    assert wanted == [" ".join(unit.name for unit in UNITS if "worker" not in unit.name)]
    assert len(UNITS) == 4


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_stop_signals_the_main_process_alone(unit: Path) -> None:
    assert "\nKillMode=mixed\n" in unit.read_text()
    assert "\nKillSignal=SIGTERM\n" in COMMON


def test_the_daemon_stops_before_the_code_server_and_starts_after_it() -> None:
    daemon = (FOLDER / "evalops-daemon.service").read_text()

    assert "\nAfter=evalops-code-server.service\n" in daemon
    assert "\nRequires=evalops-code-server.service\n" in daemon


def test_the_ui_is_served_on_loopback_alone() -> None:
    assert "dagster-webserver -h 127.0.0.1 " in (FOLDER / "evalops-webserver.service").read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "units")
    units = [*(tmp_path / "units").glob("*.service"), tmp_path / "units" / "evalops.target"]
    for unit in units:  # it looks whether the programs are there
        unit.write_text(re.sub(r"/opt/evalops/bin/[a-z-]+", str(shutil.which("true")), unit.read_text()))

    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=one", *units],
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path / 'units'}:"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (said.returncode, said.stderr) == (0, "")
