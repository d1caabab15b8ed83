"""The pools that runs queue for.

What belongs here: their names, apart because every process of Dagster's imports them. What does not: anything that
takes time to import.
"""

from collections.abc import Iterable

# Runs queue for it one by one, however they are launched: tags of jobs do not reach runs that are launched from an
# asset's page. `EvalOpsStorage` creates it, because the first use of a pool without slots leaks.
POOL = "evalops_gate"

# Days of drift queue for one of their own, so that neither kind waits for the other.
DRIFT_POOL = "evalops_drift"
POOLS = (POOL, DRIFT_POOL)


def eval_pool(feature: str, gate_scope: str) -> str:
    """The pool of a feature's eval runs: one for all features, or with the scope `feature` one for each."""
    return POOL if gate_scope == "all" else f"{POOL}_{feature}"


def feature_of_pool(pool: str) -> str | None:
    """The feature that a pool is of alone; None for the others."""
    return pool.removeprefix(f"{POOL}_") if pool.startswith(f"{POOL}_") else None


def is_gated(pools: Iterable[str]) -> bool:
    """Whether a run with these pools holds a gate while it works."""
    return any(pool in POOLS or pool.startswith(f"{POOL}_") for pool in pools)
