import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg2
import pytest

from evalops_core.postgres.processes import end_orphans, find_postmaster
from evalops_core.postgres.server import EmbeddedServer

from .conftest import WaitForEnd


def test_a_zombie_is_not_a_server(root: Path) -> None:
    # It died in the data folder, and this test reaps it only at the end.
    with subprocess.Popen([sys.executable, "-c", ""], cwd=root / "data") as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
        (root / "data" / "postmaster.pid").write_text(f"{child.pid}\n")
        assert find_postmaster(root / "data") is None


def test_an_orphan_that_does_not_answer_is_killed(root: Path, wait_for_end: WaitForEnd) -> None:
    server = EmbeddedServer(root)
    with contextlib.closing(psycopg2.connect(server.start().url.get_secret_value())) as connection:
        orphan = connection.info.backend_pid
        os.kill(orphan, signal.SIGSTOP)
        postmaster = find_postmaster(root / "data")
        assert postmaster is not None
        os.kill(postmaster.pid, signal.SIGKILL)
        end_orphans(root / "data", patience_s=0.2)
        wait_for_end(root)
    assert not server.start().adopted


def test_servers_of_other_folders_are_left_alone(root: Path, tmp_path: Path) -> None:
    EmbeddedServer(root).start()
    before = find_postmaster(root / "data")
    other = tmp_path / "other"
    other.mkdir()
    end_orphans(other, patience_s=0.1)
    assert find_postmaster(root / "data") == before


@pytest.mark.parametrize("first_line", ["0", "-0", "99999999999", "4194305"])
def test_a_pid_that_cannot_be_is_no_server(tmp_path: Path, first_line: str) -> None:
    (tmp_path / "postmaster.pid").write_text(f"{first_line}\n")
    assert find_postmaster(tmp_path) is None
