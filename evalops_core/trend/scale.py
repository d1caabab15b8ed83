"""Places and values as coordinates of a drawing.

What belongs here: this mapping, shared by every picture of a trend. What does not: what is drawn.
"""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Laid(Protocol):
    """What can be laid out: so many places beside each other, and values between two bounds."""

    @property
    def places(self) -> int: ...

    @property
    def bounds(self) -> tuple[float, float]: ...


SeriesT = TypeVar("SeriesT", bound=Laid)


@dataclass(frozen=True, slots=True)
class Scale(Generic[SeriesT]):
    """A plotting area in pixels, y growing downwards, with `series` laid out over all of its width and height."""

    series: SeriesT
    left: float
    top: float
    right: float
    bottom: float

    @property
    def step(self) -> float:
        """The distance of two neighbouring places; a single one stands in the middle."""
        return (self.right - self.left) / self.series.places

    def x(self, place: float) -> float:
        return self.left + (place + 0.5) * self.step

    def y(self, value: float) -> float:
        low, high = self.series.bounds
        return self.bottom - (min(max(value, low), high) - low) / (high - low) * (self.bottom - self.top)
