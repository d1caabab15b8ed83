"""deepeval: answers by its own OpenAI model, then evaluate() with a metric that asks the judge once for three axes.

What belongs here: deepeval as its documentation teaches it. Its GEval scores one axis a call; three calls a case would
not be the same work.
"""

# The peer is installed in an environment of its own, which the checker of this one does not see.
# pyright: basic, reportMissingImports=false

import asyncio
import os
from typing import Literal

from benchmarks.peers.common import BASE_URL, IN_FLIGHT, JUDGE_PROMPT, OUT, RESUMES, mean_of, read_cases
from benchmarks.result import result_of
from benchmarks.work import AXES, JUDGE, MODEL

os.environ.update(
    DEEPEVAL_TELEMETRY_OPT_OUT="1", DEEPEVAL_UPDATE_WARNING_OPT_IN="0", ERROR_REPORTING="0", OPENAI_API_KEY="mock",
    DEEPEVAL_DISABLE_DOTENV="1", DEEPEVAL_NO_INSPECT_PROMPT="1", CONFIDENT_OPEN_BROWSER="0",
    DEEPEVAL_RESULTS_FOLDER=str(OUT.absolute()),
)  # fmt: skip

from deepeval import evaluate
from deepeval.evaluate import AsyncConfig, CacheConfig, DisplayConfig, ErrorConfig
from deepeval.metrics import BaseMetric
from deepeval.models import GPTModel
from deepeval.test_case import LLMTestCase
from pydantic import BaseModel


class Rating(BaseModel):
    reason: str
    score: Literal[1, 2, 3, 4, 5]


class Judgment(BaseModel):
    accuracy: Rating
    completeness: Rating
    clarity: Rating


_MODEL = GPTModel(model=MODEL, base_url=BASE_URL, api_key="mock")
_JUDGE = GPTModel(model=JUDGE, base_url=BASE_URL, api_key="mock")


class ThreeAxes(BaseMetric):
    async_mode = True

    def __init__(self) -> None:
        self.threshold = 0.0
        self.evaluation_model = JUDGE
        self.include_reason = False
        self.strict_mode = False

    async def a_measure(self, test_case: LLMTestCase, *_args: object, **_more: object) -> float:
        asked = JUDGE_PROMPT.format(
            input=test_case.input, reference=test_case.expected_output, answer=test_case.actual_output
        )
        judged, _ = await _JUDGE.a_generate(asked, schema=Judgment)
        self.score = mean_of({axis: getattr(judged, axis).score for axis in AXES}) / 5
        self.success, self.reason = True, str(judged)
        return self.score

    def measure(self, test_case: LLMTestCase, *_args: object, **_more: object) -> float:
        return asyncio.run(self.a_measure(test_case))

    def is_successful(self) -> bool:
        return bool(self.success)

    @property
    def __name__(self) -> str:
        return "three axes"


async def answers(questions: list[str]) -> list[str | None]:
    free = asyncio.Semaphore(IN_FLIGHT)

    async def one(question: str) -> str | None:
        async with free:
            try:
                return (await _MODEL.a_generate(question))[0]
            except Exception as error:  # noqa: BLE001 - a case without an answer is the peer's result, not ours
                print(repr(error))
                return None

    return await asyncio.gather(*(one(question) for question in questions))


def main() -> None:
    cases = read_cases()
    os.chdir(OUT)  # it writes where it is started
    said = asyncio.run(answers([case["input"] for case in cases]))
    tests = [
        LLMTestCase(name=case["id"], input=case["input"], actual_output=text, expected_output=case["reference"])
        for case, text in zip(cases, said, strict=True)
        if text is not None
    ]
    done = evaluate(
        test_cases=tests,
        metrics=[ThreeAxes()],
        async_config=AsyncConfig(run_async=True, max_concurrent=IN_FLIGHT, throttle_value=0),
        cache_config=CacheConfig(write_cache=True, use_cache=RESUMES),
        display_config=DisplayConfig(show_indicator=False, print_results=False, inspect_after_run=False),
        error_config=ErrorConfig(ignore_errors=True),
    )
    found = [metric for test in done.test_results for metric in test.metrics_data or ()]
    means = [metric.score * 5 for metric in found if metric.score is not None and not metric.error]
    result_of("deepeval", len(cases), means).print()


if __name__ == "__main__":
    main()
