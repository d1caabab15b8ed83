import pytest

from evalops_core.run.doctor import machine
from evalops_core.run.doctor.finding import failed, is_healthy, ok, skipped, warning
from evalops_core.run.doctor.machine import Room


def test_a_variable_that_is_nearly_a_setting_is_a_slip_and_one_of_the_platform_is_not() -> None:
    known = ["EVALOPS_MODEL", "EVALOPS_ALERT_TO", "EVALOPS_UI_PORT", "EVALOPS_HOME"]
    slip = machine.settings("/home", ["EVALOPS_ALERTS_TO", "EVALOPS_MODLE"], known)
    assert (slip.status, slip.seen) == (
        "warning",
        "EVALOPS_ALERTS_TO is no setting, and EVALOPS_ALERT_TO is; EVALOPS_MODLE is no setting, and EVALOPS_MODEL is",
    )
    platform = ["EVALOPS_PORT", "EVALOPS_SERVICE_HOST", "EVALOPS_PORT_80_TCP_ADDR", "EVALOPS_DEV_MARK"]
    assert machine.settings("/home", platform, known).status == "ok"


@pytest.mark.parametrize(
    ("free", "status"),
    [(1_000_000_000, "ok"), (999_999_999, "warning"), (200_000_000, "warning"), (199_999_999, "failed")],
)
def test_the_folder_with_the_least_room_decides(free: int, status: str) -> None:
    rooms = [Room("EVALOPS_HOME", "/home", 10**12, writable=True), Room("temp", "/tmp", free, writable=True)]  # noqa: S108  # a name
    assert machine.disk(rooms).status == status


def test_a_folder_that_may_not_be_written_to_has_failed_however_much_room_it_has() -> None:
    found = machine.disk([Room("EVALOPS_HOME", "/home", 10**12, writable=False)])
    assert (found.status, found.seen) == ("failed", "EVALOPS_HOME /home may not be written to")


@pytest.mark.parametrize(
    ("ahead_s", "status"),
    [({}, "skipped"), ({"a": 5.0, "b": -4.0}, "ok"), ({"a": 1.0, "b": -5.1}, "warning"), ({"a": 60.1}, "failed")],
)
def test_the_clock_that_differs_most_decides(ahead_s: dict[str, float], status: str) -> None:
    assert machine.clock(ahead_s).status == status


def test_a_clock_is_said_to_be_ahead_or_behind() -> None:
    assert machine.clock({"a": 1.0, "b": -70.0}).seen == "this host's clock is 70.0 s behind that of b"
    assert machine.clock({"b": 0.0, "a": 0.0}).seen == "this host's clock agrees with that of a, b"
    assert machine.clock({"b": 7.0}).seen == "this host's clock is 7.0 s ahead of that of b"


def test_each_broken_suite_is_a_finding_of_its_own() -> None:
    found = machine.suites(["orders"], {"torn": "suite.yaml:1: no", "bent": "suite.yaml:2: no"})
    assert [(it.status, it.seen) for it in found] == [
        ("failed", "torn: suite.yaml:1: no"),
        ("failed", "bent: suite.yaml:2: no"),
    ]
    assert [it.status for it in machine.suites(["orders"], {})] == ["ok"]


def test_warnings_are_healthy_unless_one_is_strict_and_what_was_skipped_always_is() -> None:
    warned = [ok("a", "."), skipped("b", "."), warning("c", ".", ".")]
    assert is_healthy(warned)
    assert not is_healthy(warned, strict=True)
    assert is_healthy(warned[:2], strict=True)
    assert not is_healthy([*warned, failed("d", ".", ".")])
