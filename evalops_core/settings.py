"""The only reader of the environment: every setting of EvalOps, typed, with its default and its meaning.

What belongs here: what an operator decides for a machine or a deployment. What does not: what a feature's team decides
for its feature (that stands in its suite). Secrets are `SecretStr` and never part of a log line.
"""

import os
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError
from pydantic_settings import PydanticBaseSettingsSource as Source

from evalops_core.errors import ConfigError
from evalops_core.secret_files import VARIABLE, SecretFiles, check_secrets, secret_in
from evalops_core.setting_types import GateScope, ModelPrice, PublicUrl, RateLimit, RequestParameters, mail_address

SHIPPED_SUITES = Path(__file__).parent / "suites" / "shipped"


class Settings(BaseSettings):
    """Read once from `EVALOPS_…` variables (an empty one counts as absent), then frozen."""

    model_config = SettingsConfigDict(env_prefix="EVALOPS_", frozen=True, extra="ignore", env_ignore_empty=True)

    home: Path = Field(
        default=Path("~/.local/share/evalops"),
        description="Folder for the embedded database, the models' files and logs.",
    )
    suites: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(SHIPPED_SUITES,), description="Folders with one sub-folder per feature, separated like PATH."
    )
    secrets_dir: Path | None = Field(
        default=None, description="Folder with one file a variable, as secrets are mounted; a variable goes before it."
    )
    python_scorers: bool = Field(
        default=True, description="Whether suites may name `python` scorers, which run code; see docs/security.md."
    )
    database_url: SecretStr | None = Field(
        default=None, description="PostgreSQL of your own, `postgresql://…`; the embedded server without it."
    )
    dagster_database_url: SecretStr | None = Field(
        default=None, description="Where Dagster keeps its own tables; without it, schema `dagster` beside the store's."
    )
    lock_database_url: SecretStr | None = Field(
        default=None,
        description="The store's database without a pooler in between, for the gate's lock; `database_url` without it.",
    )

    model: str | None = Field(default=None, description="Model for suites that name none; the embedded one without it.")
    model_base_url: PublicUrl | None = Field(
        default=None,
        description="Its endpoint; without it api.openai.com, or the embedded one if `model` is unset too.",
    )
    model_api_key: SecretStr | None = Field(
        default=None, description="Key for it; OPENAI_API_KEY without it, and only for api.openai.com."
    )
    judge_model: str | None = Field(
        default=None, description="Model that judges; without it judge scorers use their fallbacks."
    )
    judge_base_url: PublicUrl = Field(default="https://api.openai.com/v1", description="The judge's endpoint.")
    judge_api_key: SecretStr | None = Field(
        default=None, description="Its key; OPENAI_API_KEY without it, and only for api.openai.com."
    )
    judge_parameters: RequestParameters = Field(
        default_factory=dict, description='Parameters of its requests as JSON, e.g. {"temperature": 0}.'
    )
    judge_cache: bool = Field(
        default=True,
        description="Whether runs by hand take an earlier run's judgment where the judge would be asked the very same; "
        "`evalops run --no-cache` does not.",
    )
    judge_cache_days: int = Field(
        default=30, ge=0, description="For how many days a judgment may be taken; 0 keeps none."
    )
    judge_cache_scheduled: bool = Field(
        default=False,
        description="Whether scheduled runs do so, too: cheaper, but a judge that drifts goes unnoticed for as long.",
    )
    embedding_model: str | None = Field(
        default=None, description="Model for embedding similarity; the embedded one without it."
    )
    embedding_base_url: PublicUrl = Field(
        default="https://api.openai.com/v1", description="Its endpoint, if it is not embedded."
    )
    embedding_api_key: SecretStr | None = Field(
        default=None, description="Its key; OPENAI_API_KEY without it, and only for api.openai.com."
    )

    max_concurrency: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Model calls in flight in one eval run; fewer where the endpoint refuses some or slows down. "
        "Without it, as many as it is found to take, up to 100.",
    )
    rate_limits: dict[str, RateLimit] = Field(
        default_factory=dict,
        description="Limits by model as JSON, `*` for each of the others, none without it: "
        '{"my-model": {"requests_per_minute": 500, "tokens_per_minute": 200000}}.',
    )
    call_timeout_s: float = Field(default=60.0, gt=0, description="How long one attempt at a call may take.")
    call_deadline_s: float = Field(default=300.0, gt=0, description="How long a call may take with all its retries.")
    call_max_attempts: int = Field(default=8, ge=1, description="Attempts at one call, the first included.")
    case_deadline_s: float | None = Field(
        default=None,
        gt=0,
        description="How long all calls for one answer, or for one judgment with its repair, may take together; "
        "without it, each call has its own deadline.",
    )
    run_deadline_s: float | None = Field(
        default=None,
        gt=0,
        description="How long after its launch an eval run may start calls: what is missing then makes it partial. Any "
        "time without it.",
    )

    daily_budget_usd: Decimal = Field(
        default=Decimal(0),
        ge=0,
        description="Soft cap of what judging all features costs in a UTC day, in US dollars, before a scheduled run; "
        "0 for none.",
    )
    budget_fail: Literal["open", "closed"] = Field(
        default="open", description="Whether a scheduled run starts (`open`) where the spending cannot be read."
    )
    hard_cap_run_usd: Decimal = Field(
        default=Decimal(0), ge=0, description="Hard cap of what one eval run may spend, in US dollars; 0 for none."
    )
    hard_cap_day_usd: Decimal = Field(
        default=Decimal(0),
        ge=0,
        description="Hard cap of what all eval runs may spend in a UTC day, in US dollars; 0 for none.",
    )
    completion_ceiling: int = Field(
        default=16_384,
        ge=1,
        description="Tokens that hard caps assume an answer to have at most, where its parameters set no max_tokens.",
    )
    prices: dict[str, ModelPrice] = Field(
        default_factory=dict,
        description="Prices by model as JSON, in US dollars per million tokens, before the listed ones: "
        '{"my-model": {"input_per_mtok": "0.15", "output_per_mtok": "0.60"}}.',
    )

    scheduled_enabled: bool = Field(
        default=False, description="Whether an eval schedule may do anything; it has to be switched on in the UI too."
    )
    allow_past_windows: bool = Field(
        default=False, description="Whether windows that have ended may be evaluated: they get today's answers."
    )
    windows_since: datetime | None = Field(
        default=None,
        description="First window that the UI offers; without it, the one in which the database was created.",
    )
    gate_scope: GateScope = Field(
        default="all",
        description="How many eval runs may go on at once: one (`all`), or one of each feature (`feature`).",
    )
    gate_wait_s: float = Field(
        default=60.0, ge=0, description="How long an eval run waits for another deployment's to end, in seconds."
    )

    trace_retention_days: int | None = Field(
        default=None,
        ge=1,
        description="Traces older than this are deleted by the job purge_traces and `evalops traces purge`; kept for "
        "ever without it.",
    )
    text_retention_days: int | None = Field(
        default=None,
        ge=1,
        description="Answers, judges' reasons and sent mails older than this are taken by the job purge_traces, their "
        "scores stay; kept for ever without it.",
    )
    event_retention_days: int | None = Field(
        default=None,
        ge=1,
        description="All finished runs of the Dagster instance that are older are deleted, with their events, by the "
        "job purge_traces; kept for ever without it.",
    )
    trace_redaction: str | None = Field(
        default=None,
        description="Function `package.module:function`, from text to text, that every text of a trace goes through "
        "before it is stored; as they are without it.",
    )

    alert_to: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Mail addresses that are told of incidents, separated by commas; a suite may name its own.",
    )
    alert_from: str = Field(
        default="EvalOps <onboarding@resend.dev>",
        description="Sender of the mails, at a domain that Resend knows as yours; the default reaches only the address "
        "of the key's own account.",
    )
    alert_include_texts: bool = Field(
        default=True, description="Whether mails show inputs, answers and reasons; `false` for ids and scores only."
    )
    resend_api_key: SecretStr | None = Field(
        default=None, description="Key for mails by Resend; RESEND_API_KEY without it. Without either, none are sent."
    )
    resend_base_url: PublicUrl = Field(default="https://api.resend.com", description="Where mails are handed over.")
    ui_url: PublicUrl | None = Field(
        default=None, description="Where people find the UI, for links in mails; its own host and port without it."
    )

    heartbeat_url: SecretStr | None = Field(
        default=None,
        description="Address that is asked (GET) after each good scheduled cycle, for a dead-man's switch that fires "
        "when nobody asks; none without it.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="Form of the log lines of Dagster's processes and of runs: `text`, or `json`."
    )

    git_sha: str | None = Field(
        default=None, description="Version of the code that runs, where there is no git checkout to ask."
    )
    ui_host: str = Field(default="127.0.0.1", description="Address that `evalops dev` serves the UI on.")
    ui_port: int = Field(default=3000, ge=1, le=65535, description="Port of the UI.")

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: Source, env_settings: Source, *_: Source, **__: Source
    ) -> tuple[Source, ...]:
        """Arguments before variables before files."""
        if not (folder := os.environ.get(VARIABLE)):
            return init_settings, env_settings
        path = Path(folder).expanduser().absolute()
        check_secrets(path)
        return init_settings, env_settings, SecretFiles(settings_cls, path)

    @field_validator("home", "secrets_dir")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value and value.expanduser().absolute()

    @field_validator("suites", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        parts = value.split(os.pathsep) if isinstance(value, str) else value
        return tuple(Path(part).expanduser().absolute() for part in parts if str(part))

    @field_validator("alert_to", mode="before")
    @classmethod
    def _addresses(cls, value: Any) -> Any:
        parts = value.split(",") if isinstance(value, str) else value
        return tuple(mail_address(part.strip()) for part in parts if part.strip())

    @field_validator("windows_since")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        return value if value is None or value.tzinfo else value.replace(tzinfo=timezone.utc)

    def mail_key(self) -> SecretStr | None:
        """The key for Resend; None where none is set."""
        return self.resend_api_key or self.api_key("RESEND_API_KEY")

    def api_key(self, variable: str | None) -> SecretStr | None:
        """The key in the variable, or its file, that a suite or an endpoint names; None where it is unset or empty."""
        name = variable or "OPENAI_API_KEY"
        value = os.environ.get(name, "") or (secret_in(self.secrets_dir, name) if self.secrets_dir else "")
        return SecretStr(value) if value else None


def unread_variables() -> tuple[str, ...]:
    """The names of EVALOPS_… variables of the environment that are no setting, as a slip of the pen makes them."""
    known = {f"EVALOPS_{name.upper()}" for name in Settings.model_fields}
    return tuple(sorted(name for name in os.environ if name.startswith("EVALOPS_") and name.upper() not in known))


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process. ConfigError names the first variable that cannot be used, and why."""
    try:
        return Settings(**overrides)
    except SettingsError as error:  # a value that should be JSON and is not
        name = str(error).partition('field "')[2].partition('"')[0]
        raise ConfigError("expected JSON; correct or unset the variable", key=f"EVALOPS_{name.upper()}") from None
    except ValidationError as error:
        first = error.errors()[0]
        name, *inside = [str(part) for part in first["loc"]]
        place = f"{'.'.join(inside)}: " if inside else ""
        raise ConfigError(
            f"{place}{first['msg']}; correct or unset the variable", key=f"EVALOPS_{name.upper()}"
        ) from None
