"""What a team writes: `suite.yaml` and the lines of `cases.jsonl`, as strict models that also give the JSON Schema.

What belongs here: every key, its type, its default and its meaning. What does not: scorers' keys (scorer_files),
reading (loader, cases), what suite and cases demand of each other (checks).
"""

import re
from decimal import Decimal
from typing import Annotated, Any, Literal, Union
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    WithJsonSchema,
    model_validator,
)

from evalops_core.domain.scorer import axis_weights, in_force
from evalops_core.domain.suite import DriftSpec
from evalops_core.domain.window import INTERVALS_HOURS
from evalops_core.setting_types import EMBEDDED, MODEL_KEYS, mail_address
from evalops_core.suites.file_model import FileModel, Text, first_duplicate, listed, refuse
from evalops_core.suites.scorer_files import AnyScorerFile, JudgeFile, ScorerFile

Role = Literal["system", "user", "assistant"]
_RESERVED = ("model", "messages", "stream")
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,7}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LONGEST_ID = 200


class MessageFile(FileModel):
    """One chat message."""

    role: Role = Field(description="Who says it.")
    content: str = Field(description="What is said; in a prompt, a Jinja2 template over the case's fields.")


def _base_url(value: str) -> str:
    if value == EMBEDDED:
        return value
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable, parts = False, urlsplit("")
    if not usable:
        raise ValueError(f"expected {EMBEDDED} or an endpoint's root such as https://api.openai.com/v1")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("an endpoint's root has no credentials, query or fragment; name the key's variable instead")
    return value.rstrip("/")


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):  # perhaps the key itself, so it is not repeated
        raise ValueError("expected the name of an environment variable, such as OPENAI_API_KEY, never the key itself")
    if (name := value.upper()) == "RESEND_API_KEY" or (name.startswith("EVALOPS_") and name not in MODEL_KEYS):
        raise ValueError("holds what is no model's key; a suite may send it to no endpoint, so name another variable")
    return value


def _parameters(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    for key in _RESERVED:
        if key in value:
            raise refuse("the engine decides this part of the request; remove it", key)
    if "api_key" in value:  # parameters are stored with every run
        raise refuse("a key does not belong in a file; name its environment variable in api_key_env", "api_key")
    return value


class ModelFile(FileModel):
    """Which model answers; what is left out is decided by the settings."""

    name: Text | None = Field(default=None, description="The model's id at its endpoint.")
    base_url: Annotated[str, AfterValidator(_base_url)] | None = Field(
        default=None, description="Root of an OpenAI-compatible endpoint, or the word `embedded`."
    )
    api_key_env: Annotated[str, AfterValidator(_variable)] | None = Field(
        default=None, description="Name of the environment variable that holds the key."
    )
    parameters: Annotated[dict[str, JsonValue], AfterValidator(_parameters)] = Field(
        default={}, description="Sent in the request as they are: temperature, max_tokens, seed, …"
    )


def _amount(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("expected a number")  # noqa: TRY004  # pydantic takes ValueError, and says where
    return Decimal(str(value))


Amount = Annotated[Decimal, BeforeValidator(_amount), WithJsonSchema({"type": "number", "minimum": 0})]


def _interval(value: Any) -> Any:
    hours = value
    if isinstance(value, str) and (match := re.fullmatch(r"([0-9]{1,6}) ?h", value)):
        hours = int(match[1])
    if isinstance(hours, bool) or hours not in INTERVALS_HOURS:
        found = value if isinstance(value, (int, float, str)) else type(value).__name__
        raise ValueError(f"an interval is {listed(INTERVALS_HOURS)} hours, one of them; not {str(found)[:40]}")
    return hours


Interval = Annotated[
    int,
    BeforeValidator(_interval),
    WithJsonSchema({"enum": [*INTERVALS_HOURS, *(f"{hours}h" for hours in INTERVALS_HOURS)]}),
]


class RegressionFile(FileModel):
    """When a lower score counts as a regression."""

    drop: Annotated[Amount, Field(gt=0, le=4)] = Field(
        default=Decimal("0.5"), description="How far the score may fall against the prior run, on the 1–5 scale."
    )
    min_coverage: float = Field(
        default=0.95, ge=0, le=1, description="Share of the cases that must be scored for a verdict."
    )
    rule: Literal["auto", "fixed_drop"] = Field(
        default="auto", description="`auto`: statistics on the cases' scores; `fixed_drop`: the run's score alone."
    )
    alpha: float = Field(default=0.01, gt=0, le=0.2, description="False alarms that a comparison may give.")
    min_effect: float = Field(
        default=0.10, ge=0, le=4, description="A smaller drop is never an alarm of the statistics."
    )
    min_cases: int = Field(default=10, ge=2, description="Fewer common cases say nothing.")
    min_overlap: float = Field(default=0.8, gt=0, le=1, description="Share of the cases that both runs must have.")


Recipient = Annotated[str, AfterValidator(mail_address)]


class AlertsFile(FileModel):
    """Who is told when the feature has an incident."""

    to: list[Recipient] | None = Field(
        default=None, description="Mail addresses; EVALOPS_ALERT_TO without it, nobody where it is empty."
    )
    include_texts: bool = Field(
        default=True, description="Whether mails show inputs, answers and reasons; `false` for ids and scores only."
    )
    reminder: bool = Field(default=False, description="Whether an open incident is brought to mind once a day.")


class DriftFile(FileModel):
    """When what users ask, as the feature's traces tell it, counts as having moved."""

    threshold: Annotated[float, Field(gt=0, le=2)] | Literal["auto"] = Field(
        default=0.15,
        description="Cosine distance of a day from the days before; `auto`: what chance does to the feature's own "
        "traffic.",
    )
    alpha: float = Field(default=0.005, ge=0.0005, le=0.1, description="With `auto`, the share of quiet days above it.")
    consecutive_days: int = Field(default=2, ge=1, le=30, description="Days above it in a row before anybody is told.")
    baseline_window: int = Field(default=7, ge=1, le=30, description="Good days that a day is compared with.")
    min_sample: int = Field(default=10, ge=2, le=300, description="Fewer traces in a day say nothing.")
    max_sample: int = Field(default=50, ge=2, le=300, description="The newest traces of a day that are embedded.")
    message: Literal["first", "last"] = Field(
        default="first", description="Which user message of a trace counts; `last` where example turns come first."
    )
    include_texts: bool = Field(
        default=False, description="Whether people are shown the prompts that are farthest from before."
    )

    @model_validator(mode="after")
    def _possible(self) -> "DriftFile":
        if self.threshold == "auto" and self.baseline_window < 2:
            raise refuse("`auto` compares days with each other; expected 2 or more", "baseline_window")
        if self.min_sample > self.max_sample:
            problem = f"expected at most max_sample, {self.max_sample}; no day would ever have enough"
            raise refuse(problem, "min_sample")
        return self

    def spec(self) -> DriftSpec:
        return DriftSpec(
            threshold=None if self.threshold == "auto" else self.threshold,
            alpha=self.alpha,
            consecutive_days=self.consecutive_days,
            baseline_window=self.baseline_window,
            min_sample=self.min_sample,
            max_sample=self.max_sample,
            message=self.message,
            include_texts=self.include_texts,
        )


def _one_line(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError("expected one line of text")
    return value


def _owner(value: str) -> str:
    """Dagster shows owners and refuses the whole code location for one that is neither."""
    value = _one_line(value)
    if not (_EMAIL.fullmatch(value) if "@" in value else value.removeprefix("team:").strip()):
        raise ValueError("expected an e-mail address, team:NAME, or a plain name")
    return value


class SuiteFile(FileModel):
    """A feature's evaluation suite."""

    description: str = Field(default="", description="What the feature does, for people.")
    owner: Annotated[str, AfterValidator(_owner)] | None = Field(
        default=None, description="Who answers for it: an e-mail address, team:NAME, or a plain name."
    )
    model: ModelFile = Field(default=ModelFile(), description="Which model answers.")
    prompt: list[MessageFile] = Field(
        default=[], description="Chat messages; their contents are Jinja2 templates over a case's input."
    )
    scorers: list[AnyScorerFile] = Field(min_length=1, description="What scores the answers.")
    repeats: int = Field(default=1, ge=1, le=100, description="How many times each case is asked.")
    interval: Interval = Field(default=24, description="Hours between scheduled runs, `24` or `24h`.")
    daily_budget_usd: Annotated[Amount, Field(ge=0, le=1_000_000)] | None = Field(
        default=None, description="Soft cap of the judge's spend a day, in US dollars."
    )
    hard_cap_usd: Annotated[Amount, Field(ge=0, le=1_000_000)] | None = Field(
        default=None, description="Hard cap of what one eval run spends, in US dollars; 0 for none."
    )
    cases: Text = Field(default="cases.jsonl", description="The cases' file, inside this folder.")
    regression: RegressionFile = Field(default=RegressionFile(), description="When a lower score counts.")
    alerts: AlertsFile = Field(default=AlertsFile(), description="Who is told of it.")
    drift: DriftFile = Field(default=DriftFile(), description="When what users ask counts as having moved.")

    @model_validator(mode="after")
    def _usable(self) -> "SuiteFile":
        places: list[tuple[tuple[str | int, ...], ScorerFile]] = []
        for index, scorer in enumerate(self.scorers):
            places.append((("scorers", index), scorer))
            if isinstance(scorer, JudgeFile):
                places.extend((("scorers", index, "fallback", n), plain) for n, plain in enumerate(scorer.fallback))
        if pair := first_duplicate(scorer.known_as for _, scorer in places):
            at, scorer = places[pair[1]]
            problem = f"the name {scorer.known_as} is taken by the scorer before; give each a `name` of its own"
            raise refuse(problem, *at, "name")
        specs = tuple(scorer.spec() for scorer in self.scorers)
        for judge_configured in (True, False):
            try:
                axis_weights(in_force(specs, judge_configured=judge_configured))
            except (ValueError, ZeroDivisionError):
                problem = "every scorer has weight 0, so nothing would count; give one a weight above 0"
                raise refuse(problem, "scorers") from None
        return self


def _text_of_number(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _identifier(value: str) -> str:
    if not value.strip() or len(value) > LONGEST_ID or "\0" in value:
        raise ValueError(f"expected 1 to {LONGEST_ID} characters that are not all blank, without NUL")
    return value


Identifier = Annotated[str, BeforeValidator(_text_of_number), AfterValidator(_identifier)]


def _kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "text"
    return "fields" if isinstance(value, dict) else "messages" if isinstance(value, list) else None


class CaseFile(FileModel):
    """One line of `cases.jsonl`."""

    id: Identifier = Field(description="Unique in the file; a number is taken as text.")
    input: Annotated[
        Union[
            Annotated[str, Tag("text")],
            Annotated[dict[str, JsonValue], Tag("fields")],
            Annotated[Annotated[list[MessageFile], Field(min_length=1)], Tag("messages")],
        ],
        Discriminator(
            _kind,
            custom_error_type="input_kind",
            custom_error_message="expected an object of fields, a text, or a list of {role, content} messages",
        ),
    ] = Field(description="An object of template fields, a text (the field `input`), or chat messages.")
    reference: JsonValue = Field(default=None, description="What a good answer holds.")
    metadata: dict[str, JsonValue] = Field(default={}, description="Anything you want to keep beside the case.")
    group: Identifier | None = Field(default=None, description="The source that this case shares with others.")


def json_schema() -> dict[str, Any]:
    """The JSON Schema of `suite.yaml`, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **SuiteFile.model_json_schema(by_alias=True),
        "title": "EvalOps suite",
    }
