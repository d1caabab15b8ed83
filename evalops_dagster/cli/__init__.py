"""The `evalops` command: one module a command group, put together here.

What belongs here: the list of groups and what happens to an error. What does not: any command's work. Modules of the
groups import what is heavy only inside their commands, so that help comes at once.
"""

import gc
import sys

import typer

from evalops_core.run.garbage import sparing_collector
from evalops_dagster.cli import (
    alerts,
    backtest,
    baseline,
    compare,
    db,
    demo,
    dev,
    doctor,
    drift,
    features,
    gate,
    incidents,
    metrics,
    model,
    plan,
    plan_cost,
    purge,
    report,
    run,
    settings,
    suites,
    traces,
    trend,
)
from evalops_dagster.cli.mishaps import exit_code, in_a_sentence

_HELP = """Continuous evaluation of LLM features.

Suites of golden cases are run on a cadence, scored 1–5, and watched for regressions; the Dagster UI shows it all.

\b
  evalops dev                     start everything and open the UI
  evalops suites new my_feature   write a suite of your own
  evalops suites check            say what is wrong with it
  evalops run --feature explain   evaluate now, from the terminal
  evalops trend                   the scores over time
  evalops drift                   whether what users ask has moved
  evalops incidents               what has dropped and stays low

Exit codes: 0 fine, 100 regression, 2 usage or configuration, 3 not comparable or too little data, 1 anything else.
Settings come from EVALOPS_… variables; the README lists them.
"""

app = typer.Typer(
    help=_HELP, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=True
)
dev.register(app)
demo.register(app)
run.register(app)
plan_cost.register(app)
trend.register(app)
drift.register(app)
report.register(app)
backtest.register(app)
compare.register(app)
plan.register(app)
purge.register(app)
metrics.register(app)
settings.register(app)
doctor.register(app)
app.add_typer(suites.app, name="suites")
app.add_typer(features.app, name="features")
app.add_typer(traces.app, name="traces")
app.add_typer(model.app, name="model")
app.add_typer(incidents.app, name="incidents")
app.add_typer(alerts.app, name="alerts")
app.add_typer(gate.app, name="gate")
app.add_typer(baseline.app, name="baseline")
app.add_typer(db.app, name="db")


def main() -> None:
    """The console script. An error is one sentence on stderr and the exit code that its kind has."""
    try:
        with sparing_collector():
            app(prog_name="evalops")  # also where it is `python -m evalops_dagster.cli`
    except Exception as error:  # noqa: BLE001 - of an error that nobody foresaw, the sentence says where the rest is
        print(f"error: {in_a_sentence(error)}", file=sys.stderr)
        sys.exit(exit_code(error))
    finally:
        gc.freeze()  # else the interpreter looks at each of Dagster's objects again before it ends, for 0.6 s
