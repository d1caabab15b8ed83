"""promptfoo: `promptfoo eval` with its OpenAI provider and llm-rubric; Node and promptfoo are in its folder.

What belongs here: the configuration that promptfoo reads, the command that it is started by, and reading its results.
Python is a fraction of a second of its time and none of its memory.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.peers.common import BASE_URL, IN_FLIGHT, JUDGE_PROMPT, OUT, RESUMES, SCHEMA, read_cases
from benchmarks.result import result_of
from benchmarks.work import JUDGE, MODEL

_OPENAI: dict[str, Any] = {"apiBaseUrl": BASE_URL, "apiKey": "mock", "temperature": 0}
_OFF = {
    f"PROMPTFOO_{name}": "1"
    for name in ("DISABLE_TELEMETRY", "DISABLE_UPDATE", "DISABLE_SHARING", "DISABLE_REMOTE_GENERATION", "SELF_HOSTED")
}


def configuration() -> dict[str, Any]:
    form = {"type": "json_schema", "json_schema": {"name": "judgment", "strict": True, "schema": SCHEMA}}
    judge = {
        "id": f"file://{Path(__file__).with_name('promptfoo_judge.mjs')}",
        "config": {"model": JUDGE, "openai": {**_OPENAI, "response_format": form}},
    }
    # its own variables stand in double braces where Python's stand in single ones
    asked = JUDGE_PROMPT.format(input="{{input}}", reference="{{reference}}", answer="{{output}}")
    return {
        "prompts": ["{{input}}"],
        "providers": [{"id": f"openai:chat:{MODEL}", "config": _OPENAI}],
        "defaultTest": {
            "options": {"provider": judge, "rubricPrompt": asked},
            "assert": [{"type": "llm-rubric", "value": "accurate, complete and clear", "threshold": 0}],
        },
        "tests": [
            {"description": case["id"], "vars": {"input": case["input"], "reference": case["reference"]}}
            for case in read_cases()
        ],
    }


def main() -> None:
    home = Path(os.environ["BENCH_PEER"])
    program = home / "node_modules" / "promptfoo" / "dist" / "src" / "entrypoint.js"
    config, results = OUT / "promptfooconfig.json", OUT / "results.json"
    if not RESUMES:
        config.write_text(json.dumps(configuration()))
    command = [str(home / "node_modules" / ".bin" / "node"), str(program), "eval", "-j", str(IN_FLIGHT), "-o"]
    command += [str(results), "--no-share", "--no-table", "--no-progress-bar", "--no-cache"]
    command += ["--resume"] if RESUMES else ["-c", str(config)]
    own = {"PROMPTFOO_CONFIG_DIR": str(OUT / "promptfoo"), "PROMPTFOO_FAILED_TEST_EXIT_CODE": "0"}
    subprocess.run(command, cwd=OUT, env={**os.environ, **_OFF, **own}, stdout=sys.stderr, check=False)
    each: list[dict[str, Any]] = json.loads(results.read_text())["results"]["results"] if results.exists() else []
    means = [score for one in each if (score := judged(one)) is not None]
    result_of("promptfoo", len(read_cases()), means).print()


def judged(one: dict[str, Any]) -> float | None:
    """None where the judge's reply could not be had: promptfoo scores that 0."""
    grading: dict[str, Any] = one.get("gradingResult") or {}
    graded: list[dict[str, Any]] = grading.get("componentResults") or []
    if not graded or not str(graded[0].get("reason", "")).startswith("judged:"):
        return None
    return 5 * float(graded[0]["score"])


if __name__ == "__main__":
    main()
