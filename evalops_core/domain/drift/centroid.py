"""Vectors of prompts → the direction of a day, and how far two directions are apart.

What belongs here: this geometry. What does not: which days are compared (decide), embedding (providers).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Rows = NDArray[np.floating[Any]]


def unit(vectors: Rows) -> Vector:
    """Each row (or the one vector) at length 1. ValueError for one without a direction: zero, or not finite."""
    rows = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    if not np.all(np.isfinite(lengths)) or not np.all(lengths > 0):
        raise ValueError("a vector of zeros, or with a value that is not finite, has no direction")
    return rows / lengths


def centroid(vectors: Rows) -> Vector:
    """The mean direction of the rows, shape (n, d) → (d,), at length 1; their lengths and their order do not count.

    ValueError for no rows, and where the directions cancel out.
    """
    if len(vectors) == 0:
        raise ValueError("there is no mean of nothing")
    return unit(unit(vectors).mean(axis=0))


def cosine_drift(one: Vector, other: Vector) -> float:
    """1 - cos of the angle between two vectors, in [0, 2]: 0 where they point the same way, 1 at a right angle."""
    return min(max(1.0 - float(unit(one) @ unit(other)), 0.0), 2.0)


def distances(vectors: Rows, origin: Vector) -> Vector:
    """The cosine distance of each row from `origin`, shape (n, d) → (n,), in [0, 2]."""
    return np.minimum(np.maximum(1.0 - unit(vectors) @ unit(origin), 0.0), 2.0)
