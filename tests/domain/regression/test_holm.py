import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalops_core.domain.regression.holm import holm

PS = st.lists(st.floats(0, 1), max_size=12)


def test_the_smallest_of_four_is_multiplied_by_four_and_none_falls_below_a_smaller_one() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_nothing_is_above_one_and_one_p_alone_stays_as_it_is() -> None:
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


@given(PS)
def test_adjusting_never_lowers_a_p_and_keeps_the_order(ps: list[float]) -> None:
    adjusted = holm(ps)
    assert all(p <= q <= 1 for p, q in zip(ps, adjusted, strict=True))
    ranked = [q for _, q in sorted(zip(ps, adjusted, strict=True))]
    assert ranked == sorted(ranked)
