from datetime import datetime, timedelta, timezone

import pytest

from evalops_core.domain.look import ahead_s

NOON = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("theirs_s", "ahead"),
    [(0.0, 0.0), (10.0, 0.0), (-1.0, 0.0), (-1.5, 0.5), (12.0, -2.0), (5.0, 0.0)],
)
def test_a_clock_is_ahead_only_by_what_the_time_of_the_answer_cannot_explain(theirs_s: float, ahead: float) -> None:
    """The question was put at noon and answered ten seconds later, by a clock that shows whole seconds."""
    earliest = NOON + timedelta(seconds=theirs_s)
    assert ahead_s(NOON, NOON + timedelta(seconds=10), earliest, earliest + timedelta(seconds=1)) == ahead
