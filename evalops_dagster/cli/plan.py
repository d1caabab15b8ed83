"""`evalops plan`: the smallest drop that a feature's suite can find, and what a larger one would buy and cost.

What belongs here: the command, and what it prints. What does not: the numbers (run.power).
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from evalops_core.domain.suite import Suite
    from evalops_core.run.power import Option, Power
    from evalops_core.settings import Settings

_RULES = {"history": "rule C", "paired": "rule B", "assumed": "rule B, assumed noise"}


def register(app: typer.Typer) -> None:
    app.command(short_help="Show the smallest drop a suite can find, and what more would buy.")(plan)


def plan(
    feature: Annotated[str, typer.Argument(metavar="FEATURE", help="The feature's name.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show the smallest drop that a feature's runs find with 80 % power, by the noise of its stored runs.

    A table says what more cases or repeats would buy, and what they would cost a day; nothing is called. Without
    stored runs the noise is assumed, and that is said.

    \b
      evalops plan explain
      evalops plan explain --json
    """
    from evalops_core.run.power import power_of
    from evalops_core.settings import load_settings
    from evalops_core.wiring import open_workshop, while_needed

    settings = load_settings()
    suite = _suite(feature, settings)
    with while_needed(settings), open_workshop(settings) as workshop:
        found = power_of(workshop.plan(suite, run_type="manual"), workshop.engine, workshop.tools)
    (_print_json if as_json else _print)(found)


def _suite(feature: str, settings: "Settings") -> "Suite":
    """ConfigError where there is no such suite, or it cannot be read."""
    from evalops_core.errors import ConfigError
    from evalops_core.wiring import read_suites

    suites = read_suites(settings)
    if feature in suites.broken:
        raise ConfigError(suites.broken[feature])
    if feature not in suites.usable:
        known = ", ".join(sorted(suites.usable)) or "none"
        raise ConfigError(f"there is no suite of a feature {feature!r}; there are {known}", key="FEATURE")
    return suites.usable[feature]


def _print(found: "Power") -> None:
    from evalops_dagster.cli.sheet import print_table, shown

    today = found.options[0]
    typer.echo(
        f"{shown(found.feature)}: the smallest drop found with 80 % power is {today.detectable:.3f} "
        f"({_RULES[found.noise.method]}, {today.cases} cases, repeats {today.repeats}){_because(today, found)}"
    )
    typer.echo(f"noise: {found.noise.basis}")
    headings = {"": False, "cases": False, "repeats": False, "detectable drop": False, "SE": False, "cost a day": False}
    print_table(
        headings,
        [
            (
                "today" if option.today else "",
                str(option.cases),
                str(option.repeats),
                f"{option.detectable:.3f}",
                f"{option.se:.3f}",
                _dollars(option.cost_per_day),
            )
            for option in found.options
        ],
    )
    for part in found.cost.parts:
        typer.echo(f"cost of {part.what}: {shown(part.model)}, {part.basis}")
    if found.cost.unpriced:
        typer.echo(f"nobody knows the price of {shown(', '.join(found.cost.unpriced))}; EVALOPS_PRICES can tell it")
    for note in found.notes:
        typer.echo(f"note: {note}")


def _because(option: "Option", found: "Power") -> str:
    if option.bounded_by == "min_effect":
        return f"; no drop below {found.rules.min_effect:g} (min_effect) counts, however clear"
    return f"; any drop of {found.rules.drop:g} or more counts" if option.bounded_by == "drop" else ""


def _dollars(amount: Decimal | None) -> str:
    if amount is None:
        return "unknown"
    return f"${amount:.2f}" if amount == 0 or amount >= 1 else f"${amount:.4f}"


def _print_json(found: "Power") -> None:
    from evalops_dagster.cli.sheet import print_json

    today = found.options[0]
    document: dict[str, Any] = {
        "feature": found.feature,
        "method": found.noise.method,
        "assumed": found.noise.method == "assumed",
        "basis": found.noise.basis,
        "runs": found.noise.runs,
        "alpha": found.rules.alpha,
        "power": 0.8,
        "detectable": today.detectable,
        "bounded_by": today.bounded_by,
        "runs_per_day": found.runs_per_day,
        "unpriced": list(found.cost.unpriced),
        "cost_basis": {part.what: part.basis for part in found.cost.parts},
        "options": [
            {
                "cases": option.cases,
                "repeats": option.repeats,
                "today": option.today,
                "se": option.se,
                "detectable": option.detectable,
                "bounded_by": option.bounded_by,
                "cost_per_day_usd": option.cost_per_day,
            }
            for option in found.options
        ],
        "notes": list(found.notes),
    }
    print_json(document)
