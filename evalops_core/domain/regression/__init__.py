"""What a scheduled score means beside the ones before it: the verdict.

What belongs here: the names that the engine needs at every tick; importing them costs no numpy and no scipy. What does
not: the statistics, each in a module of its own that a caller imports by name (`assess` is their entry), where runs are
read and verdicts kept (store), what a regression sets off (incident).
"""

from evalops_core.domain.regression.fixed import (
    FIXED_DROP,
    MEASURED_BY,
    Severity,
    Verdict,
    VerdictOutcome,
    baseline_of,
    fixed_drop,
    measured_alike,
    verdict,
)

__all__ = [
    "FIXED_DROP",
    "MEASURED_BY",
    "Severity",
    "Verdict",
    "VerdictOutcome",
    "baseline_of",
    "fixed_drop",
    "measured_alike",
    "verdict",
]
