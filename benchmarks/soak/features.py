"""Two features whose scores are scripted, and the endpoints that give the answers.

What belongs here: suites of hourly windows, the model's and the judge's mocks, a fall and the way back. What does not:
when a score falls (week_plan). `orders` is judged by a judge, `returns` by what its answers contain, so that each falls
by itself.
"""

import json
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from tests.builders import environment
from tests.mock_fixture import MockOpenAI, start_mock
from tests.mock_resend.fixture import MockResend, start_mock_resend

ORDERS, RETURNS = "orders", "returns"
FEATURES = (ORDERS, RETURNS)
IN_FLIGHT = 4
TEAM = "team@example.com"
_PAID = "It is paid."
_SUITE = """\
description: Answers questions about {feature}.
owner: team:{feature}
model: {{name: mock-model, base_url: "{base_url}", parameters: {{temperature: 0}}}}
prompt:
  - {{role: user, content: "{{{{ input }}}}"}}
scorers:
{scorers}
repeats: 1
interval: 1
"""
_SCORERS = {
    ORDERS: """\
  - type: judge
    rubric:
      axes:
        - {name: accuracy, description: 5 says what the reference says.}
        - {name: clarity, description: 5 is clear.}""",
    RETURNS: "  - {type: contains}",
}
Call = tuple[str, str]  # kind, case


@dataclass(frozen=True)
class Endpoints:
    """The model, the judge, and the mail server; `cases` of each feature."""

    model: MockOpenAI
    judge: MockOpenAI
    resend: MockResend
    cases: int

    def behave(self, fallen: Collection[str], latency_ms: float) -> None:
        """Forget what was asked, and answer so that the scores of `fallen` are low."""
        answer = "Please ask somebody else." if RETURNS in fallen else _PAID
        low = {axis: {"reason": "it is wrong", "score": 1} for axis in ("accuracy", "clarity")}
        high = {axis: {"reason": "it is right", "score": 4} for axis in ("accuracy", "clarity")}
        for mock, model, content in (
            (self.model, "mock-model", answer),
            (self.judge, "mock-judge", json.dumps(low if ORDERS in fallen else high)),
        ):
            mock.reset()
            mock.configure(latency_ms=latency_ms, raw_body=json.dumps(_completion(model, content)))

    def asked(self) -> list[Call]:
        """Every call since the last `behave`; those of the model are `generate`, those of the judge `judge`."""
        return [
            (kind, str(entry["key"]))
            for mock, kind in ((self.model, "generate"), (self.judge, "judge"))
            for entry in mock.requests()
        ]

    def in_flight(self) -> int:
        return sum(int(mock.stats()["in_flight"]) for mock in (self.model, self.judge))

    def calls_of_a_window(self) -> list[Call]:
        """Those that one window of both features needs."""
        generated = [("generate", case_id(feature, at)) for feature in FEATURES for at in range(self.cases)]
        return generated + [("judge", case_id(ORDERS, at)) for at in range(self.cases)]


@contextmanager
def endpoints(cases: int) -> Generator[Endpoints]:
    """Each a process of its own, ended with the block."""
    (one, model), (two, judge), (three, resend) = start_mock(), start_mock(), start_mock_resend()
    with one, two, three:
        try:
            yield Endpoints(model, judge, resend, cases)
        finally:
            for process in (one, two, three):
                process.terminate()


def write_suites(suites: Path, to: Endpoints) -> None:
    """The ids of the cases are the feature's own, by which the endpoint tells whom it was asked for."""
    for feature in FEATURES:
        folder = suites / feature
        folder.mkdir(parents=True)
        yaml = _SUITE.format(feature=feature, base_url=to.model.base_url, scorers=_SCORERS[feature])
        (folder / "suite.yaml").write_text(yaml)
        lines = [
            {"id": case_id(feature, at), "input": f"[{case_id(feature, at)}] What about it?", "reference": _PAID}
            for at in range(to.cases)
        ]
        (folder / "cases.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def case_id(feature: str, number: int) -> str:
    return f"case-{FEATURES.index(feature)}{number:05}"


def variables(database: SecretStr, folder: Path, to: Endpoints) -> Mapping[str, str]:
    """The environment of a deployment over the suites in `folder`/suites, but for those of its location."""
    return {
        **environment(database, folder / "home", folder / "suites", to.judge.base_url),
        "EVALOPS_MAX_CONCURRENCY": str(IN_FLIGHT),
        "EVALOPS_CALL_TIMEOUT_S": "60",  # on a busy machine a second attempt would look like a case paid twice
        "EVALOPS_GATE_WAIT_S": "300",
        "EVALOPS_SCHEDULED_ENABLED": "true",
        "EVALOPS_GIT_SHA": "none",  # asking git takes each run several processes
        "EVALOPS_RESEND_API_KEY": to.resend.api_key,
        "EVALOPS_RESEND_BASE_URL": to.resend.base_url,
        "EVALOPS_ALERT_TO": TEAM,
    }


def _completion(model: str, content: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25},
    }
