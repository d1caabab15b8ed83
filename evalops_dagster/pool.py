"""The pools that runs queue for.

What belongs here: their names, apart because every process of Dagster's imports them. What does not: anything that
takes time to import.
"""

# Runs queue for it one by one, however they are launched: tags of jobs do not reach runs that are launched from an
# asset's page. `EvalOpsStorage` creates it, because the first use of a pool without slots leaks.
POOL = "evalops_gate"

# Days of drift queue for one of their own, so that neither kind waits for the other.
DRIFT_POOL = "evalops_drift"
POOLS = (POOL, DRIFT_POOL)
