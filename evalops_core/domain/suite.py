"""A feature's evaluation suite as the engine trusts it: every default decided, every reference resolved.

What belongs here: the suite's parts and their content hashes. What does not: reading files and complaining about them
(`evalops_core.suites`), rendering prompts (`evalops_core.suites.render`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Literal

from evalops_core.domain.chat import Message
from evalops_core.domain.json import Json, content_hash, content_hash_of_all
from evalops_core.domain.scorer import ScorerSpec


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The model as the suite names it; what it leaves out is decided by the settings."""

    name: str | None = None
    base_url: str | None = None
    parameters: Mapping[str, Json] = field(default_factory=dict[str, Json])
    api_key_env: str | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """Messages whose contents are Jinja2 templates over a case's fields; empty: a case's own messages are sent."""

    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One golden example.

    `fields` are what prompt templates see: the input's own keys, or `input` alone where the input is a string.
    `messages` is the input where it came as chat messages, and then `fields` is empty. `group` names the source that
    this case shares with others, so that standard errors can be clustered by it.
    """

    id: str
    fields: Mapping[str, Json] = field(default_factory=dict[str, Json])
    messages: tuple[Message, ...] = ()
    reference: Json = None
    metadata: Mapping[str, Json] = field(default_factory=dict[str, Json])
    group: str | None = None


@dataclass(frozen=True, slots=True)
class RegressionSpec:
    """When a lower score counts; scores and drops are on the 1–5 scale.

    `auto` chooses the statistics by what is known of the feature's noise, `fixed_drop` compares run scores alone. A
    drop of `drop` or more counts in both. `alpha`, `min_effect`, `min_cases` and `min_overlap` are those of
    `regression.sample.Rules`; `min_coverage` is the share of cases without whose scores a run says nothing.
    """

    drop: Decimal = Decimal("0.5")
    min_coverage: float = 0.95
    rule: Literal["auto", "fixed_drop"] = "auto"
    alpha: float = 0.01
    min_effect: float = 0.10
    min_cases: int = 10
    min_overlap: float = 0.8


@dataclass(frozen=True, slots=True)
class AlertSpec:
    """Who is told of the feature's incidents, `None` where the settings decide; whether mails hold texts of cases, and
    whether an incident that stays open is brought to mind once a day."""

    recipients: tuple[str, ...] | None = None
    include_texts: bool = True
    reminder: bool = False


@dataclass(frozen=True, slots=True)
class DriftSpec:
    """When what users ask counts as having moved; drifts are cosine distances in [0, 2].

    `threshold` None takes the (1 - `alpha`) quantile of what chance does to the feature's own traffic. An alert needs
    `consecutive_days` breaches in a row. The baseline is the last `baseline_window` good days; a day's sample is its
    newest `max_sample` traces, and fewer than `min_sample` usable ones say nothing. `message` is which user message of
    a trace counts: the last one where a prompt begins with example turns. `include_texts` shows people what was asked.
    """

    threshold: float | None = 0.15
    alpha: float = 0.005
    consecutive_days: int = 2
    baseline_window: int = 7
    min_sample: int = 10
    max_sample: int = 50
    message: Literal["first", "last"] = "first"
    include_texts: bool = False


@dataclass(frozen=True)
class Suite:
    """Everything one eval run of a feature needs to know.

    `interval_hours` is the length of its windows; `daily_budget_usd` the soft cap of its scheduled runs' judge spend
    in US dollars a day, `hard_cap_usd` the hard cap of what one eval run spends, None for none. `folder` is where it
    was read from.
    """

    feature: str
    cases: Sequence[Case]
    scorers: tuple[ScorerSpec, ...]
    folder: Path
    description: str = ""
    owner: str | None = None
    model: ModelSpec = ModelSpec()
    prompt: Prompt = Prompt()
    repeats: int = 1
    interval_hours: int = 24
    daily_budget_usd: Decimal | None = None
    hard_cap_usd: Decimal | None = None
    regression: RegressionSpec = RegressionSpec()
    alerts: AlertSpec = AlertSpec()
    drift: DriftSpec = DriftSpec()

    @cached_property
    def dataset_hash(self) -> str:
        """Of the cases, whatever their order in the file."""
        ids = [case.id for case in self.cases]
        by_id = sorted(range(len(ids)), key=ids.__getitem__)
        return content_hash_of_all(_case(self.cases[index]) for index in by_id)

    @cached_property
    def prompt_hash(self) -> str:
        return content_hash([_plain(message) for message in self.prompt.messages])

    @cached_property
    def rubric_hash(self) -> str:
        """Of the scorers with their weights and rubrics."""
        return content_hash([_plain(spec) for spec in self.scorers])


def _case(case: Case) -> Json:
    """The same as `_plain`, without the copies of everything that `asdict` makes: there may be 100,000 of them."""
    messages = [{"role": message.role, "content": message.content} for message in case.messages]
    return {
        "id": case.id,
        "fields": case.fields,
        "messages": messages,
        "reference": case.reference,
        "metadata": case.metadata,
        "group": case.group,
    }


def _plain(value: object) -> Json:
    return asdict(value)  # pyright: ignore[reportArgumentType]  # every caller passes a dataclass of JSON values
