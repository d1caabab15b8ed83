"""A cluster that is made once for all tests, and programs that end with their test."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Protocol

import pytest

from evalops_core.postgres.cluster import Layout
from evalops_core.postgres.locks import opened, try_exclusive
from evalops_core.postgres.server import EmbeddedServer


class Spawn(Protocol):
    def __call__(
        self, code: str, *arguments: object, user: int | None = None, env: dict[str, str] | None = None
    ) -> "subprocess.Popen[str]":
        """A Python process in a session of its own, its input and output open to the test."""
        ...


def _python_for(user: int) -> str:
    """This Python, or the system's of the same version where a user is kept from this one, as from one under /root."""
    same = shutil.which(f"python{sys.version_info.major}.{sys.version_info.minor}", path=os.defpath)
    for candidate in (sys.executable, same):
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            if candidate is not None:
                command = [candidate, "-c", "import evalops_core.postgres.server"]
                path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
                subprocess.run(command, user=user, group=user, extra_groups=[], env=path, cwd="/", check=True)
                return candidate
    pytest.skip("an ordinary user cannot reach this Python or the project")


@pytest.fixture
def spawn() -> Generator[Spawn]:
    children: list[subprocess.Popen[str]] = []

    def start(
        code: str, *arguments: object, user: int | None = None, env: dict[str, str] | None = None
    ) -> "subprocess.Popen[str]":
        child = subprocess.Popen(
            [sys.executable if user is None else _python_for(user), "-c", code, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **(env or {})},
        )
        children.append(child)
        return child

    yield start
    for child in children:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once, for that is slow; its path has spaces and is longer than a socket's may be."""
    root = tmp_path_factory.mktemp("cluster") / ("a long path with spaces " * 5).strip() / "postgres"
    server = EmbeddedServer(root)
    server.start()
    server.stop()
    return root


@pytest.fixture
def root(cluster: Path) -> Generator[Path]:
    """The folder of a server that ran before and is stopped now. What a test does to these files is undone."""
    small = [cluster / name for name in ("password", "port", "data/PG_VERSION", "data/postgresql.conf")]
    before = {path: path.read_bytes() for path in small}
    yield cluster
    EmbeddedServer(cluster).stop()
    for path, content in before.items():
        path.write_bytes(content)
        path.chmod(0o600)


@pytest.fixture
def own_root(cluster: Path, tmp_path: Path) -> Generator[Path]:
    """The same, for a test that makes of it what it likes."""
    root = tmp_path / "own" / "postgres"
    shutil.copytree(cluster, root)
    yield root
    EmbeddedServer(root).stop()
    shutil.rmtree(root, ignore_errors=True)  # 40 MB, and pytest would keep those of three runs


@pytest.fixture
def new_root(tmp_path: Path) -> Generator[Path]:
    """A folder that is not there yet."""
    root = tmp_path / "not there" / "postgres"
    yield root
    EmbeddedServer(root).stop()
    shutil.rmtree(root, ignore_errors=True)


class WaitForEnd(Protocol):
    def __call__(self, root: Path) -> None: ...


@pytest.fixture
def wait_for_end() -> WaitForEnd:
    """Wait until the kernel has seen the last process of the server go."""

    def wait(root: Path) -> None:
        with opened(Layout(root).alive) as handle:
            assert try_exclusive(handle, patience_s=60), "the server is still there"

    return wait
