"""Which eval run a Dagster run is, by its tags."""

import pytest

from evalops_core.errors import ConfigError
from evalops_dagster.tags import read_tags

SCHEDULED = {"evalops/run_type": "scheduled", "dagster/schedule_name": "eval_schedule"}


def test_what_does_not_say_scheduled_is_by_hand() -> None:
    assert read_tags("run", {"dagster/from_ui": "true"}).run_type == "manual"
    assert read_tags("run", SCHEDULED).run_type == "scheduled"


def test_a_person_s_re_execution_of_a_scheduled_run_is_by_hand_and_known_by_its_root() -> None:
    tags = read_tags("second", {**SCHEDULED, "dagster/root_run_id": "first", "dagster/parent_run_id": "first"})
    assert (tags.run_type, tags.root_run_id) == ("manual", "first")


def test_dagster_s_own_retry_of_a_scheduled_run_is_still_scheduled() -> None:
    tags = read_tags("second", {**SCHEDULED, "dagster/root_run_id": "first", "dagster/retry_number": "1"})
    assert (tags.run_type, tags.root_run_id) == ("scheduled", "first")


@pytest.mark.parametrize("by", ["dagster/from_ui", "dagster/backfill"])
def test_what_a_person_launches_in_the_ui_is_by_hand_whatever_tags_were_copied_or_typed_in(by: str) -> None:
    assert read_tags("run", {**SCHEDULED, by: "true"}).run_type == "manual"


@pytest.mark.parametrize("limit", ["x", "-3", "0", "1.5", ""])
def test_a_limit_that_is_no_number_of_cases_is_refused(limit: str) -> None:
    with pytest.raises(ConfigError, match="tag evalops/limit"):
        read_tags("run", {"evalops/limit": limit})


def test_the_judge_is_asked_what_it_was_asked_before_where_a_tag_says_so() -> None:
    assert [read_tags("run", tags).use_cache for tags in ({}, {"evalops/no_cache": "false"})] == [True, True]
    assert read_tags("run", {"evalops/no_cache": "true"}).use_cache is False
    with pytest.raises(ConfigError, match=r"tag evalops/no_cache.*true or false, not 'yes'"):
        read_tags("run", {"evalops/no_cache": "yes"})


def test_a_limit_is_a_number_of_cases() -> None:
    assert read_tags("run", {"evalops/limit": "5"}).limit == 5
