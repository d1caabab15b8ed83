"""What a message of the outbox has to say: the facts that its mail is composed of, read when it is sent.

What belongs here: gathering them. What does not: those of a drift (drift.letters), wording and look (mail), when and to
whom (detect, watch, deliver).
"""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Engine
from typing_extensions import assert_never

from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.incident import Incident
from evalops_core.mail.facts import (
    FallenCase,
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
from evalops_core.run.alert_rules import AlertRules
from evalops_core.run.drift.letters import drift_fired, drift_reminded, drift_resolved
from evalops_core.run.fallen import MovedCase, pair
from evalops_core.run.links import asset_link, run_link
from evalops_core.store.alerting import reading
from evalops_core.store.history import trend
from evalops_core.store.outbox import Message, Outbox
from evalops_core.store.runs import EvalRuns
from evalops_core.store.verdicts import Judged

RULES_IN_WORDS = {
    "fixed_drop": "fixed drop",
    "paired": "paired sign-flip test, case by case",
    "history": "noise learned case by case",
    "cusum": "sum of small falls over runs",
}
_POINTS = 30  # runs in the picture
_CASES = 5
_RUNS = 5  # of which it is told why they gave no data


def letter_of(message: Message, engine: Engine, rules: AlertRules, now: datetime) -> Letter | None:
    """None where there is nothing to say any more: what resolved was never told of to this recipient."""
    if message.transition == "test":
        return Test(ui_url=rules.ui_url)
    with reading(engine) as tables:
        incidents = [tables.incidents.get(incident) for incident in message.incidents]
    if message.transition == "firing":
        fired = tuple(_fired(incident, engine, rules, now) for incident in incidents)
        return Firing(items=fired, ui_url=rules.ui_url, today=now.date()) if fired else None
    if message.transition == "resolved":
        outbox = Outbox(engine)
        told = [incident for incident in incidents if outbox.delivered(incident.id, message.recipient)]
        ended = tuple(_resolved(incident, engine, rules, now) for incident in told)
        return Resolved(items=ended, ui_url=rules.ui_url) if ended else None
    if message.transition == "reminder":
        standing = tuple(_reminded(incident, engine, rules) for incident in incidents if incident.is_open)
        return Reminder(items=standing, ui_url=rules.ui_url, today=now.date()) if standing else None
    assert_never(message.transition)


def _fired(incident: Incident, engine: Engine, rules: AlertRules, now: datetime) -> FiringItem:
    if incident.kind == "drift":
        return drift_fired(incident, engine, rules)
    if incident.kind == "no_data" or incident.opened_by_run_id is None or incident.reference is None:
        return _no_data(incident, engine, rules, now)
    runs = EvalRuns(engine)
    run, feature = runs.get(incident.opened_by_run_id), rules.of(incident.feature)
    current = run.score if run.score is not None else incident.current or incident.reference
    with reading(engine) as tables:
        judged = next((v for v in tables.verdicts.of_incident(incident.id) if v.eval_run_id == run.id), None)
    baseline = None if incident.reference_run_id is None else runs.get(incident.reference_run_id)
    paired = None
    if baseline is not None:
        cases = feature.suite.cases if feature.suite else ()
        paired = pair(engine, baseline, run, cases, _CASES)
    with_texts = feature.include_texts
    changed, unchanged = _changes(baseline, run)
    return RegressionItem(
        incident_id=incident.id,
        feature=incident.feature,
        model_id=incident.model_id,
        window=run.partition_key,
        reference=incident.reference,
        current=current,
        drop=incident.reference - current,
        n=run.n,
        se=run.se,
        threshold=feature.rules.drop,
        points=_points(run, engine),
        fallen=tuple(_case(case, with_texts, _z_of(judged).get(case.case_id)) for case in paired.moved)
        if paired
        else (),
        changes=changed,
        unchanged=unchanged,
        baseline_window=baseline.partition_key if baseline else (judged and judged.baseline_window) or None,
        baseline_run=baseline.id if baseline else None,
        run=run.id,
        asset_url=asset_link(rules.ui_url, incident.feature, run.partition_key),
        run_url=run_link(rules.ui_url, run.dagster_run_id),
        texts_included=with_texts,
        fewer_cases=_fewer(paired.missing, paired.new) if paired else None,
        evidence=evidence(judged) if judged else (),
    )


def _no_data(incident: Incident, engine: Engine, rules: AlertRules, now: datetime) -> NoDataItem:
    feature = rules.of(incident.feature)
    with reading(engine) as tables:
        last = tables.verdicts.last_valid([incident.feature]).get(incident.feature)
        since = tables.incidents.watched_at(incident.feature)
    runs = [run for run in EvalRuns(engine).recent(incident.feature, _RUNS) if run.run_type == "scheduled"]
    whys = [f"{run.partition_key}: {run.status}, {run.status_reason}" for run in runs if run.status != "completed"]
    return NoDataItem(
        incident_id=incident.id,
        feature=incident.feature,
        interval_hours=feature.suite.interval_hours if feature.suite else 24,
        last_valid_at=last,
        watched_since=since or incident.opened_at,
        why="; ".join(whys) or ("no run was started" if not runs else None),
        asset_url=asset_link(rules.ui_url, incident.feature, None),
        as_of=incident.opened_at if incident.opened_at <= now else now,
    )


def _resolved(incident: Incident, engine: Engine, rules: AlertRules, now: datetime) -> ResolvedItem:
    if incident.kind == "drift":
        return drift_resolved(incident, engine, rules, now)
    ended_by = incident.resolved_by_run_id
    window = None if ended_by is None else EvalRuns(engine).get(ended_by).partition_key
    return ResolvedItem(
        incident_id=incident.id,
        feature=incident.feature,
        model_id=incident.model_id,
        kind=incident.kind,
        window=window,
        reference=incident.reference,
        current=incident.current,
        opened_at=incident.opened_at,
        resolved_at=incident.resolved_at or now,
        asset_url=asset_link(rules.ui_url, incident.feature, window),
    )


def _reminded(incident: Incident, engine: Engine, rules: AlertRules) -> ReminderItem:
    if incident.kind == "drift":
        return drift_reminded(incident, engine, rules)
    return ReminderItem(
        incident_id=incident.id,
        feature=incident.feature,
        model_id=incident.model_id,
        kind=incident.kind,
        opened_at=incident.opened_at,
        reference=incident.reference,
        current=incident.current,
        asset_url=asset_link(rules.ui_url, incident.feature, None),
    )


def evidence(judged: Judged) -> tuple[tuple[str, str], ...]:
    """How sure a verdict of the statistics is, and by what, with what each is called; nothing of another one."""
    said = judged.details.get("assessment")
    if said is None:
        return ()
    runs = "the newest run before" if said["runs_used"] == 1 else f"{said['runs_used']} earlier runs"
    facts: list[tuple[str, str | None]] = [
        ("Rule", f"{RULES_IN_WORDS.get(str(said['rule']), str(said['rule']))}, against {runs}"),
        ("Drop, 95 % interval", None if said["ci_low"] is None else f"{said['ci_low']:.2f} to {said['ci_high']:.2f}"),
        ("p of chance", _p_words(said["p_value"], judged.details.get("adjusted_p"))),
        ("Would be seen with 80 % power", None if said["mde"] is None else f"a drop of {said['mde']:.2f}"),
        ("Slide since", None if said["onset_run"] is None else f"eval run {said['onset_run']}"),
        ("Second run", _number(judged.details.get("confirming_score"), "scored {}")),
        ("Fingerprints", " → ".join(judged.details.get("fingerprints", ())) or None),
        ("Axes", ", ".join(f"{axis} {change:+.2f}" for axis, change in judged.details.get("axes", {}).items()) or None),
    ]
    return tuple((name, words) for name, words in facts if words)


def _p_words(p: float | None, adjusted: float | None) -> str | None:
    if p is None:
        return None
    return f"{p:.2g}" if adjusted is None or adjusted == p else f"{p:.2g}, {adjusted:.2g} among all features of the run"


def _number(value: object, words: str) -> str | None:
    return None if value is None else words.format(value)


def _points(run: EvalRun, engine: Engine) -> tuple[Point, ...]:
    """Up to the run itself: what came later is another letter's."""
    rows = trend(engine, feature=run.feature, model=run.model_id, limit=_POINTS, until=run.window_start)
    return tuple(
        Point(
            window=row.partition_key,
            score=float(row.score),
            ci_low=_float(row.ci_low),
            ci_high=_float(row.ci_high),
            current=row.eval_run_id == run.id,
        )
        for row in reversed(rows)
        if row.score is not None
    )


def _z_of(judged: Judged | None) -> dict[str, float | None]:
    """Case id → its fall in standard deviations, of the cases that the statistics name."""
    said = judged.details.get("assessment") if judged else None
    return {case["case"]: case["z"] for case in said["worst"]} if said else {}


def _case(case: MovedCase, with_texts: bool, z: float | None) -> FallenCase:  # noqa: FBT001  # a fact about the mail, not a switch
    def shown(text: str | None) -> str | None:
        return text if with_texts else None

    return FallenCase(
        case_id=case.case_id,
        before=case.before,
        after=case.after,
        input=shown(case.input),
        reference=shown(case.reference),
        answer_before=shown(case.answer_before),
        answer_after=shown(case.answer_after),
        why=shown(case.why),
        z=z,
    )


def _changes(before: EvalRun | None, after: EvalRun) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What differs between the two runs, and what does not, a phrase each."""
    if before is None:
        return (), ()
    one, two = before.comparability, after.comparability
    pairs: list[tuple[str, object, object]] = [
        ("code (git)", before.git_sha, after.git_sha),
        ("prompt", one.prompt, two.prompt),
        ("cases", one.dataset, two.dataset),
        ("model", one.model, two.model),
        ("model parameters", dict(one.parameters), dict(two.parameters)),
        ("repeats", one.repeats, two.repeats),
    ]
    changed = [f"{name}: {_short(old)} → {_short(new)}" for name, old, new in pairs if old != new]
    same = [f"{name}: {_short(new)}" for name, old, new in pairs if old == new and new not in (None, {})]
    return tuple(changed), tuple(same)


def _short(value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in sorted(value.items())) or "none"  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # a JSON object
    return str(value)


def _fewer(missing: tuple[str, ...], new: tuple[str, ...]) -> str | None:
    parts = [
        f"{len(ids)} {'case' if len(ids) == 1 else 'cases'} only {where} (such as {', '.join(ids[:3])})"
        for ids, where in ((missing, "in the run before"), (new, "in this run"))
        if ids
    ]
    return "; ".join(parts) or None


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
