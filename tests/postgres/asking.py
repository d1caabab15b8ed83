"""One question to a server, on a connection of its own."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import psycopg2
from pydantic import SecretStr


def ask(url: SecretStr, sql: str) -> Any:
    """The first column of the first row; None where there is none."""
    with contextlib.closing(psycopg2.connect(url.get_secret_value())) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def eventually(holds: Callable[[], bool]) -> None:
    """Come back as soon as it holds, for what nothing announces."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.01)
