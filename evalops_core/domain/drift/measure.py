"""How far a day is from its baseline, and how far it may be.

What belongs here: drift, threshold and the prompts that stand out. What does not: geometry (centroid), the null (null),
what follows (decide).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from evalops_core.domain.drift.centroid import Vector, centroid, cosine_drift, distances
from evalops_core.domain.drift.day import Far
from evalops_core.domain.drift.decide import Measured
from evalops_core.domain.drift.null import permutation_null
from evalops_core.domain.suite import DriftSpec

FIXED = 0.15
_FARTHEST = 5
Sample = Mapping[str, NDArray[np.float32]]


def measure(
    today: Vector,
    sample: Sample,
    baseline: Sequence[Vector],
    samples: Sequence[Sample],
    spec: DriftSpec,
) -> Measured:
    """The centroid `today` against the mean of the `baseline` centroids, (d,) each.

    `sample` and `samples` are the vectors that they were made of, by trace; for `threshold: auto` those of two baseline
    days at least must still be there, else `FIXED` holds.
    """
    origin = centroid(np.stack(baseline))
    drift = cosine_drift(today, origin)
    farthest = _farthest(sample, origin)
    if spec.threshold is not None:
        return Measured(drift, spec.threshold, "fixed", farthest=farthest, caveat=_all_alike(sample))
    kept = [np.stack(list(one.values())) for one in samples if one]
    if len(kept) < 2 or not sample:
        caveat = "retention has left too few of the baseline's samples to learn a threshold from"
        return Measured(drift, FIXED, "fixed", farthest=farthest, caveat=caveat)
    null = permutation_null(np.stack(list(sample.values())), kept, spec.alpha)
    more = f"its days differ {null.dispersion:.1f} times as much as chance, which is allowed for"
    caveat = _all_alike(sample) or (more if null.dispersion >= 1.05 else "")
    return Measured(drift, null.threshold, "auto", spec.alpha, farthest, caveat)


def _all_alike(sample: Sample) -> str:
    vectors = list(sample.values())
    if len(vectors) < 2 or not all(np.array_equal(vectors[0], other) for other in vectors[1:]):
        return ""
    return "all prompts of the day are the same: are they an example of the prompt's (drift: {message: last})?"


def _farthest(sample: Sample, origin: Vector) -> tuple[Far, ...]:
    if not sample:
        return ()
    far = zip(sample, distances(np.stack(list(sample.values())), origin), strict=True)
    return tuple(Far(trace, float(d)) for trace, d in sorted(far, key=lambda item: (-item[1], item[0]))[:_FARTHEST])
