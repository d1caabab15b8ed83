"""From an answer to scores on the 1–5 scale: one module a scorer, one protocol, one registry.

What belongs here: how a score is computed. What does not: what a scorer is told to do (`domain.scorer`), how scores
are weighed and averaged (`domain.score`), HTTP (providers).
"""
