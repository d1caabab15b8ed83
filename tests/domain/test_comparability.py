"""What makes two runs comparable."""

from dataclasses import replace

import pytest

from evalops_core.domain.comparability import ComparabilityKey, differences

KEY = ComparabilityKey(dataset="d1", prompt="p1", scorers="s1", model="gpt-5-mini", parameters={"temperature": 0})


def test_equal_keys_have_one_digest_and_no_difference() -> None:
    same = replace(KEY, parameters=dict(KEY.parameters))
    assert same.digest == KEY.digest
    assert differences(KEY, same) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dataset": "d2"}, "the cases changed (d1 → d2)"),
        ({"prompt": "p2"}, "the prompt changed (p1 → p2)"),
        ({"scorers": "s2"}, "the scorers changed (s1 → s2)"),
        ({"model": "gpt-6"}, "the model changed (gpt-5-mini → gpt-6)"),
        ({"parameters": {}}, "the model's parameters changed ({'temperature': 0} → {})"),
        ({"judge": "gpt-5"}, "the judge changed (none → gpt-5)"),
        ({"judge_parameters": {"seed": 1}}, "the judge's parameters changed ({} → {'seed': 1})"),
        ({"repeats": 3}, "the number of repeats changed (1 → 3)"),
        ({"cases": 5}, "the selection of cases changed (none → 5)"),
    ],
)
def test_every_part_counts_and_is_named(change: dict[str, object], words: str) -> None:
    other = replace(KEY, **change)  # pyright: ignore[reportArgumentType]  # one field of the right type each
    assert other.digest != KEY.digest
    assert differences(KEY, other) == [words]
