import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from evalops_core.errors import ConfigError
from evalops_core.providers.local_model import openmp
from evalops_core.providers.local_model.catalogue import PinnedFile
from tests.providers.local_model.wheels import Index, quietly

pytestmark = pytest.mark.skipif(
    not openmp.obtainable(), reason="only on Linux with glibc on x86-64 a library can be fetched"
)
LOAD = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"


@pytest.fixture
def index(tmp_path: Path) -> Index:
    """Serves a real shared library (any will do) under a name that no machine has."""
    spec = importlib.util.find_spec("orjson.orjson")
    assert spec is not None
    assert spec.origin is not None
    index = Index(tmp_path / "index", Path(spec.origin).read_bytes())
    index.file = replace(index.file, name="libevalops-of-a-test.so.1")
    return index


def loading(library: PinnedFile, environment: dict[str, str] | None) -> int:
    """The exit code of a new process that loads the library by its name."""
    command = [sys.executable, "-c", LOAD, library.name]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL, env=environment).returncode


def test_a_new_process_finds_a_fetched_library(tmp_path: Path, index: Index) -> None:
    root = tmp_path / "a root with späces"
    assert loading(index.file, openmp.environment(root, index.file)) == 1
    openmp.provide(root, quietly, index.file, index.download)
    openmp.provide(root, quietly, index.file, index.download)
    assert index.asked == 1
    assert loading(index.file, None) == 1
    assert loading(index.file, openmp.environment(root, index.file)) == 0


def test_where_the_machine_has_the_library_nothing_is_fetched(tmp_path: Path, index: Index) -> None:
    present = replace(index.file, name="libc.so.6")
    openmp.provide(tmp_path, quietly, present, index.download)
    assert index.asked == 0
    assert not (tmp_path / "models").exists()
    assert openmp.environment(tmp_path, present) is None


def test_folders_that_are_searched_already_come_first(
    tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/a:/opt/b")
    found = openmp.environment(tmp_path, index.file)
    assert found is not None
    assert found["LD_LIBRARY_PATH"] == f"/opt/a:/opt/b:{tmp_path / 'models'}"
    assert {**found, "LD_LIBRARY_PATH": "/opt/a:/opt/b"} == dict(os.environ)


def test_a_library_of_other_bytes_is_refused(tmp_path: Path, index: Index) -> None:
    altered = replace(index.file, sha256="0" * 64)
    with pytest.raises(ConfigError, match=r"apt-get install libgomp1.*has SHA-256"):
        openmp.provide(tmp_path, quietly, altered, index.download)
    assert not (tmp_path / "models" / altered.name).exists()


def test_where_none_can_be_fetched_the_error_says_how_to_install_it(tmp_path: Path, index: Index) -> None:
    def refuse(_package: str, _folder: Path, _on_bytes: Callable[[int], None]) -> Path:
        raise ConfigError("there is no index")

    with pytest.raises(ConfigError, match=r"apt-get install libgomp1.*there is no index"):
        openmp.provide(tmp_path, quietly, index.file, refuse)


@pytest.mark.parametrize("machine", ["aarch64", "ppc64le", "riscv64"])
def test_other_processors_are_never_given_the_build_for_x86(machine: str) -> None:
    assert not openmp.obtainable(machine)
