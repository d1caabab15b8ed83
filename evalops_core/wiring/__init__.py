"""The composition root: settings in, collaborators out; for Dagster, the command line and tests alike.

What belongs here: which implementation stands behind which port, and where endpoints, keys and databases come from.
What does not: any decision about an evaluation.
"""

from evalops_core.store.gate import Gate, GateError, Held
from evalops_core.wiring.alerts import alert_rules, mailer_of
from evalops_core.wiring.database import (
    dagster_url,
    embedded_server,
    installed_since,
    open_store,
    store_revision,
    store_url,
    upgrade_store,
    while_needed,
)
from evalops_core.wiring.models import connect, judge_ref, model_ref, model_server, needs_embedded_model
from evalops_core.wiring.suites import Suites, read_suites
from evalops_core.wiring.workshop import Workshop, open_workshop, workshop_over

__all__ = [
    "Gate",
    "GateError",
    "Held",
    "Suites",
    "Workshop",
    "alert_rules",
    "connect",
    "dagster_url",
    "embedded_server",
    "installed_since",
    "judge_ref",
    "mailer_of",
    "model_ref",
    "model_server",
    "needs_embedded_model",
    "open_store",
    "open_workshop",
    "read_suites",
    "store_revision",
    "store_url",
    "upgrade_store",
    "while_needed",
    "workshop_over",
]
