"""Letters of tests: the usual ones, and those that hostile or unlucky texts make."""

from dataclasses import replace
from datetime import date, datetime, timezone
from decimal import Decimal

from evalops_core.mail.facts import (
    DriftItem,
    DriftPoint,
    FallenCase,
    FarPrompt,
    Firing,
    FiringItem,
    Letter,
    NoDataItem,
    Point,
    RegressionItem,
    Reminder,
    ReminderItem,
    Resolved,
    ResolvedItem,
    Test,
)

UI = "http://dagster.example:3000"
OPENED = datetime(2026, 11, 24, 6, 5, tzinfo=timezone.utc)

POINTS = tuple(
    Point(window=f"2026-11-{day}", score=score, ci_low=score - 0.1, ci_high=score + 0.1, current=day == 24)
    for day, score in ((20, 4.1), (21, 4.25), (22, 4.15), (23, 4.2), (24, 3.6))
)
CASE = FallenCase(
    case_id="sky",
    before=5.0,
    after=1.5,
    input="Why is the sky blue?",
    reference="Air scatters blue light most.",
    answer_before="Because air scatters blue.",
    answer_after="Because of the sea.",
    why="The sea has nothing to do with it.",
)
REGRESSION = RegressionItem(
    incident_id=7,
    feature="explain",
    model_id="gpt-5-mini",
    window="2026-11-24",
    reference=Decimal("4.20"),
    current=Decimal("3.60"),
    drop=Decimal("0.60"),
    n=50,
    se=Decimal("0.0812"),
    threshold=Decimal("0.50"),
    points=POINTS,
    fallen=(CASE,),
    changes=("code (git): 3f2a9c1 → 8be0d44", "prompt: 11 → 22"),
    unchanged=("cases: 33",),
    baseline_window="2026-11-23",
    baseline_run=41,
    run=57,
    asset_url=f"{UI}/assets/explain",
    run_url=f"{UI}/runs/0b5a1c",
    texts_included=True,
    fewer_cases="2 cases only in the run before",
)
NO_DATA = NoDataItem(
    incident_id=10,
    feature="translate",
    interval_hours=24,
    last_valid_at=datetime(2026, 11, 22, 18, 5, tzinfo=timezone.utc),
    watched_since=datetime(2026, 10, 1, tzinfo=timezone.utc),
    why="2026-11-23: failed, the endpoint answered 401",
    asset_url=f"{UI}/assets/translate",
    as_of=OPENED,
)
DRIFT_POINTS = tuple(
    DriftPoint(
        day=date(2026, 11, day),
        drift=drift,
        threshold=None if drift is None else 0.15,
        state="insufficient" if drift is None else "alerting" if day == 24 else "warning" if drift > 0.15 else "ok",
    )
    for day, drift in ((17, 0.04), (18, 0.0512), (19, 0.07), (21, 0.06), (22, None), (23, 0.19), (24, 0.2314))
)
DRIFT = DriftItem(
    incident_id=12,
    feature="explain",
    day=date(2026, 11, 24),
    drift=0.2314,
    threshold=0.15,
    rule="fixed",
    alpha=None,
    days_in_a_row=2,
    n=50,
    baseline_days=tuple(date(2026, 11, day) for day in (14, 15, 16, 17, 18, 19, 21)),
    embedding_model="embed-small",
    why="drift 0.231 is above 0.150, 2 days in a row",
    points=DRIFT_POINTS,
    farthest=(
        FarPrompt(trace_id="trace-9", distance=0.8125, text="Write my tax return for me."),
        FarPrompt(trace_id="trace-4", distance=0.7, text=None),
    ),
    texts_included=True,
    asset_url=f"{UI}/assets/explain/input_drift?view=partitions&partition=2026-11-24",
)
RESOLVED = ResolvedItem(
    incident_id=7,
    feature="explain",
    model_id="gpt-5-mini",
    kind="regression",
    window="2026-11-25",
    reference=Decimal("4.20"),
    current=Decimal("4.15"),
    opened_at=OPENED,
    resolved_at=datetime(2026, 11, 25, 6, 5, tzinfo=timezone.utc),
    asset_url=f"{UI}/assets/explain",
)
REMINDER = ReminderItem(
    incident_id=7,
    feature="explain",
    model_id="gpt-5-mini",
    kind="regression",
    opened_at=OPENED,
    reference=Decimal("4.20"),
    current=Decimal("3.60"),
    asset_url=f"{UI}/assets/explain",
)
DRIFT_RESOLVED = replace(
    RESOLVED,
    incident_id=12,
    kind="drift",
    model_id=None,
    window="2026-11-26",
    reference=None,
    current=None,
    drift=0.0817,
    threshold=0.15,
    days=2,
)
DRIFT_REMINDER = replace(
    REMINDER,
    incident_id=12,
    kind="drift",
    model_id=None,
    reference=None,
    current=None,
    window="2026-11-25",
    drift=0.244,
    threshold=0.15,
    days=2,
)

HOSTILE = (
    "<script>alert(1)</script><img src=https://evil.example/x.png onerror=alert(1)></td></table><!-- "
    "{{ 7 * 7 }}{% include 'x' %} \x00\x1b[31m\u202egnp\u2066\ud83d &lt;b&gt; \"' "
)


def firing(*items: FiringItem) -> Firing:
    return Firing(items=items or (REGRESSION,), ui_url=UI, today=date(2026, 11, 24))


def hostile(text: str = HOSTILE) -> RegressionItem:
    """A regression in which every text that somebody else wrote is `text`."""
    case = replace(CASE, case_id=text, input=text, reference=text, answer_before=text, answer_after=text, why=text)
    return replace(
        REGRESSION,
        model_id=text,
        changes=(text, text),
        unchanged=(text,),
        fallen=(case,) * 5,
        fewer_cases=text,
    )


def hostile_drift(text: str = HOSTILE) -> DriftItem:
    """The same of a drift."""
    prompt = FarPrompt(trace_id=text, distance=0.5, text=text)
    return replace(DRIFT, embedding_model=text, why=text, farthest=(prompt,) * 5)


LETTERS: dict[str, Letter] = {
    "regression": firing(),
    "two regressions and no data": firing(
        replace(REGRESSION, incident_id=8, feature="extract", drop=Decimal("0.55")), NO_DATA, REGRESSION
    ),
    "no data": firing(NO_DATA),
    "drift": firing(DRIFT),
    "a regression, a drift and no data": firing(NO_DATA, DRIFT, REGRESSION),
    "hostile": firing(hostile(), replace(NO_DATA, why=HOSTILE)),
    "hostile drift": firing(hostile_drift(), replace(DRIFT, incident_id=13, feature="extract")),
    "resolved": Resolved(items=(RESOLVED,), ui_url=UI),
    "reminder": Reminder(items=(REMINDER,), ui_url=UI, today=date(2026, 11, 24)),
    "resolved drift": Resolved(items=(DRIFT_RESOLVED,), ui_url=UI),
    "reminder of a drift": Reminder(items=(DRIFT_REMINDER,), ui_url=UI, today=date(2026, 11, 24)),
    "test": Test(ui_url=UI),
}
