"""The audit of the locks against a stand-in for the advisory service on loopback."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from evalops_dagster.cli.stack import free_port
from scripts import audit

HASH = "sha256:" + "0" * 64
ADVISORY = {
    "id": "PYSEC-2026-1",
    "aliases": ["CVE-2026-0001"],
    "modified": "2026-01-01T00:00:00Z",
    "published": "2026-01-01T00:00:00Z",
    "summary": "Everything may be read.",
    "affected": [
        {
            "package": {"name": "leaky", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.3"}]}],
        }
    ],
}


@dataclass
class Service:
    """Answers as api.osv.dev does: an empty object, or the advisories of the package."""

    url: str = ""
    status: int = 200
    asked: list[str] = field(default_factory=list[str])


@pytest.fixture
def service() -> Iterator[Service]:
    state = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked: Any = json.loads(self.rfile.read(int(self.headers["content-length"])))
            name = asked["package"]["name"]
            state.asked.append(f"{name} {asked['version']}")
            body = json.dumps({"vulns": [ADVISORY]} if name == "leaky" else {}).encode()
            self.send_response(state.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        state.url = f"http://127.0.0.1:{server.server_port}/v1/query"
        yield state
        server.shutdown()


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))  # pip-audit keeps answers
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "lock.txt"


def written(lock: Path, *packages: str) -> str:
    lock.write_text("".join(f"{package} \\\n    --hash={HASH}\n" for package in packages))
    return str(lock)


def test_a_known_vulnerability_fails(service: Service, lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = audit.main(["--osv-url", service.url, written(lock, "sound==2.0", "leaky==1.2")])
    assert (code, capsys.readouterr().out) == (
        1,
        f"{lock}: leaky 1.2 is vulnerable: PYSEC-2026-1, CVE-2026-0001; mended in 1.3\n",
    )
    assert sorted(service.asked) == ["leaky 1.2", "sound 2.0"]


def test_nothing_known_passes_and_an_advisory_that_does_not_concern_us_is_left_out(
    service: Service, lock: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "IGNORED", {"CVE-2026-0001": "nothing of ours calls it"})
    assert audit.main(["--osv-url", service.url, written(lock, "sound==2.0", "leaky==1.2")]) == 0
    assert capsys.readouterr().out == f"{lock}: no known vulnerability in 2 packages\n"


@pytest.mark.parametrize("status", [0, 503], ids=["nobody listens", "an outage"])
def test_a_service_that_cannot_be_asked_is_one_line_and_no_failure(
    service: Service, lock: Path, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    service.status = status
    url = service.url if status else f"http://127.0.0.1:{free_port('127.0.0.1', 0, exactly=True)}/v1/query"
    assert audit.main(["--osv-url", url, written(lock, "leaky==1.2")]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"{lock}: not audited, the advisory service cannot be reached (")
    assert (said.out.count("\n"), said.err) == (1, "")


def test_a_lock_that_cannot_be_read_or_a_question_that_is_refused_fails(
    service: Service, lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.main(["--osv-url", service.url, str(lock)]) == 2
    assert capsys.readouterr().err.startswith(f"{lock}: the audit failed: ")
    service.status = 400
    assert audit.main(["--osv-url", service.url, written(lock, "leaky==1.2")]) == 2


def test_what_is_ignored_has_a_reason_and_the_locks_are_there() -> None:
    assert all(len(reason.split()) > 3 for reason in audit.IGNORED.values())
    assert {lock.name for lock in audit.LOCKS} == {path.name for path in Path("locks").glob("*.txt")}
