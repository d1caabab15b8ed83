"""Drift of a feature's inputs: a day's sample, what it comes to, and which days are due.

What belongs here: the use cases. What does not: the decision (domain.drift), rows (store), Dagster and commands.
"""
