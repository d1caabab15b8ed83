"""The file that a command writes its result to: whole, or what it was before."""

import errno
import os
from pathlib import Path

import pytest

from evalops_core.errors import ConfigError
from evalops_dagster.cli.output_file import replacing, write_whole


def test_a_file_for_which_there_is_no_room_is_refused_in_a_sentence_and_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "report.html"
    write_whole(file, b"of yesterday")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError) as refused:
        write_whole(file, b"of today")
    assert str(refused.value) == f"{file}: cannot be written: No space left on device"
    assert file.read_bytes() == b"of yesterday"
    assert [*tmp_path.iterdir()] == [file], "a draft was left behind"


def test_what_was_written_before_something_failed_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_bytes(b"of yesterday")

    def fail() -> None:
        with replacing(file) as opened:
            opened.write(b"half of ")
            raise ConfigError("the rest cannot be read")

    with pytest.raises(ConfigError, match="the rest cannot be read"):
        fail()
    assert file.read_bytes() == b"of yesterday"
    assert [*tmp_path.iterdir()] == [file]


def test_a_device_is_no_file_to_be_replaced() -> None:
    with pytest.raises(ConfigError, match="/dev/full: cannot be written: it is not a file"):
        write_whole(Path("/dev/full"), b"of today")
    assert Path("/dev/full").is_char_device()
