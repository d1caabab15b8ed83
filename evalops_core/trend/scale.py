"""Places and scores as coordinates of a drawing.

What belongs here: this mapping, shared by every picture of a trend. What does not: what is drawn.
"""

from dataclasses import dataclass

from evalops_core.trend.series import Series


@dataclass(frozen=True, slots=True)
class Scale:
    """A plotting area in pixels, y growing downwards, with `series` laid out over all of its width and height."""

    series: Series
    left: float
    top: float
    right: float
    bottom: float

    @property
    def step(self) -> float:
        """The distance of two neighbouring windows; a single run stands in the middle."""
        return (self.right - self.left) / self.series.places

    def x(self, place: float) -> float:
        return self.left + (place + 0.5) * self.step

    def y(self, score: float) -> float:
        low, high = self.series.bounds
        return self.bottom - (min(max(score, low), high) - low) / (high - low) * (self.bottom - self.top)
