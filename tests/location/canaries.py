"""Secrets that a test plants wherever one may come from, and the search for them in all that is kept.

What belongs here: the secrets, and reading whole databases and folders as text. What does not: what is done meanwhile
(test_canaries).
"""

import contextlib
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, inspect, text

STORE_PASSWORD = "canary-store-password-31f0"
DAGSTER_PASSWORD = "canary-dagster-password-58c2"
WRONG_PASSWORD = "canary-wrong-password-9d47"
ADDRESS_PASSWORD = "canary-address-password-c0de"
HEARTBEAT_TOKEN = "canary-heartbeat-token-8293"
KEYS: Mapping[str, str] = {
    "ORDERS_KEY": "canary-suite-key-77aa",  # the variable that a suite names
    "OPENAI_API_KEY": "sk-canary-openai-key-1b2c",
    "EVALOPS_MODEL_API_KEY": "canary-model-key-2c3d",
    "EVALOPS_JUDGE_API_KEY": "canary-judge-key-3d4e",
    "EVALOPS_EMBEDDING_API_KEY": "canary-embedding-key-4e5f",
    "EVALOPS_RESEND_API_KEY": "re_canary-resend-key-5f60",
    "RESEND_API_KEY": "re_canary-other-resend-key-6071",
}
CANARIES = (STORE_PASSWORD, DAGSTER_PASSWORD, WRONG_PASSWORD, ADDRESS_PASSWORD, HEARTBEAT_TOKEN, *KEYS.values())


def found(places: Mapping[str, str]) -> list[str]:
    """Where a canary sits, which, and what stands around it; whole or as the first half of one that was cut."""
    return [
        f"{place}: …{kept[max(0, at - 80) : at + 80]}…"
        for place, kept in places.items()
        for canary in CANARIES
        if (at := kept.find(canary[: len(canary) * 2 // 3])) >= 0
    ]


def rows(engine: Engine, schema: str) -> dict[str, str]:
    """Every column of every row of every table there, as text, by table."""
    quoted = engine.dialect.identifier_preparer.quote
    with engine.connect() as connection:
        return {
            f"table {schema}.{name}": "\n".join(
                _plain(value)
                for row in connection.execute(text(f"SELECT * FROM {quoted(schema)}.{quoted(name)}"))  # noqa: S608  # the catalogue's names, quoted
                for value in row
            )
            for name in inspect(engine).get_table_names(schema)
        }


def files(folder: Path) -> dict[str, str]:
    """What every file under the folder holds."""
    return {f"file {path.relative_to(folder)}": path.read_bytes().decode("utf-8", "replace") for path in _files(folder)}


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _plain(value: Any) -> str:
    """Dagster's snapshots of jobs are compressed."""
    if not isinstance(value, (bytes, memoryview)):
        return str(value)
    raw = bytes(value)
    with contextlib.suppress(zlib.error):
        raw = zlib.decompress(raw)
    return raw.decode("utf-8", "replace")
