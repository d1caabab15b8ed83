from pathlib import Path

import pytest

from evalops_core.errors import ConfigError
from evalops_core.suites.loader import load_suite
from evalops_core.suites.scaffold import create_suite


def test_a_new_suite_works_as_it_is(tmp_path: Path) -> None:
    folder = create_suite("my_feature", tmp_path / "my suites")
    suite = load_suite(folder)
    assert (folder, suite.feature) == (tmp_path / "my suites" / "my_feature", "my_feature")
    assert 3 <= len(suite.cases) <= 5


def test_a_taken_name_is_refused_and_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("mine", "link"):
        with pytest.raises(ConfigError, match="exists already"):
            create_suite(name, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "mine"]
    assert not list((tmp_path / "mine").iterdir())


@pytest.mark.parametrize("name", ["", "My", "../x", "a/b", "a-b", ".a", "a" * 64])
def test_a_bad_name_is_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="a feature is named by"):
        create_suite(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_to_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="cannot be written"):
        create_suite("mine", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "x"
