"""The whole path on the real embedded model, killed in the middle: its own request log shows who was paid twice."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from evalops_core.providers.local_model.process import ModelServer
from evalops_core.settings import load_settings
from evalops_core.store.results import CaseResults
from evalops_core.store.runs import EvalRuns
from tests.acceptance.conftest import Command

CASES = 14
SUITE = """\
description: Names the opposite of a word.
model: {base_url: embedded, parameters: {temperature: 0, max_tokens: 24}}
prompt:
  - {role: user, content: "What is the opposite of {{ word }}? Answer in a short sentence."}
scorers:
  - {type: similarity, floor: 0.1, ceiling: 0.8}
  - {name: word, type: contains}
"""
WORDS = ("hot cold", "big small", "up down", "day night", "fast slow", "old new", "rich poor", "wet dry", "hard soft",
         "open closed", "full empty", "light dark", "happy sad", "first last")  # fmt: skip


@pytest.fixture
def models(evalops: Command, tmp_path: Path) -> ModelServer:
    """A model server of the test's own over the files that `evalops model fetch` has put on this machine."""
    files = load_settings().home / "models"
    if not files.is_dir():
        pytest.skip("the embedded model's files are not here; `evalops model fetch` gets them")
    home = Path(evalops.environment["EVALOPS_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    (home / "models").symlink_to(files)
    del evalops.environment["EVALOPS_JUDGE_MODEL"]
    folder = tmp_path / "suites" / "opposites"
    folder.mkdir(parents=True)
    (folder / "suite.yaml").write_text(SUITE)
    lines = [
        {"id": pair.split()[0], "input": {"word": pair.split()[0]}, "reference": pair.split()[1]} for pair in WORDS
    ]
    (folder / "cases.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return ModelServer(home)


def answered(log: Path) -> list[dict[str, Any]]:
    """The chat requests that the server answered, oldest first."""
    entries = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [e for e in entries if e["event"] == "finished" and e["kind"] == "chat" and e["status"] == 200]


@pytest.mark.model
@pytest.mark.process
def test_a_killed_run_on_the_embedded_model_goes_on_and_no_stored_answer_is_generated_again(
    evalops: Command, models: ModelServer, engine: Engine
) -> None:
    log = Path(evalops.environment["EVALOPS_HOME"]) / "model" / "requests.jsonl"
    try:
        models.start()  # ours, so that it outlives the command that is killed
        victim = evalops.start("run", "--json")
        deadline = time.monotonic() + 90
        while len(answered(log)) < 5:
            assert victim.poll() is None, victim.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        victim.kill()
        victim.wait()
        runs, results = EvalRuns(engine), CaseResults(engine)
        (killed,) = runs.recent("opposites", 5)
        stored = results.responses(killed.id)
        before = len(answered(log))
        assert 5 <= before < CASES

        (finished,) = evalops.json("run", "--json")
        again = answered(log)
        assert finished["id"] == killed.id
        assert (finished["n"], finished["status"]) == (CASES, "completed")
        assert len(again) - before <= CASES - len(stored) + 1, "stored answers were generated again"
        twice = [body for body, times in Counter(entry["body_sha256"] for entry in again).items() if times > 1]
        assert len(twice) <= 2, "only what the two engines had in flight may have been generated twice"
        assert Counter(row.case_id for row in results.responses(killed.id)) == {pair.split()[0]: 1 for pair in WORDS}
        kept = {row.case_id: row.text for row in stored}
        assert kept.items() <= {row.case_id: row.text for row in results.responses(killed.id)}.items()
    finally:
        models.stop()
