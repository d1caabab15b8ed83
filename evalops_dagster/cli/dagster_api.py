"""Dagster's web server, asked as its own pages ask it.

What belongs here: the few questions and orders that commands have. What does not: the server's process
(dagster_process). By the standard library, for importing Dagster's client takes seconds, and a proxy of the environment
has no business on loopback.
"""

import http.client
import json
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from evalops_core.errors import EvalOpsError

LOCATION: Final = "evalops"  # as in workspace.yaml
STEPS: Final = ("golden_cases", "responses", "judgments", "eval_score")
COVERAGE: Final = "coverage"  # the check that a run makes itself; the others are reported by sensors
ENDED: Final = ("SUCCESS", "FAILURE", "CANCELED")
_TIMEOUT_S = 30

_LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on Error { message } } }"""
_STATUS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } ... on Error { message } } }"
_ACTIVE = """query($location: String!) { runsOrError(filter: {statuses: [STARTING, STARTED, CANCELING],
  tags: [{key: "dagster/code_location", value: $location}]}) { ... on Runs { results { runId } } } }"""
_CANCEL = (
    """mutation($ids: [String!]!) { terminateRuns(runIds: $ids, terminatePolicy: SAFE_TERMINATE) { __typename } }"""
)
_FAILURES = """query($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
  ... on RunFailureEvent { message error { message cause { message } } }
  ... on ExecutionStepFailureEvent { stepKey failureMetadata { description } error { message cause { message } } }
} } } }"""


@dataclass(frozen=True, slots=True)
class DagsterApi:
    """The server at `url`. What is asked raises EvalOpsError where it does not answer, or not with what was asked."""

    url: str

    def launch(self, job: str, tags: dict[str, str], features: Sequence[str] = ()) -> str:
        """The id of the new run, queued: of the whole job, or of `features` and the trend alone.

        EvalOpsError where Dagster refuses, with its reason.
        """
        chains = [[feature, step] for feature in features for step in STEPS]
        coverage = [{"assetKey": {"path": [feature, STEPS[-1]]}, "name": COVERAGE} for feature in features]
        chosen = {"assetSelection": [{"path": path} for path in (*chains, ["eval_trend"])]} if features else {}
        answer = self._ask(
            _LAUNCH,
            params={
                "selector": {
                    "jobName": job,
                    "repositoryName": "__repository__",
                    "repositoryLocationName": LOCATION,
                    **chosen,
                    **({"assetCheckSelection": coverage} if features else {}),
                },
                "runConfigData": {},
                "mode": "default",
                "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
            },
        )["launchRun"]
        if "run" not in answer:
            raise EvalOpsError(f"Dagster refused to launch {job}: {answer.get('message', answer['__typename'])}")
        return answer["run"]["runId"]

    def status(self, run_id: str) -> str:
        """QUEUED, STARTING, STARTED, …, and in the end one of `ENDED`."""
        answer = self._ask(_STATUS, id=run_id)["runOrError"]
        if "status" not in answer:
            raise EvalOpsError(f"Dagster does not know run {run_id}: {answer.get('message', 'without a reason')}")
        return answer["status"]

    def failures(self, run_id: str) -> list[str]:
        """`step: reason` of each step that failed, or else why the run did; a step that was skipped has no reason."""
        events = self._ask(_FAILURES, id=run_id)["logsForRun"].get("events", [])
        steps = [f"{event['stepKey'].replace('__', '/')}: {_reason(event)}" for event in events if "stepKey" in event]
        return steps or [_reason(event) for event in events if "message" in event]

    def active(self) -> list[str]:
        """The runs of this code location that a process works on."""
        answer = self._ask(_ACTIVE, location=LOCATION)["runsOrError"]
        return [run["runId"] for run in answer.get("results", [])]

    def cancel(self, run_ids: list[str]) -> None:
        """Ask the runs' processes to end; they do so by themselves, a little later."""
        self._ask(_CANCEL, ids=run_ids)

    def answers(self) -> bool:
        try:
            with _direct().open(f"{self.url}/server_info", timeout=5):
                return True
        except (OSError, http.client.HTTPException):
            return False

    def _ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})  # noqa: S310 - our own http:// address
        try:
            with _direct().open(request, timeout=_TIMEOUT_S) as reply:
                answer = json.load(reply)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise EvalOpsError(f"Dagster's web server at {self.url} does not answer: {error}") from error
        if answer.get("errors"):
            raise EvalOpsError(f"Dagster's web server has a problem: {answer['errors'][0].get('message')}")
        return answer["data"]


def _direct() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _reason(event: dict[str, Any]) -> str:
    described = (event.get("failureMetadata") or {}).get("description")
    error = event.get("error") or {}
    said = described or (error.get("cause") or {}).get("message") or error.get("message") or event.get("message")
    return (said or "it did not say why").strip().splitlines()[0]
