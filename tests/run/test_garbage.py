"""The collector is spared while a stage works, and finds its settings again whatever becomes of the stage."""

import asyncio
import gc
from collections.abc import Generator, Sequence

import pytest

from evalops_core.run.garbage import sparing_collector
from evalops_core.run.progress import silent
from evalops_core.run.stage import run_stage


@pytest.fixture(autouse=True)
def settings() -> Generator[tuple[int, int, int], None, None]:
    """The collector's own, which no test leaves changed."""
    before = gc.get_threshold()
    yield before
    gc.set_threshold(*before)


def stage(error: Exception | None = None) -> list[tuple[int, int]]:
    """What the collector's first threshold, and its count of frozen objects, are while the stage's job is done."""
    seen: list[tuple[int, int]] = []

    async def work(job: int) -> list[int]:
        seen.append((gc.get_threshold()[0], gc.get_freeze_count()))
        if error is not None:
            raise error
        return [job]

    def save(_: Sequence[int]) -> None:
        pass

    asyncio.run(run_stage("s", range(1), work, save, concurrency=1, failed=lambda _: False, report=silent))
    return seen


def test_a_stage_is_collected_rarely_and_without_what_was_there_before(settings: tuple[int, int, int]) -> None:
    [(threshold, frozen)] = stage()
    assert threshold > 10 * settings[0]
    assert frozen > 1000
    assert (gc.get_threshold(), gc.get_freeze_count()) == (settings, 0)


def test_the_collector_has_its_settings_back_after_a_stage_that_fails(settings: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="broken"):
        stage(ValueError("broken"))
    assert (gc.get_threshold(), gc.get_freeze_count()) == (settings, 0)


@pytest.mark.parametrize("first", [0, 1_000_000])
def test_who_wants_fewer_collections_or_none_keeps_them(first: int) -> None:
    gc.set_threshold(first, 10, 10)
    with sparing_collector():
        assert gc.get_threshold()[0] == first


def test_of_blocks_that_overlap_the_last_one_puts_the_collector_back(settings: tuple[int, int, int]) -> None:
    one, other = sparing_collector(), sparing_collector()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert gc.get_threshold()[0] > settings[0], "the other one is still at work"
    assert gc.get_freeze_count() > 0
    other.__exit__(None, None, None)
    assert (gc.get_threshold(), gc.get_freeze_count()) == (settings, 0)
