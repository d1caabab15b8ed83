"""Runs made up of noise, the same at every call."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evalops_core.domain.regression.sample import Sample

QUALITY = [4.6, 4.2, 3.8, 4.4, 3.5, 4.0, 4.8, 3.2, 4.1, 3.9]


def sample(run: int, scores: Sequence[float] | Mapping[str, float], **changed: Any) -> Sample:
    """Of cases c0, c1, … where no ids are given."""
    by_case = scores if isinstance(scores, Mapping) else {f"c{i}": score for i, score in enumerate(scores)}
    return Sample(run=run, scores=dict(by_case), **changed)


def noisy(run: int, *, cases: int = 40, drop: float = 0.0, noise: float = 0.3, **changed: Any) -> Sample:
    """Every case keeps its own quality, less `drop`, plus the noise of run number `run`."""
    off = np.random.default_rng(run).normal(0.0, noise, cases)
    return sample(run, [QUALITY[i % 10] - drop + float(off[i]) for i in range(cases)], **changed)


def steady(runs: int, **changed: Any) -> list[Sample]:
    return [noisy(run, **changed) for run in range(runs)]
