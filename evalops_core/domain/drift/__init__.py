"""Drift of a feature's inputs: centroids of days, how far a day is from the days before, and what follows.

What belongs here: values and decisions over arrays. What does not: embedding (providers), rows (store), who is told.
"""
