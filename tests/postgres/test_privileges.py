"""These prove little for the user who runs them, so most need root, who can be anybody."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest

from evalops_core.errors import ConfigError
from evalops_core.postgres.binaries import find_binaries
from evalops_core.postgres.cluster import Layout, create_cluster
from evalops_core.postgres.privileges import NAMESPACE, ONESELF, as_user, choose_privileges, nobody, reaches
from evalops_core.postgres.processes import find_postmaster
from evalops_core.postgres.server import EmbeddedServer

from .asking import ask
from .conftest import Spawn

SOMEBODY = 61234  # a uid that no system has a user for
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
KILLED = """
import os, signal, sys, threading
from pathlib import Path
import psutil, psycopg2
from evalops_core.postgres.binaries import find_binaries
from evalops_core.postgres.cluster import Layout, create_cluster
from evalops_core.postgres.privileges import as_user, nobody
from evalops_core.postgres.processes import find_postmaster
from evalops_core.postgres.server import EmbeddedServer

root = Path(sys.argv[1])
root.mkdir(parents=True)
create_cluster(Layout(root), find_binaries(), as_user(*nobody(), entering=True), 120)
server = EmbeddedServer(root)
started = server.start()
print(started.adopted, server.start().adopted)
connection = psycopg2.connect(started.url.get_secret_value())
orphan = psutil.Process(connection.info.backend_pid)

def compute():
    try:
        connection.cursor().execute("DO $$ BEGIN LOOP END LOOP; END $$")
    except psycopg2.OperationalError:
        pass

threading.Thread(target=compute, daemon=True).start()
while orphan.cpu_times().user < 0.2:
    pass
try:
    orphan.cwd()
    print("visible after all")
except psutil.AccessDenied:
    pass
os.kill(find_postmaster(root / "data").pid, signal.SIGKILL)
print(server.start().adopted)
print("there" if orphan.is_running() and orphan.status() != psutil.STATUS_ZOMBIE else "gone")
print(server.stop())
"""
LIFE = """
import os, sys
from pathlib import Path
from evalops_core.postgres.server import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]))
print(os.geteuid(), server.start().adopted, server.start().adopted, server.stop())
"""


@pytest.fixture
def open_root() -> Generator[Path]:
    """A folder that is not there yet, in one that anybody may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root = Path(folder) / "postgres"
        yield root
        EmbeddedServer(root).stop()


def runs_as(root: Path) -> int:
    found = find_postmaster(root / "data")
    assert found is not None
    return psutil.Process(found.pid).uids().effective


@pytest.mark.skipif(os.geteuid() == 0, reason="root is served otherwise")
def test_an_ordinary_user_runs_the_server_as_oneself(root: Path) -> None:
    assert choose_privileges(root, root / "data", find_binaries()) == ONESELF


@as_root
def test_the_life_of_a_server_of_an_ordinary_user(open_root: Path, spawn: Spawn) -> None:
    open_root.mkdir()
    os.chown(open_root, SOMEBODY, SOMEBODY)
    said, _ = spawn(LIFE, open_root, user=SOMEBODY).communicate(timeout=120)
    assert said.split() == [str(SOMEBODY), "False", "True", "True"]
    assert {path.stat().st_uid for path in open_root.rglob("*")} == {SOMEBODY}

    # Root comes along, and what it leaves behind is still the user's.
    assert not EmbeddedServer(open_root).start().adopted
    assert runs_as(open_root) == SOMEBODY
    EmbeddedServer(open_root).stop()
    assert {path.stat().st_uid for path in open_root.rglob("*") if path.name != "password"} == {SOMEBODY}
    said, _ = spawn(LIFE, open_root, user=SOMEBODY).communicate(timeout=120)
    assert said.split() == [str(SOMEBODY), "False", "True", "True"]


@as_root
def test_in_a_namespace_the_files_stay_roots(root: Path) -> None:
    if choose_privileges(root, root / "data", find_binaries()) != NAMESPACE:
        pytest.skip("the kernel allows no user namespace here")
    assert ask(EmbeddedServer(root).start().url, "SELECT 1") == 1
    assert {path.stat().st_uid for path in root.rglob("*")} == {0}


@as_root
@pytest.mark.parametrize("entering", [False, True])
def test_where_there_is_no_namespace_nobody_runs_the_server(entering: bool, open_root: Path, new_root: Path) -> None:
    # pytest's own folders are root's alone
    root, user = (new_root if entering else open_root), as_user(*nobody(), entering=entering)
    root.mkdir(parents=True)
    root.chmod(0o711)
    if not reaches(user, root, find_binaries()):
        pytest.skip("nobody cannot reach the project, or root lacks CAP_DAC_OVERRIDE")
    create_cluster(Layout(root), find_binaries(), user, 120)
    assert choose_privileges(root, root / "data", find_binaries()).owner == nobody()
    server = EmbeddedServer(root)
    started = server.start()
    assert ask(started.url, "SELECT 1") == 1
    assert runs_as(root) == nobody()[0]
    assert (server.start().adopted, server.stop()) == (True, True)
    assert {path.stat().st_uid for path in (root / "data").rglob("*")} == {nobody()[0]}
    assert (root / "password").stat().st_uid == 0


@as_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv, of util-linux")
def test_root_in_a_container_survives_a_kill_too(new_root: Path) -> None:
    """Without CAP_SYS_PTRACE, root cannot see the working folders of other users' processes."""
    container = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-all", sys.executable, "-c", KILLED, new_root]
    ended = subprocess.run(container, stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    assert ended.stdout.split() == ["False", "True", "False", "gone", "True"]


@as_root
def test_data_that_was_roots_is_given_to_whom_the_server_runs_as(own_root: Path) -> None:
    as_user(SOMEBODY, SOMEBODY).give(own_root / "data")
    assert {path.stat().st_uid for path in (own_root / "data").rglob("*")} == {SOMEBODY}
    assert ask(EmbeddedServer(own_root).start().url, "SELECT 1") == 1
    assert runs_as(own_root) == SOMEBODY


@as_root
def test_an_ordinary_user_is_told_whose_database_it_is(open_root: Path, cluster: Path, spawn: Spawn) -> None:
    shutil.copytree(cluster, open_root)
    open_root.chmod(0o777)
    (open_root / "lock").unlink()
    code = """
import sys
from pathlib import Path
from evalops_core.errors import ConfigError
from evalops_core.postgres.server import EmbeddedServer
try:
    EmbeddedServer(Path(sys.argv[1])).start()
except ConfigError as error:
    print(error)
"""
    said, _ = spawn(code, open_root, user=SOMEBODY).communicate(timeout=120)
    assert "EVALOPS_HOME" in said


@as_root
def test_where_nothing_works_it_says_what_would(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ordinary user.*EVALOPS_DATABASE_URL"):
        choose_privileges(tmp_path, tmp_path / "data", tmp_path / "no such folder")
