"""What `evalops compare` prints on a terminal, and as JSON.

What belongs here: a comparison in words, tables and one document. What does not: the comment for a pull request
(compare_markdown), what is found (run.compare).
"""

from typing import Any

import typer

from evalops_core.run.compare import Comparison, Side, score_of
from evalops_core.run.comparison_words import changes_of, few, p_of, rule_of
from evalops_dagster.cli.sheet import print_facts, print_json, print_table, shown

NONE = "–"
_OUTCOMES = {
    "regressed": "regression",
    "stable": "no regression",
    "improved": "improvement",
    "inconclusive": "too little data",
    "not_comparable": "not comparable",
    "no_baseline": "nothing to compare with",
}


def verdict_of(found: Comparison) -> str:
    """`explain: no regression`; without the feature where nobody knows it."""
    return f"{found.feature}: {_OUTCOMES[found.said.outcome]}" if found.feature else _OUTCOMES[found.said.outcome]


def drop_of(found: Comparison) -> str | None:
    """`0.310 (95 % CI 0.120 to 0.500)`; a rise is a negative drop."""
    said = found.said
    if said.drop is None:
        return None
    bounds = "" if said.ci_low is None else f" (95 % CI {said.ci_low:.3f} to {said.ci_high:.3f})"
    return f"{said.drop + 0.0:.3f}{bounds}"


def mde_of(found: Comparison) -> str | None:
    return None if found.said.mde is None else f"{found.said.mde:.3f} at 80 % power"


def cases_of(found: Comparison) -> str:
    said = found.said
    groups = f" in {said.n_clusters} independent groups" if said.n_clusters not in (0, said.n) else ""
    return f"{found.common} in both runs and scored{groups}"


def repeats_of(found: Comparison) -> str | None:
    """Said only where there is more than one."""
    before, after = found.baseline.sample.repeats, found.candidate.sample.repeats
    return None if before == after == 1 else str(before) if before == after else f"{before} and {after}"


def side_of(side: Side) -> str:
    """What a person needs to find the run: its name, score, window, model and commit."""
    run = side.run
    score = score_of(side)
    facts = [side.name, NONE if score is None else f"{float(score):.3f}"]
    if run is not None:
        facts[1] += f" ± {run.se:.2f}" if run.se is not None else ""
        facts += [f"{run.run_type}, window {run.partition_key}", run.model_id or run.comparability.model]
        facts += [f"judged by {judge}"] if (judge := run.judge_model_id or run.comparability.judge) else []
        facts += [f"git {run.git_sha}"] if run.git_sha else []
    facts += [side.chosen] if side.chosen else []
    return ", ".join(facts)


def signed(value: float | None) -> str:
    return NONE if value is None else f"{value + 0.0:+.3f}"


def number(value: float | None, digits: int = 3) -> str:
    return NONE if value is None else f"{value + 0.0:.{digits}f}"


def print_comparison(found: Comparison) -> None:
    said = found.said
    typer.echo(f"{shown(verdict_of(found))}; {shown(said.why, 2000)}\n")
    print_facts(
        [
            ("baseline", side_of(found.baseline)),
            ("candidate", side_of(found.candidate)),
            ("drop", drop_of(found)),
            ("p", p_of(said)),
            ("rule", rule_of(said)),
            ("detectable", mde_of(found)),
            ("cases", cases_of(found)),
            ("repeats", repeats_of(found)),
            ("changed", changes_of(found)),
            ("missing cases", few(said.missing)),
            ("new cases", few(said.new)),
            ("unscored cases", few(sorted(found.candidate.sample.unscored))),
        ]
    )
    if found.axes:
        typer.echo("\naxes")
        headings = {"axis": True, "before": False, "after": False, "change": False}
        rows = [(axis.name, number(axis.before), number(axis.after), signed(axis.delta)) for axis in found.axes]
        print_table(headings, rows)
    if found.fallen:
        typer.echo("the cases that fell most" if found.axes else "\nthe cases that fell most")
        headings = {"case": True, "before": False, "after": False, "z": False}
        falls = [(f.case, number(f.before, 2), number(f.after, 2), number(f.z, 1)) for f in found.fallen]
        print_table(headings, falls)
    for case in found.texts.values():
        typer.echo(shown(case.case_id))
        print_facts(
            [
                ("  input", case.input),
                ("  reference", case.reference),
                ("  before", case.answer_before),
                ("  after", case.answer_after),
                ("  judged", case.why),
            ]
        )


def print_comparison_json(found: Comparison, exit_code: int) -> None:
    """Texts of cases only where they were asked for."""
    said = found.said
    document: dict[str, Any] = {
        "outcome": said.outcome,
        "exit_code": exit_code,
        "why": said.why,
        "feature": found.feature,
        "rule": said.rule,
        "drop": said.drop,
        "ci_low": said.ci_low,
        "ci_high": said.ci_high,
        "p_value": said.p_value,
        "n": found.common,
        "n_clusters": said.n_clusters,
        "se": said.se,
        "minimum_detectable": said.mde,
        "before": said.before,
        "after": said.after,
        "baseline": _side(found.baseline),
        "candidate": _side(found.candidate),
        "changed": None if found.changed is None else list(found.changed),
        "axes": [{"axis": a.name, "before": a.before, "after": a.after, "delta": a.delta} for a in found.axes],
        "worst": [{"case": f.case, "before": f.before, "after": f.after, "z": f.z} for f in found.fallen],
        "missing": list(said.missing),
        "new": list(said.new),
        "rules": found.spec,
    }
    print_json({**document, "texts": list(found.texts.values())} if found.texts else document)


def _side(side: Side) -> dict[str, Any]:
    run = side.run
    facts: dict[str, Any] = {
        "run": run and run.id,
        "file": side.name if run is None else None,
        "chosen": side.chosen,
        "score": score_of(side),
        "cases": len(side.sample.scores),
        "unscored": sorted(side.sample.unscored),
        "repeats": side.sample.repeats,
    }
    if run is not None:
        facts |= {
            "se": run.se,
            "run_type": run.run_type,
            "window": run.partition_key,
            "model": run.model_id or run.comparability.model,
            "judge": run.judge_model_id or run.comparability.judge,
            "git_sha": run.git_sha,
            "comparability_key": run.comparability.digest,
        }
    return facts
