"""The line by which tools say what they did, and when their figures may be compared."""

import pytest

from benchmarks.result import Result, disagreement, find_result, result_of


def test_a_result_is_found_again_among_what_else_a_tool_prints(capsys: pytest.CaptureFixture[str]) -> None:
    print('warning: RESULT {"tool": "broken"')
    result_of("ours", 3, [4.0, 2.0]).print()
    print("bye")
    assert find_result(capsys.readouterr().out) == Result("ours", cases=3, scored=2, mean=3.0)


def test_of_several_results_the_last_counts(capsys: pytest.CaptureFixture[str]) -> None:
    for mean in (1.0, 2.0):
        Result("ours", 1, 1, mean).print()
    found = find_result(capsys.readouterr().out)
    assert found is not None
    assert found.mean == 2.0


@pytest.mark.parametrize("said", ["", "RESULT", "RESULT True", 'RESULT {"tool": "x"}', "RESULT {not JSON}"])
def test_a_tool_that_got_no_further_has_no_result(said: str) -> None:
    assert find_result(said) is None


def test_tools_that_print_the_same_mean_agree_whether_or_not_they_round_it() -> None:
    assert disagreement([Result("ours", 3, 3, 3.333), Result("peer", 3, 3, 3.333333)]) is None


@pytest.mark.parametrize(
    ("results", "why"),
    [
        ([Result("ours", 3, 3, 3.3), Result("peer", 3, 3, 3.4)], "the means differ: ours 3.3, peer 3.4"),
        ([Result("ours", 3, 3, 3.3), Result("peer", 3, 2, 3.3)], "peer scored 2 of 3 cases"),
        ([Result("ours", 3, 3, 3.3), None], "a tool printed no result"),
    ],
)
def test_figures_of_unlike_work_are_not_compared(results: list[Result | None], why: str) -> None:
    assert disagreement(results) == why


def test_a_tool_that_scored_nothing_has_no_mean_to_divide_by() -> None:
    assert result_of("peer", 3, []) == Result("peer", 3, 0, 0.0)
