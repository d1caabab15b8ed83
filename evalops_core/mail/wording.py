"""Numbers and times as a mail spells them.

What belongs here: spelling, the same in subject, HTML, plain text and picture. What does not: sentences (templates).
"""

from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal

MINUS = "\u2212"


def score(value: Decimal | float) -> str:
    """Two decimals, halves away from zero as people round."""
    number = value if isinstance(value, Decimal) else Decimal(repr(value))
    return str(number.quantize(Decimal("0.01"), ROUND_HALF_UP)).replace("-", MINUS)


def distance(value: float) -> str:
    """Of a drift or of a prompt: three decimals."""
    return f"{value:.3f}"


def fall(drop: Decimal | float) -> str:
    """A drop (positive) as what happened to the score: `−0.60`; one that is a rise as `+0.60`."""
    return f"{MINUS}{score(drop)}" if drop >= 0 else f"+{score(-drop)}"


def instant(at: datetime) -> str:
    """`2026-11-24 06:00 UTC`."""
    return at.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def span(length: timedelta) -> str:
    """`40 min`, `36 h`, `3 days 4 h`, to the nearest; two days and less are hours, as intervals are."""
    minutes = max(0, round(length.total_seconds() / 60))
    if minutes < 90:
        return f"{minutes} min"
    hours = (minutes + 30) // 60
    if hours <= 48:
        return f"{hours} h"
    days, rest = divmod(hours, 24)
    return f"{days} days {rest} h" if rest else f"{days} days"


def some_day(today: date | None) -> str:
    """A week from `today` as an example for commands; without one, the shape of a day."""
    return (today + timedelta(days=7)).isoformat() if today else "YYYY-MM-DD"


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """`1 case`, `5 cases`."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"
