"""Found or not, and never for ever."""

import pytest

from evalops_core.domain.scorer import RegexSpec
from evalops_core.errors import ConfigError
from tests.scorers.scripted import one, reason, value


def test_found_is_a_five_and_not_found_a_one() -> None:
    spec = RegexSpec(name="date", pattern=r"\d{4}-\d\d-\d\d")
    assert value(one(spec, "on 2024-01-05, at noon")) == 5.0
    assert value(one(spec, "yesterday")) == 1.0
    assert value(one(spec, "")) == 1.0


def test_full_matches_all_of_the_answer_but_the_white_space_around_it() -> None:
    spec = RegexSpec(name="date", pattern=r"\d+", full=True)
    assert value(one(spec, "2024\n")) == 5.0
    assert value(one(spec, "in 2024")) == 1.0


def test_ignore_case_ignores_case() -> None:
    assert value(one(RegexSpec(name="yes", pattern="yes"), "YES")) == 1.0
    assert value(one(RegexSpec(name="yes", pattern="yes", ignore_case=True), "YES")) == 5.0


def test_negate_turns_it_round_but_rewards_no_empty_answer() -> None:
    spec = RegexSpec(name="polite", pattern="damn", negate=True)
    assert value(one(spec, "thank you")) == 5.0
    assert value(one(spec, "damn")) == 1.0
    assert value(one(spec, "")) == 1.0


def test_a_pattern_that_backtracks_for_ever_leaves_the_answer_unscored() -> None:
    spec = RegexSpec(name="trap", pattern=r"(a|aa)+$")
    assert "longer than" in reason(one(spec, "a" * 20_000 + "b"))


def test_a_bad_pattern_is_refused_by_name_before_anything_is_scored() -> None:
    with pytest.raises(ConfigError, match=r"^date: `pattern` is not a regular expression"):
        one(RegexSpec(name="date", pattern="(unclosed"), "x")
