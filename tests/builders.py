"""What many tests need: a suite on disk, and a workshop that is wired to real parts on loopback."""

import json
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Engine

from evalops_core.domain.suite import Suite
from evalops_core.run.progress import silent
from evalops_core.settings import Settings, load_settings
from evalops_core.suites.loader import load_suite
from evalops_core.wiring import Workshop, workshop_over

JUDGED = """\
description: Answers questions about orders.
owner: team:orders
model: {name: mock-model, base_url: "%(base_url)s", parameters: {temperature: 0}}
prompt:
  - {role: user, content: "%(prompt)s"}
scorers:
  - type: judge
    rubric:
      axes:
        - {name: accuracy, description: 5 says what the reference says., weight: 2}
        - {name: clarity, description: 5 is clear.}
    fallback:
      - {type: contains}
repeats: %(repeats)d
interval: 24
"""


def write_suite(
    root: Path,
    base_url: str,
    *,
    feature: str = "orders",
    cases: int = 20,
    prompt: str = "{{ input }}",
    repeats: int = 1,
    yaml: str = JUDGED,
) -> Path:
    """A suite of `cases` cases whose ids the mock endpoint recognises; returns its folder."""
    folder = root / feature
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "suite.yaml").write_text(yaml % {"base_url": base_url, "prompt": prompt, "repeats": repeats})
    lines = [
        {"id": f"case-{number:06d}", "input": f"[case-{number:06d}] What about my order?", "reference": "It is paid."}
        for number in range(cases)
    ]
    (folder / "cases.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def make_suite(root: Path, base_url: str, **options: Any) -> Suite:
    return load_suite(write_suite(root, base_url, **options))


def judge_settings(base_url: str, home: Path, **more: Any) -> Settings:
    """Settings for the mock endpoint as model and judge, with quick retries."""
    return load_settings(
        home=home,
        judge_model="mock-judge",
        judge_base_url=base_url,
        call_timeout_s=2.0,
        call_deadline_s=60.0,
        **more,
    )


def make_workshop(engine: Engine, settings: Settings) -> Workshop:
    return workshop_over(engine, settings, report=silent)


def environment(url: SecretStr, home: Path, suites: Path, base_url: str) -> dict[str, str]:
    """EVALOPS_… variables for a process of its own over the same parts."""
    return {
        "EVALOPS_DATABASE_URL": url.get_secret_value(),
        "EVALOPS_HOME": str(home),
        "EVALOPS_SUITES": str(suites),
        "EVALOPS_JUDGE_MODEL": "mock-judge",
        "EVALOPS_JUDGE_BASE_URL": base_url,
        "EVALOPS_CALL_TIMEOUT_S": "5",
        "EVALOPS_MAX_CONCURRENCY": "8",  # so that a kill loses no more than a test can count
    }
