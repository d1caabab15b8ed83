"""What is wrong with a deployment, and how to mend it: facts → findings, as pure functions.

What belongs here: what each check makes of what was seen. What does not: looking (store, providers, evalops_dagster),
which collaborators (wiring.doctor), printing (evalops_dagster.cli).
"""
