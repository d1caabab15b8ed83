"""What a week has come to: everything exactly once, or what was not.

What belongs here: reading tables, mail server and both Dagsters at the end, and comparing with the plan. What does not:
making it happen (week, strikes).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorTick, TickStatus
from sqlalchemy import text

from benchmarks.ledger import Value
from benchmarks.soak.features import FEATURES, IN_FLIGHT, Call
from benchmarks.soak.site import Full
from benchmarks.soak.strikes import Stage, Struck
from benchmarks.soak.week_plan import Hour, incidents
from evalops_core.domain.window import Window

_SETTLES_S = 60.0
_FIRES, _RESOLVES = "firing", "resolved"
_RUNS = text("SELECT feature, partition_key, run_type, status, n, n_unscored FROM evalops.eval_runs ORDER BY id")
_VERDICTS = text("""
    SELECT r.feature, r.partition_key, v.outcome FROM evalops.verdicts v JOIN evalops.eval_runs r
    ON r.id = v.eval_run_id ORDER BY v.id
""")
_INCIDENTS = text("""
    SELECT id, feature, kind, CASE WHEN resolved_at < :until THEN resolution ELSE 'open' END FROM evalops.incidents
    WHERE opened_at < :until ORDER BY id
""")
_MESSAGES = text("""
    SELECT o.key, l.incident_id, l.transition, l.recipient, o.state FROM evalops.outbox o
    JOIN evalops.outbox_incidents l ON l.outbox_id = o.id WHERE o.created_at < :until ORDER BY o.id
""")


@dataclass(frozen=True)
class Past:
    """What happened in an hour that is over; `began` and `ended` by the machine's clock, as seconds."""

    hour: Hour
    window: Window
    struck: Struck
    asked: Counter[Call]
    began: float
    ended: float


@dataclass(frozen=True)
class Check:
    """`found` is to be `wanted`, or where `most` says so at most that."""

    what: str
    wanted: int
    found: int
    most: bool = False

    @property
    def holds(self) -> bool:
        return self.found <= self.wanted if self.most else self.found == self.wanted

    def row(self) -> Mapping[str, Value]:
        wanted = f"≤ {self.wanted:,}" if self.most else f"{self.wanted:,}"
        return {"what": self.what, "wanted": wanted, "found": self.found, "": "ok" if self.holds else "NO"}


@dataclass(frozen=True)
class Facts:
    """Counts of what is there beside counts of what is to be; `findings` are sentences about what is wrong."""

    windows: int
    checks: Sequence[Check]
    strikes: Mapping[str, int]
    findings: Sequence[str]


def read_facts(stage: Stage, pasts: Sequence[Past]) -> Facts:
    """Of the hours that are over, the last one's verdicts included."""
    findings: list[str] = []
    counts = [
        *_results(stage, pasts, findings),
        *_calls(stage, pasts, findings),
        *_verdicts(stage, pasts, findings),
        *_mails(stage, pasts, findings),
    ]
    for full in stage.both:
        counts += _dagster(full, pasts, findings)
    strikes = Counter(past.struck.what for past in pasts if past.struck.what)
    return Facts(len(pasts), counts, {str(what): times for what, times in strikes.items()}, findings)


def _results(stage: Stage, pasts: Sequence[Past], findings: list[str]) -> Sequence[Check]:
    with stage.engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(_RUNS)]
    keys = {past.window.key for past in pasts}
    mine = Counter((feature, key, kind, status) for feature, key, kind, status, _, _ in rows if key in keys)
    wanted = {(feature, key, "scheduled", "completed") for feature in FEATURES for key in keys}
    again = {result: times for result, times in mine.items() if times > 1}
    others = [result for result in mine if result not in wanted]
    whole = sum(1 for _, key, _, _, n, unscored in rows if key in keys and n == stage.to.cases and unscored == 0)
    findings += [f"{times} results of {result}" for result, times in again.items()]
    findings += [f"a result that nobody wants: {result}" for result in others]
    return [
        Check("windows × features with a completed scheduled result", len(wanted), len(wanted & mine.keys())),
        Check("  of them more than once", 0, len(again)),
        Check("  with a score for each case", len(wanted), whole),
        Check("eval runs beside them (failed, partial, manual)", 0, len(others)),
    ]


def _calls(stage: Stage, pasts: Sequence[Past], findings: list[str]) -> Sequence[Check]:
    """Each case × window called once; one whose answer a killed process had not stored yet is called again."""
    of_a_window = set(stage.to.calls_of_a_window())
    distinct, stored_again, lost, kills = 0, 0, 0, 0
    for past in pasts:
        asked, may = past.asked, past.struck.may_repeat
        distinct += len(of_a_window & asked.keys())
        again = Counter({call: times - 1 for call, times in asked.items() if times > 1})
        without_need = (again - may) + Counter({call: n for call, n in asked.items() if call not in of_a_window})
        stored_again += without_need.total()
        lost += again.total() - (again - may).total()
        kills += bool(past.struck.runs)
        findings += [f"{past.window.key}: {call} was called {n} times too often" for call, n in without_need.items()]
    return [
        Check("distinct calls, case × window", len(of_a_window) * len(pasts), distinct),
        Check("calls made again although their result was stored", 0, stored_again),
        Check(
            f"calls in flight at a kill -9, made again ({kills} kills of at most {IN_FLIGHT})",
            IN_FLIGHT * kills,
            lost,
            True,
        ),
    ]


def _verdicts(stage: Stage, pasts: Sequence[Past], findings: list[str]) -> Sequence[Check]:
    with stage.engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(_VERDICTS)]
        of = [tuple(row) for row in connection.execute(_INCIDENTS, {"until": pasts[-1].window.end})]
    keys = {past.window.key: past.hour for past in pasts}
    mine = Counter((feature, key) for feature, key, _ in rows if key in keys)
    low = {(feature, key) for feature, key, outcome in rows if key in keys and outcome == "regressed"}
    wanted = {(feature, key) for key, hour in keys.items() for feature in hour.fallen}
    findings += [f"verdict on {which}: it is not as scripted" for which in sorted(low ^ wanted)]
    opened = [row for row in of if row[2] == "regression"]
    last = pasts[-1].hour
    findings += [f"an incident that nobody scripted: {row}" for row in of if row[2] != "regression"]
    expected = incidents([past.hour for past in pasts])
    return [
        Check("verdicts", len(keys) * len(FEATURES), mine.total()),
        Check("  results with more than one", 0, sum(times > 1 for times in mine.values())),
        Check("  regressed, in the windows whose answers were bad", len(wanted), len(low & wanted)),
        Check("  regressed in other windows", 0, len(low - wanted)),
        Check("incidents", expected, len(of)),
        Check("  recovered", expected - len(last.fallen), sum(row[3] == "recovered" for row in opened)),
    ]


def _mails(stage: Stage, pasts: Sequence[Past], findings: list[str]) -> Sequence[Check]:
    """One message for each incident, transition and recipient; one mail for each message."""
    with stage.engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(_MESSAGES, {"until": pasts[-1].window.end})]
    taken = Counter(str(mail["key"]) for mail in stage.to.resend.mails())
    told = Counter((incident, transition, recipient) for _, incident, transition, recipient, _ in rows)
    keys = {str(key) for key, *_ in rows}
    fired, opened = incidents([past.hour for past in pasts]), len(pasts[-1].hour.fallen)
    unsent = [row for row in rows if row[4] != "sent"]
    findings += [f"message {row} is not sent" for row in unsent]
    findings += [f"mail {key} was taken {taken[key]} times" for key in keys if taken[key] != 1]
    return [
        Check("incidents that were told of when they opened", fired, sum(key[1] == _FIRES for key in told)),
        Check("  and when they ended", fired - opened, sum(key[1] == _RESOLVES for key in told)),
        Check("  more than once", 0, sum(times > 1 for times in told.values())),
        Check("messages not sent", 0, len(unsent)),
        Check("mails that the mail server took (a message may be about two incidents)", len(keys), taken.total()),
        Check("  of one message more than once", 0, sum(times > 1 for times in taken.values())),
    ]


def _dagster(full: Full, pasts: Sequence[Past], findings: list[str]) -> Sequence[Check]:
    """What one deployment's Dagster says of its runs and ticks."""
    keys = {past.window.key for past in pasts}
    runs = [run for run in full.runs() if run.tags.get("dagster/partition") in keys]
    again = Counter(run.tags["dagster/partition"] for run in runs if run.tags.get("evalops/run_type") == "scheduled")
    struck = {run for past in pasts for run in past.struck.runs}
    bad = [run for run in runs if run.status is not dg.DagsterRunStatus.SUCCESS]
    unexpected = [run for run in bad if run.run_id not in struck]
    findings += [f"{full.name}: {full.why(run)}" for run in unexpected] + full.refusals
    failed = [
        (name, tick)
        for name, ticks in full.sensor_ticks().items()
        for tick in ticks
        if tick.status is TickStatus.FAILURE and not _of_a_strike(tick, pasts)
    ]
    quiet = [past.window.start.timestamp() for past in pasts if not past.struck.what]
    schedule = [tick for tick in full.ticks() if tick.status is TickStatus.FAILURE and tick.timestamp in quiet]
    failed += [("the schedule", tick) for tick in schedule]
    findings += [f"{full.name}: a tick of {name} failed: {str(tick.error)[:300]}" for name, tick in failed]
    return [
        Check(f"{full.name}: windows for which it started two runs", 0, sum(times > 1 for times in again.values())),
        Check(f"{full.name}: runs that ended badly and were not struck (of {len(runs)})", 0, len(unexpected)),
        Check(f"{full.name}: ticks that failed without a strike", 0, len(failed)),
        Check(f"{full.name}: runs that its web server knows", len(full.runs()), full.runs_by_the_ui()),
    ]


def _of_a_strike(tick: InstigatorTick, pasts: Sequence[Past]) -> bool:
    """Whether it failed in an hour with a strike, or soon after, its daemon not knowing yet that the server is back."""
    unreachable = "DagsterUserCodeUnreachableError" in str(tick.error)
    return any(
        past.began <= tick.timestamp <= past.ended + (_SETTLES_S if unreachable else 0)
        for past in pasts
        if past.struck.what
    )
