"""inspect-ai: a task of its own kind, with a scorer that asks its judge once a case and reads three axes.

What belongs here: inspect-ai as its documentation teaches it, and continuing an interrupted log by eval_retry.
"""

# The peer is installed in an environment of its own, which the checker of this one does not see.
# pyright: basic, reportMissingImports=false

import os

from benchmarks.peers.common import BASE_URL, IN_FLIGHT, JUDGE_PROMPT, OUT, RESUMES, SCHEMA, mean_of, read_cases
from benchmarks.peers.common import scores_in as parsed
from benchmarks.result import result_of
from benchmarks.work import AXES, JUDGE, MODEL

os.environ.update(OPENAI_BASE_URL=BASE_URL, OPENAI_API_KEY="mock", INSPECT_LOG_LEVEL="error")

from inspect_ai import Task, eval_retry, task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import read_eval_log
from inspect_ai.model import GenerateConfig, ResponseSchema, get_model
from inspect_ai.scorer import Score, mean, scorer
from inspect_ai.solver import generate
from inspect_ai.util import JSONSchema


@scorer(metrics={axis: [mean()] for axis in AXES})
def three_axes():
    judge = get_model(f"openai/{JUDGE}")
    schema = ResponseSchema(name="judgment", json_schema=JSONSchema.model_validate(SCHEMA), strict=True)

    async def score(state, target):
        asked = JUDGE_PROMPT.format(input=state.input_text, reference=target.text, answer=state.output.completion)
        reply = await judge.generate(asked, config=GenerateConfig(response_schema=schema, temperature=0))
        return Score(value=parsed(reply.completion), answer=state.output.completion)

    return score


@task
def bench():
    samples = [Sample(id=case["id"], input=case["input"], target=case["reference"]) for case in read_cases()]
    return Task(
        dataset=MemoryDataset(samples), solver=generate(), scorer=three_axes(), config=GenerateConfig(temperature=0)
    )


def main() -> None:
    how = {"log_dir": str(OUT), "display": "none", "fail_on_error": False}
    how |= {"max_connections": IN_FLIGHT, "max_samples": IN_FLIGHT}
    before = sorted(OUT.glob("*.eval"))
    if RESUMES and before:
        log = eval_retry(read_eval_log(str(before[-1])), **how)[0]
    else:
        log = evaluate(bench(), model=f"openai/{MODEL}", **how)[0]
    scored = [next(iter(sample.scores.values())).value for sample in log.samples or () if sample.scores]
    result_of("inspect-ai", log.eval.dataset.samples or 0, [mean_of(value) for value in scored]).print()


if __name__ == "__main__":
    main()
