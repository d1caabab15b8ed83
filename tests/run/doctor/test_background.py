from dataclasses import replace

import pytest

from evalops_core.run.doctor.background import Background, background, no_tables, out_of_reach

WELL = Background(
    found="abc", needed="abc", silent_s={"scheduler": 12.0, "sensors": 40.0}, schedules=("eval_schedule",)
)


def statuses(seen: Background, *, enabled: bool = True) -> list[str]:
    return [found.status for found in background(seen, enabled=enabled)]


def test_a_daemon_that_lives_and_a_schedule_that_is_on_are_fine() -> None:
    assert statuses(WELL) == ["ok", "ok", "ok"]


@pytest.mark.parametrize("seen", [replace(WELL, found="abd"), replace(WELL, pools=("evalops_gate",))])
def test_tables_of_another_version_and_missing_pools_are_warned_of(seen: Background) -> None:
    assert statuses(seen) == ["warning", "ok", "ok"]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (replace(WELL, silent_s={}), "no daemon has ever run on this storage"),
        (replace(WELL, silent_s={"scheduler": 10.0, "queue": 301.0}), "queue has not shown itself for 5 min"),
        (replace(WELL, silent_s={"scheduler": 30.0 * 86_400}), "has not shown itself for 30 days"),
        (replace(WELL, failing=("sensors",)), "sensors failed in its last round"),
    ],
)
def test_a_daemon_that_is_not_well_is_warned_of_and_so_is_the_schedule_that_needs_it(
    seen: Background, said: str
) -> None:
    _, daemon, schedule = background(seen, enabled=True)
    assert (daemon.status, schedule.status) == ("warning", "warning")
    assert said in daemon.seen


def test_schedules_that_nobody_wants_are_not_looked_at_and_half_a_switch_is_warned_of() -> None:
    off = replace(WELL, schedules=())
    assert statuses(off, enabled=False)[2] == "skipped"
    assert statuses(off, enabled=True)[2] == "warning"
    assert statuses(WELL, enabled=False)[2] == "warning"


def test_a_storage_that_cannot_be_asked_is_the_database_s_finding_unless_it_is_one_of_its_own() -> None:
    assert [found.status for found in out_of_reach(None)] == ["skipped"] * 3
    assert [found.status for found in out_of_reach("cannot connect")] == ["failed", "skipped", "skipped"]
    assert [found.status for found in no_tables()] == ["skipped"] * 3
