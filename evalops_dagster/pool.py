"""The pool that eval runs queue for.

What belongs here: its name, apart because every process of Dagster's imports it. What does not: anything that takes
time to import.
"""

# Runs queue for it one by one, however they are launched: tags of jobs do not reach runs that are launched from an
# asset's page. `EvalOpsStorage` creates it, because the first use of a pool without slots leaks.
POOL = "evalops_gate"
