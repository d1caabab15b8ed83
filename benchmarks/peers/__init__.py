"""The same work done by other tools, each in an environment of its own.

What belongs here: one script a peer, written as its documentation teaches, with telemetry, sharing and update checks
off; `common` is what they share, `catalogue` how they are installed and started. What does not: EvalOps.
"""
