"""What two runs must share for their scores to be compared, and how they differ, in words.

What belongs here: the key and its differences. What does not: what a verdict makes of them (regression).
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields

from evalops_core.domain.json import Json, content_hash

_WORDS = {
    "dataset": "the cases",
    "prompt": "the prompt",
    "model": "the model",
    "parameters": "the model's parameters",
    "scorers": "the scorers",
    "judge": "the judge",
    "judge_parameters": "the judge's parameters",
    "repeats": "the number of repeats",
    "cases": "the selection of cases",
}


@dataclass(frozen=True, slots=True)
class ComparabilityKey:
    """Everything that a score depends on besides the quality of the feature.

    `dataset`, `prompt` and `scorers` are content hashes (scorers with their code's version), `model` and `judge` the
    ids as resolved by the endpoint (as asked for until the first reply), `judge` None where rules scored. `cases` is
    how many of the suite's cases were taken, None for all.
    """

    dataset: str
    prompt: str
    scorers: str
    model: str
    parameters: Mapping[str, Json] = field(default_factory=dict[str, Json])
    judge: str | None = None
    judge_parameters: Mapping[str, Json] = field(default_factory=dict[str, Json])
    repeats: int = 1
    cases: int | None = None

    @property
    def digest(self) -> str:
        return content_hash(self.as_json())

    def as_json(self) -> dict[str, Json]:
        return asdict(self)


def differences(one: ComparabilityKey, other: ComparabilityKey) -> list[str]:
    """What changed from `one` to `other`, a phrase each, empty where they are comparable."""
    return differences_of(one, other, [item.name for item in fields(ComparabilityKey)])


def differences_of(one: ComparabilityKey, other: ComparabilityKey, names: Collection[str]) -> list[str]:
    """The same, of the fields `names` alone."""
    found: list[str] = []
    for item in fields(ComparabilityKey):
        before, after = getattr(one, item.name), getattr(other, item.name)
        if item.name in names and before != after:
            found.append(f"{_WORDS[item.name]} changed ({_short(before)} → {_short(after)})")
    return found


def _short(value: object) -> str:
    return "none" if value is None else str(value)
