"""The composition root: settings in, collaborators out; for Dagster, the command line and tests alike.

What belongs here: which implementation stands behind which port, and where endpoints, keys and databases come from.
What does not: any decision about an evaluation. A name's module is imported when the name is asked for: a command that
only reads the database pays for no HTTP client and no scorer.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evalops_core.store.gate import Gate, GateError, Held
    from evalops_core.wiring.alerts import alert_rules, mailer_of
    from evalops_core.wiring.connections import connect
    from evalops_core.wiring.dagster_database import dagster_url
    from evalops_core.wiring.database import (
        check_store,
        embedded_server,
        installed_since,
        open_store,
        store_revision,
        store_url,
        upgrade_store,
        while_needed,
    )
    from evalops_core.wiring.doctor import dagster_tables, examine
    from evalops_core.wiring.drift import drift_gate, embedder, embedding_name
    from evalops_core.wiring.heartbeat import heartbeat_of
    from evalops_core.wiring.metrics import MetricsSource
    from evalops_core.wiring.models import judge_ref, model_ref, model_server, needs_embedded_model
    from evalops_core.wiring.suites import Suites, read_suites
    from evalops_core.wiring.tracing import TraceWriter, write_trace
    from evalops_core.wiring.workshop import Workshop, open_workshop, workshop_over

__all__ = [
    "Gate",
    "GateError",
    "Held",
    "MetricsSource",
    "Suites",
    "TraceWriter",
    "Workshop",
    "alert_rules",
    "check_store",
    "connect",
    "dagster_tables",
    "dagster_url",
    "drift_gate",
    "embedded_server",
    "embedder",
    "embedding_name",
    "examine",
    "heartbeat_of",
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
    "write_trace",
]

if not TYPE_CHECKING:  # a checker that saw this would take any name for one that exists
    _MODULES = {
        "evalops_core.store.gate": ("Gate", "GateError", "Held"),
        "evalops_core.wiring.alerts": ("alert_rules", "mailer_of"),
        "evalops_core.wiring.dagster_database": ("dagster_url",),
        "evalops_core.wiring.database": (
            "check_store",
            "embedded_server",
            "installed_since",
            "open_store",
            "store_revision",
            "store_url",
            "upgrade_store",
            "while_needed",
        ),
        "evalops_core.wiring.connections": ("connect",),
        "evalops_core.wiring.doctor": ("dagster_tables", "examine"),
        "evalops_core.wiring.drift": ("drift_gate", "embedder", "embedding_name"),
        "evalops_core.wiring.heartbeat": ("heartbeat_of",),
        "evalops_core.wiring.metrics": ("MetricsSource",),
        "evalops_core.wiring.models": ("judge_ref", "model_ref", "model_server", "needs_embedded_model"),
        "evalops_core.wiring.suites": ("Suites", "read_suites"),
        "evalops_core.wiring.tracing": ("TraceWriter", "write_trace"),
        "evalops_core.wiring.workshop": ("Workshop", "open_workshop", "workshop_over"),
    }
    _HOMES = {name: module for module, names in _MODULES.items() for name in names}

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return found
