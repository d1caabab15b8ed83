"""A feature's last scores as one line of characters.

What belongs here: which character stands for what. What does not: where the line is interrupted (series), what is
printed beside it (the command).
"""

from dataclasses import dataclass

from evalops_core.trend.series import Series

BLOCKS = "▁▂▃▄▅▆▇█"
CHANGE = "│"
_PLAIN_BLOCKS, _PLAIN_CHANGE = ".:-=+*#@", "|"  # for a terminal that knows nothing else


@dataclass(frozen=True, slots=True)
class Sparkline:
    """`line` shows the last `runs` runs, oldest first: a character each, the lowest at the score `bottom`, the highest
    at `top`; a space for each window before it without a valid run (three at most), and a bar where something that
    scores depend on changed. `low` and `high` are the lowest and highest score of these runs."""

    line: str
    runs: int
    low: float
    high: float
    bottom: float
    top: float


def sparkline(series: Series, width: int, *, plain: bool = False) -> Sparkline:
    """As many of the newest runs as fit in `width` characters, at least one; `plain` is ASCII.

    The scale is the series' own, at least one point of 1–5 wide: noise is not drawn as if it were a fall.
    """
    blocks, bar = (_PLAIN_BLOCKS, _PLAIN_CHANGE) if plain else (BLOCKS, CHANGE)
    bottom, top = series.bounds
    line, between = "", ""
    shown: list[float] = []
    for mark in reversed(series.marks):
        step = int((mark.score - bottom) / (top - bottom) * len(blocks))
        longer = blocks[min(max(step, 0), len(blocks) - 1)] + between + line
        if shown and len(longer) > width:
            break
        line, between = longer, " " * mark.missing + (bar if mark.changed else "")
        shown.append(mark.score)
    return Sparkline(line, len(shown), min(shown), max(shown), bottom, top)
