"""One process's collaborators, and the plan of an eval run with everything decided.

What belongs here: putting collaborators together. What does not: what they do.
"""

import subprocess
from collections.abc import Collection, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Engine

from evalops_core.domain.eval_run import RunType
from evalops_core.domain.scorer import JudgeSpec, in_force
from evalops_core.domain.suite import Suite
from evalops_core.domain.window import window_of, window_of_key
from evalops_core.providers.pace import Learned
from evalops_core.run.budget import Patience, Spending
from evalops_core.run.daily_budget import SpendingRules
from evalops_core.run.evaluate import Models, Tools
from evalops_core.run.plan import Plan
from evalops_core.run.progress import Report
from evalops_core.settings import Settings
from evalops_core.store.gate import Gate
from evalops_core.store.judge_cache import JudgeCache, count_taken
from evalops_core.store.outbox import Outbox
from evalops_core.store.results import CaseResults
from evalops_core.store.runs import EvalRuns
from evalops_core.store.spend import SpendLedger
from evalops_core.wiring.database import lock_url, open_store
from evalops_core.wiring.models import embedding_ref, judge_ref, model_ref, price_of, scorers_version

EVAL_GATE = "evalops"


@dataclass(frozen=True)
class Workshop:
    """The collaborators of one process. `report` is where progress goes, None for the caller's own choice."""

    settings: Settings
    engine: Engine
    tools: Tools
    report: Report | None = None

    def gate(self, name: str = EVAL_GATE) -> Gate:
        """The whole gate in front of this store's eval runs, or another one, by its name.

        ConfigError where `lock_database_url` leads elsewhere than to the store's database.
        """
        return Gate(self._lock_url, name)

    def gate_of(self, features: Collection[str]) -> Gate:
        """The gate for eval runs of these features: the whole one, or their parts of it, as `gate_scope` says."""
        return Gate(self._lock_url, EVAL_GATE, features if self.settings.gate_scope == "feature" else ())

    @property
    def _lock_url(self) -> SecretStr:
        url = SecretStr(self.engine.url.render_as_string(hide_password=False))
        return lock_url(self.settings, url, self.engine)

    def outbox(self) -> Outbox:
        """The messages that are owed to people."""
        return Outbox(self.engine)

    def judgments_from_cache(self, run_id: int) -> int:
        """How many judgments of the eval run were taken from earlier runs, without a call."""
        return count_taken(self.engine, run_id)

    def plan(
        self,
        suite: Suite,
        *,
        run_type: RunType,
        partition_key: str | None = None,
        limit: int | None = None,
        dagster_run_id: str | None = None,
        asked_at: datetime | None = None,
        confirms_run_id: int | None = None,
        use_cache: bool = True,
    ) -> Plan:
        """The plan of one eval run of `suite`, for the current window where `partition_key` is None.

        ValueError for a key that names no window of the suite's interval.
        """
        judge = judge_ref(self.settings)
        specs = in_force(suite.scorers, judge_configured=judge is not None)
        hours = suite.interval_hours
        now = self.tools.now()
        return Plan(
            suite=suite,
            window=window_of(now, hours) if partition_key is None else window_of_key(partition_key, hours),
            run_type=run_type,
            model=model_ref(suite.model, self.settings),
            judge=judge if any(isinstance(spec, JudgeSpec) for spec in specs) else None,
            embedding=embedding_ref(specs, self.settings),
            specs=specs,
            scorers_version=scorers_version(specs, suite.folder, self.settings),
            limit=limit,
            git_sha=self.settings.git_sha or git_sha(suite.folder),
            dagster_run_id=dagster_run_id,
            asked_at=asked_at,
            past_windows=self.settings.allow_past_windows,
            confirms_run_id=confirms_run_id,
            use_cache=use_cache,
        )


@contextmanager
def open_workshop(settings: Settings, report: Report | None = None) -> Generator[Workshop, None, None]:
    """A workshop over a database with the current schema. DatabaseError says what to do about any other."""
    engine = open_store(settings)
    try:
        yield workshop_over(engine, settings, report)
    finally:
        engine.dispose()


def workshop_over(engine: Engine, settings: Settings, report: Report | None = None) -> Workshop:
    """A workshop over a database that is there already."""
    tools = Tools(
        runs=EvalRuns(engine),
        results=CaseResults(engine),
        ledger=SpendLedger(engine),
        spending=spending_rules(settings),
        price_of=partial(price_of, settings),
        connect=partial(_connect, settings, judge_cache(engine, settings), Learned()),
        now=lambda: datetime.now(timezone.utc),
    )
    return Workshop(settings, engine, tools, report)


def _connect(
    settings: Settings, cache: JudgeCache | None, learned: Learned, plan: Plan, spending: Spending
) -> AbstractAsyncContextManager[Models]:
    from evalops_core.wiring.connections import connect  # with the HTTP client

    return connect(settings, plan, spending, cache=cache, learned=learned)


def judge_cache(engine: Engine, settings: Settings) -> JudgeCache | None:
    """None where the settings want none."""
    if not settings.judge_cache or settings.judge_cache_days == 0:
        return None
    return JudgeCache(engine, settings.judge_cache_days)


def spending_rules(settings: Settings) -> SpendingRules:
    return SpendingRules(
        daily_budget_usd=settings.daily_budget_usd,
        on_unknown=settings.budget_fail,
        hard_cap_run_usd=settings.hard_cap_run_usd,
        hard_cap_day_usd=settings.hard_cap_day_usd,
        completion_ceiling=settings.completion_ceiling,
        # a reservation must outlive the call it was made for, with all of its retries
        patience=Patience(ttl=timedelta(seconds=settings.call_deadline_s) + timedelta(minutes=10)),
    )


def git_sha(folder: Path) -> str | None:
    """The commit that `folder` is at, with `-dirty` where it has changes; None outside a git checkout."""
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=12", "--dirty", "--exclude", "*"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip() or None
