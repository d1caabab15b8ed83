"""Asks an advisory service about every version that the lock files list; a known vulnerability fails.

What belongs here: telling a vulnerability from a service that cannot be asked, and the advisories that do not concern
this project, each with its reason. What does not: asking (pip-audit), what is locked (locks).

    python scripts/audit.py [--osv-url URL] [LOCK …]

Exit code 0 where nothing is known, or where the service cannot be reached, which one line says: an outage of somebody
else's must not stop a release, and the next run asks again. 1 for a vulnerability, 2 where the audit itself fails.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LOCKS = (Path("locks/runtime.txt"), Path("locks/dev.txt"), Path("locks/server.txt"))
IGNORED: Mapping[str, str] = {}
"""Advisory → why it does not concern this project, and until when that is so."""

_OUT_OF_REACH = re.compile(
    r"ConnectionError|ConnectTimeout|ReadTimeout|Could not connect to|Max retries exceeded|HTTPError: (429|5\d\d) "
)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--osv-url", help="another address of the service than api.osv.dev's")
    parser.add_argument("locks", nargs="*", type=Path, default=list(LOCKS))
    asked = parser.parse_args(arguments)
    return max(audit(lock, asked.osv_url) for lock in asked.locks)


def audit(lock: Path, osv_url: str | None = None) -> int:
    """The exit code; what was found is printed."""
    command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--format", "json"]
    command += ["--progress-spinner", "off", "--timeout", "15", "--vulnerability-service", "osv", "-r", str(lock)]
    command += [] if osv_url is None else ["--osv-url", osv_url]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    report = _report(ended.stdout)
    if report is None:
        return _without_report(lock, ended.stderr)
    found = [
        (f"{package['name']} {package['version']}", advisory)
        for package in report
        for advisory in package.get("vulns", [])
        if not IGNORED.keys() & {advisory["id"], *advisory.get("aliases", [])}
    ]
    for package, advisory in found:
        names = ", ".join([advisory["id"], *advisory.get("aliases", [])])
        mended = ", ".join(advisory.get("fix_versions", [])) or "none yet"
        print(f"{lock}: {package} is vulnerable: {names}; mended in {mended}")
    skipped = [package for package in report if "skip_reason" in package]
    for package in skipped:
        print(f"{lock}: {package['name']} could not be asked about: {package['skip_reason']}")
    if not found:
        print(f"{lock}: no known vulnerability in {len(report) - len(skipped)} packages")
    return 1 if found else 2 if skipped else 0


def _report(printed: str) -> "list[dict[str, Any]] | None":
    try:
        return json.loads(printed)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return None


def _without_report(lock: Path, complaint: str) -> int:
    last = next((line.strip() for line in reversed(complaint.splitlines()) if line.strip()), "it said nothing")
    if _OUT_OF_REACH.search(complaint):
        print(f"{lock}: not audited, the advisory service cannot be reached ({last[:200]})")
        return 0
    print(f"{lock}: the audit failed: {last[:500]}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
