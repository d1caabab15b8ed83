"""What Dagster shows of a verdict, and of mails that were given up.

What belongs here: the words and figures of the checks. What does not: the checks (checks), verdicts and delivery
(`evalops_core.run`), when they are reported (alert_ticks).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from evalops_core.run.alert_rules import AlertRules
from evalops_core.run.detect import Judged, standing_verdict
from evalops_core.run.links import run_link
from evalops_core.wiring import Workshop
from evalops_dagster.checks import NO_REGRESSION, score_key
from evalops_dagster.metadata import present, short_axis, table

_BEFORE_THE_FIRST = "no scheduled score has been compared yet"


def standing(workshop: Workshop, feature: str) -> dg.AssetCheckResult:
    """The verdict on the feature's newest scheduled score, repeated."""
    judged = standing_verdict(workshop.engine, feature)
    if judged is None:
        return dg.AssetCheckResult(passed=True, description=_BEFORE_THE_FIRST)
    return dg.AssetCheckResult(
        passed=_passed(judged),
        severity=_severity(judged),
        description=f"as of the newest scheduled run, of window {judged.partition_key}: {_words(judged)}",
    )


def given_up(workshop: Workshop) -> list[int]:
    """The ids of the alert mails that were given up; a test mail is no alert."""
    return [message.id for message in workshop.outbox().listed(states=["dead"]) if message.transition != "test"]


def delivery_facts(dead: Sequence[int]) -> dict[str, Any]:
    """Severity, description and metadata of `alerts_delivered`."""
    listed = ", ".join(str(message) for message in dead[:20])
    mails = "1 alert mail was" if len(dead) == 1 else f"{len(dead)} alert mails were"
    words = f"{mails} given up: {listed}. `evalops alerts resend ID` tries one again."
    return {
        "severity": dg.AssetCheckSeverity.ERROR,
        "description": words if dead else "every alert mail was delivered or is on its way",
        "metadata": {"dead messages": len(dead)},
    }


def evaluation(judged: Judged, rules: AlertRules) -> dg.AssetCheckEvaluation:
    """The verdict as the check `no_regression` shows it."""
    link = run_link(rules.ui_url, judged.dagster_run_id)
    drop = None if judged.drop is None else -float(judged.drop)
    return dg.AssetCheckEvaluation(
        asset_key=score_key(judged.feature),
        check_name=NO_REGRESSION,
        passed=_passed(judged),
        severity=_severity(judged),
        description=_words(judged),
        metadata=present(
            {
                "window": judged.partition_key,
                "outcome": judged.outcome,
                "score": None if judged.current is None else float(judged.current),
                "baseline score": None if judged.prior is None else float(judged.prior),
                "delta": drop,
                "rule": judged.rule,
                "model": judged.model_id,
                "eval run": str(judged.eval_run_id),
                "baseline run": None if judged.baseline_run_id is None else str(judged.baseline_run_id),
                "baseline window": judged.baseline_window,
                "incident": None if judged.incident_id is None else str(judged.incident_id),
                "Dagster run": link and dg.MetadataValue.url(link),
                **_statistics(judged.details),
            }
        ),
    )


def _statistics(details: Mapping[str, Any]) -> dict[str, Any]:
    """How sure, by what, and which cases: of a verdict that the statistics gave."""
    said = details.get("assessment")
    if said is None:
        return {}
    interval = None if said["ci_low"] is None else f"{said['ci_low']:.3f} to {said['ci_high']:.3f}"
    worst = [
        {
            "case": case["case"],
            "before": f"{case['before']:.2f}",
            "after": f"{case['after']:.2f}",
            "z": "" if case["z"] is None else f"{case['z']:.1f}",
        }
        for case in said["worst"]
    ]
    return {
        "drop, 95 % interval": interval,
        "p": said["p_value"],
        "adjusted p": details.get("adjusted_p"),
        "sign-flip p": said["sign_flip_p"],
        "smallest drop seen with 80 % power": said["mde"],
        "common cases": said["n"],
        "repeats": said["repeats"],
        "runs used": said["runs_used"],
        "slide since run": None if said["onset_run"] is None else str(said["onset_run"]),
        "what changed": "; ".join(details.get("changed", ())) or None,
        "fingerprints": " → ".join(details["fingerprints"]) if "fingerprints" in details else None,
        "cases missing": _ids(details.get("missing")),
        "cases new": _ids(details.get("new")),
        **{f"delta of {short_axis(axis)}": change for axis, change in details.get("axes", {}).items()},
        "cases that fell most": table(worst) if worst else None,
    }


def _ids(few: Mapping[str, Any] | None) -> str | None:
    """How many, and which, of the ids that only one of the two runs has; None for none."""
    if not few or not few["count"]:
        return None
    more = ", …" if few["count"] > len(few["ids"]) else ""
    return f"{few['count']}: {', '.join(few['ids'])}{more}"


def _passed(judged: Judged) -> bool:
    """A score that stays low is not well because the one before it was as low."""
    return judged.incident_id is None and judged.outcome != "regressed"


def _severity(judged: Judged) -> dg.AssetCheckSeverity:
    """What nobody is told of is a warning."""
    warned = judged.incident_id is None and judged.severity == "warn"
    return dg.AssetCheckSeverity.WARN if warned else dg.AssetCheckSeverity.ERROR


def _words(judged: Judged) -> str:
    words = f"{judged.outcome.replace('_', ' ')}: {judged.why}"
    if judged.incident_id is not None:
        since = f" since {judged.incident_opened_at:%Y-%m-%d %H:%M} UTC" if judged.incident_opened_at else ""
        words += f"; incident {judged.incident_id} is open{since}"
        if judged.incident_reference is not None:
            words += f", whose reference is {judged.incident_reference}"
    return words
