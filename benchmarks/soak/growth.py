"""Whether a figure grows over a long run, told from noise: figures by tenths, and a slope with its interval.

What belongs here: arithmetic over (runs so far, figure). What does not: where figures come from (samples, endurance).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal, cast

from scipy.stats import theilslopes

PARTS, STRETCHES = 10, 20
WARM_UP = 0.2  # of the run: caches fill
FEWEST_RUNS = 100  # a shorter course is all warm-up
_FEWEST = 5  # stretches with a figure
Point = tuple[float, float]
Of = Callable[[Sequence[float]], float]


@dataclass(frozen=True)
class Trend:
    """The change from the end of the warm-up to the end of the run, in the figure's unit, with its 95 % interval.

    `first` and `last` are of the fifth after the warm-up and of the last fifth. `unclear`: too few runs or figures, or
    an interval that holds both no growth and more than is tolerated.
    """

    first: float
    last: float
    change: float
    low: float
    high: float
    tolerated: float
    verdict: Literal["no growth", "grows", "unclear"]


def parts(points: Sequence[Point], end: float, count: int = PARTS, *, of: Of = median) -> list[float | None]:
    """What stands for each of `count` equal parts of 0…`end`; None where there is no figure."""
    found: list[list[float]] = [[] for _ in range(count)]
    for at, figure in points:
        found[min(count - 1, int(count * at / end))].append(figure)
    return [of(figures) if figures else None for figures in found]


def trend(points: Sequence[Point], end: float, *, tolerated: float, of: Of = median) -> Trend | None:
    """The trend after the warm-up; `tolerated` is a change that nobody minds. None without any figure in either fifth.

    `of` stands for a stretch: its median, or the least of what comes and goes, for what leaks does not go. The slope is
    Theil and Sen's over stretches, because single figures lie far off now and then and
    neighbours are alike. It grows where the whole interval is above 0 and the change more than is tolerated, and
    where a step has lifted all of the last fifth so far above the first: of steps the slope knows little.
    """
    fifths = parts(points, end, 5, of=of)
    first, last = fifths[1], fifths[4]
    if first is None or last is None:
        return None
    begin = WARM_UP * end
    after = [(at - begin, figure) for at, figure in points if at >= begin]
    stretches = parts(after, end - begin, STRETCHES, of=of)
    known = [(number, figure) for number, figure in enumerate(stretches) if figure is not None]
    if len(known) < _FEWEST or end < FEWEST_RUNS:
        return Trend(first, last, last - first, float("-inf"), float("inf"), tolerated, "unclear")
    fitted = theilslopes([figure for _, figure in known], [number for number, _ in known])
    slopes = cast("tuple[float, float, float]", (fitted[0], fitted[2], fitted[3]))
    change, low, high = (float(slope) * (STRETCHES - 1) for slope in slopes)
    verdict: Literal["no growth", "grows", "unclear"] = "unclear"
    fifth = max(1, len(known) // 4)
    stepped = min(figure for _, figure in known[-fifth:]) > max(figure for _, figure in known[:fifth])
    if (low > 0 and change > tolerated) or (stepped and last - first > tolerated):
        verdict = "grows"
    elif high <= tolerated:
        verdict = "no growth"
    return Trend(first, last, change, low, high, tolerated, verdict)
