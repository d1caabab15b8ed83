"""What one eval run is going to do, decided before anything is called or stored.

What belongs here: the choice of cases and the key that says which stored results may be continued. What does not:
which endpoint a suite's model is at (wiring decides), what is already done (the stages find out).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from evalops_core.domain.chat import ModelRef
from evalops_core.domain.comparability import ComparabilityKey
from evalops_core.domain.eval_run import RunType
from evalops_core.domain.json import content_hash
from evalops_core.domain.scorer import ScorerSpec, axis_weights
from evalops_core.domain.suite import Case, Suite
from evalops_core.domain.window import Window

CHUNK = 500  # cases whose rows are in memory at a time


@dataclass(frozen=True)
class Plan:
    """One evaluation of `suite` for `window`.

    `model`, `judge` and `embedding` are decided endpoints: `judge` None where rules score, `embedding` where no scorer
    pays for embeddings (the embedded model's are free). `specs` are the scorers in force and `scorers_version` the
    content hash of them and their code. `limit` takes the first cases only. `dagster_run_id` is
    the root of the Dagster run's re-executions. `asked_at` is when the run was launched, None for now; `past_windows`
    whether a window that had ended by then may be evaluated all the same. `confirms_run_id` is the scheduled run whose
    fall this one, by hand, is to confirm. `use_cache` False asks the judge even what it was asked before.
    """

    suite: Suite
    window: Window
    run_type: RunType
    model: ModelRef
    judge: ModelRef | None
    embedding: ModelRef | None
    specs: tuple[ScorerSpec, ...]
    scorers_version: str
    limit: int | None = None
    git_sha: str | None = None
    dagster_run_id: str | None = None
    asked_at: datetime | None = None
    past_windows: bool = False
    confirms_run_id: int | None = None
    use_cache: bool = True

    @property
    def cases(self) -> Sequence[Case]:
        return self.suite.cases if self.limit is None else self.suite.cases[: self.limit]

    def chunks(self) -> Iterator[Sequence[Case]]:
        """The cases in their order, some at a time: there may be more than fit into memory with their rows."""
        return (self.cases[start : start + CHUNK] for start in range(0, len(self.cases), CHUNK))

    @property
    def weights(self) -> dict[tuple[str, str], float]:
        return axis_weights(self.specs)

    @property
    def resume_key(self) -> str:
        """Digest of what an interrupted run must share with this plan to be continued: the key and the endpoints."""
        judge = self.judge.base_url if self.judge else None
        return content_hash([self.key.as_json(), self.model.base_url, judge])

    @property
    def key(self) -> ComparabilityKey:
        """As asked for: `model` and `judge` by the names in the configuration, not yet as resolved."""
        whole = self.limit is None or self.limit >= len(self.suite.cases)
        return ComparabilityKey(
            dataset=self.suite.dataset_hash,
            prompt=self.suite.prompt_hash,
            scorers=self.scorers_version,
            model=self.model.name,
            parameters=self.model.parameters,
            judge=self.judge.name if self.judge else None,
            judge_parameters=self.judge.parameters if self.judge else {},
            repeats=self.suite.repeats,
            cases=None if whole else self.limit,
        )
