"""A suite's hashes: of all that its parts hold, and of nothing else."""

from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest

from evalops_core.domain.chat import Message
from evalops_core.domain.json import content_hash
from evalops_core.domain.suite import Case, Suite

CASES = (
    Case("b", {"input": "größe \U0001f600"}, reference="a text", group="one"),
    Case("a", messages=(Message("system", "Be brief."), Message("user", "Hi")), metadata={"tier": 1, "x": [None, 2.5]}),
    Case("c", {"z": {"b": [1, True], "a": {}}}, reference={"total": 3, "items": ["x"]}),
)


def of(*cases: Case) -> Suite:
    return Suite("orders", cases, (), Path())


def test_the_dataset_hash_is_that_of_the_whole_cases_by_id() -> None:
    whole = content_hash([asdict(case) for case in sorted(CASES, key=lambda case: case.id)])
    assert of(*CASES).dataset_hash == of(*reversed(CASES)).dataset_hash == whole


@pytest.mark.parametrize("name", [field.name for field in fields(Case)])
def test_a_case_that_differs_anywhere_gives_another_dataset_hash(name: str) -> None:
    case = Case("a", {"input": "x"}, (Message("user", "Hi"),), "y", {"tier": 1}, "one")
    other = Case("other", {"input": "X"}, (Message("user", "Ho"),), "Y", {"tier": 2}, "two")
    assert of(case).dataset_hash != of(replace(case, **{name: getattr(other, name)})).dataset_hash
