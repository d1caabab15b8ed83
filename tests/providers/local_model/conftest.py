"""The real models' files, where they have been fetched, and a real server over them."""

from collections.abc import Generator
from pathlib import Path

import pytest

from evalops_core.providers.local_model.catalogue import OPENMP_FILE
from evalops_core.providers.local_model.files import check
from evalops_core.providers.local_model.process import ModelServer
from evalops_core.settings import load_settings
from tests.providers.local_model.calls import ServerUnderTest


@pytest.fixture(scope="session")
def fetched() -> Path:
    """The folder that holds the models' files; skips the test without them."""
    home = load_settings().home
    if any(found.state != "ok" for found in check(home)):
        pytest.skip("the embedded model's files are not there; run `evalops model fetch`")
    return home / "models"


@pytest.fixture
def model_root(fetched: Path, tmp_path: Path) -> Generator[Path, None, None]:
    """A root of its own with the files in place, without a server before and after."""
    root = rooted(fetched, tmp_path / "a root with späces")
    yield root
    ModelServer(root).stop()


@pytest.fixture(scope="session")
def server(fetched: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[ServerUnderTest, None, None]:
    """One server with two engines for every test that only asks."""
    root = rooted(fetched, tmp_path_factory.mktemp("asked"))
    yield ServerUnderTest(root, ModelServer(root, engines=2).start().url)
    ModelServer(root).stop()


def rooted(fetched: Path, root: Path) -> Path:
    (root / "models").mkdir(parents=True)
    for found in check(fetched.parent):
        (root / "models" / found.path.name).symlink_to(found.path)
    library = fetched / OPENMP_FILE.name  # on machines that have none of their own
    if library.exists():
        (root / "models" / library.name).symlink_to(library)
    return root
