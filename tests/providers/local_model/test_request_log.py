from pathlib import Path

from evalops_core.providers.local_model.request_log import RequestLog


def test_a_log_that_was_just_opened_has_not_been_quiet_for_long(tmp_path: Path) -> None:
    assert 0 <= RequestLog(tmp_path / "requests.jsonl").quiet_s() < 3600


def test_nothing_is_quiet_while_a_request_is_open(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "requests.jsonl")
    with log.record("chat", b"{}"):
        assert log.quiet_s() == 0
    assert 0 <= log.quiet_s() < 3600
