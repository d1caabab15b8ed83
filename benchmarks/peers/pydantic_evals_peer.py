"""pydantic-evals: a Dataset whose task is a pydantic-ai agent, and an evaluator that is another one.

What belongs here: pydantic-evals as its documentation teaches it, with the retries that it offers switched on.
"""

# The peer is installed in an environment of its own, which the checker of this one does not see.
# pyright: basic, reportMissingImports=false

import asyncio
import json
import os
from dataclasses import dataclass
from typing import Literal

from benchmarks.peers.common import BASE_URL, IN_FLIGHT, JUDGE_PROMPT, OUT, mean_of, read_cases
from benchmarks.result import result_of
from benchmarks.work import AXES, JUDGE, MODEL

os.environ.update(LOGFIRE_SEND_TO_LOGFIRE="false", PYDANTIC_DISABLE_PLUGINS="__all__")

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import Evaluator, EvaluatorContext
from tenacity import stop_after_attempt, wait_random_exponential


class Rating(BaseModel):
    reason: str
    score: Literal[1, 2, 3, 4, 5]


class Judgment(BaseModel):
    accuracy: Rating
    completeness: Rating
    clarity: Rating


_PROVIDER = OpenAIProvider(base_url=BASE_URL, api_key="mock")
_ANSWERER = Agent(OpenAIChatModel(MODEL, provider=_PROVIDER), model_settings={"temperature": 0})
_JUDGE = Agent(
    OpenAIChatModel(JUDGE, provider=_PROVIDER), output_type=NativeOutput(Judgment), model_settings={"temperature": 0}
)


@dataclass
class ThreeAxes(Evaluator):
    async def evaluate(self, ctx: EvaluatorContext) -> dict[str, int]:
        asked = JUDGE_PROMPT.format(input=ctx.inputs, reference=ctx.expected_output, answer=ctx.output)
        judged = (await _JUDGE.run(asked)).output
        return {axis: getattr(judged, axis).score for axis in AXES}


async def answer(question: str) -> str:
    return (await _ANSWERER.run(question)).output


def main() -> None:
    cases = [Case(name=case["id"], inputs=case["input"], expected_output=case["reference"]) for case in read_cases()]
    retry = {"stop": stop_after_attempt(6), "wait": wait_random_exponential(multiplier=0.5, max=10)}
    report = asyncio.run(
        Dataset(name="bench", cases=cases, evaluators=[ThreeAxes()]).evaluate(
            answer, max_concurrency=IN_FLIGHT, progress=False, retry_task=retry, retry_evaluators=retry
        )
    )
    means: list[float] = []
    with (OUT / "report.jsonl").open("w", encoding="utf-8") as file:  # it keeps nothing by itself
        for case in report.cases:
            scores = {name: int(score.value) for name, score in case.scores.items()}
            if len(scores) == len(AXES):
                means.append(mean_of(scores))
            file.write(json.dumps({"id": case.name, "output": case.output, "scores": scores}) + "\n")
    for failure in report.failures[:3]:
        print(failure.error_message)
    result_of("pydantic-evals", len(cases), means).print()


if __name__ == "__main__":
    main()
