"""From specs to scorers, and what of them two runs must share."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalops_core.domain.json import Json
from evalops_core.domain.score import Score, Unscored
from evalops_core.domain.scorer import (
    Axis,
    ContainsSpec,
    ExactSpec,
    JsonFieldsSpec,
    JudgeSpec,
    PythonSpec,
    RegexSpec,
    Rubric,
    Scored,
    ScorerSpec,
    SimilaritySpec,
    axes_of,
)
from evalops_core.errors import ConfigError
from evalops_core.scorers.protocol import Item, Scorer
from evalops_core.scorers.registry import build_scorers, scorers_fingerprint
from tests.scorers.scripted import NOWHERE, ScriptedEmbeddings, ScriptedJudge, item_of, letters

JUDGE = JudgeSpec(name="judge", rubric=Rubric((Axis("tone", "Is it polite?"),)))
LETTERS = ScriptedEmbeddings(letters)
EVERY_TYPE: tuple[ScorerSpec, ...] = (
    ExactSpec(name="exact"),
    ContainsSpec(name="contains", forbidden=("b",)),
    RegexSpec(name="regex", pattern="a+b?"),
    RegexSpec(name="not", pattern="a", negate=True, full=True, ignore_case=True),
    JsonFieldsSpec(name="fields", fields=("a", "b.0", "c"), schema={"properties": {"a": {"maximum": 3}}}),
    SimilaritySpec(name="embedding", floor=0.3, ceiling=0.8),
    SimilaritySpec(name="chrf", metric="chrf"),
    PythonSpec(name="python", function="tests.scorers.test_registry:length"),
    JUDGE,
)

plain_json: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "c"]) | st.text(), inner),
    max_leaves=10,
)
answers = (
    st.text(st.characters())
    | st.text(alphabet='{}[]":,abc01.-')
    | st.sampled_from(['{"a": 1, "b": [2], "c": null}', '{"a": 1e999, "b": "x"}', '{"a": NaN}', "```json\n{}\n```"])
)


def length(answer: str, case: object) -> float:
    del case
    return float(len(answer))


def build(*specs: ScorerSpec, judge: ScriptedJudge | None = None) -> tuple[Scorer, ...]:
    return build_scorers(specs, judge=judge, embeddings=LETTERS, folder=NOWHERE)


def all_scored(scorers: Sequence[Scorer], item: Item) -> list[Sequence[Scored]]:
    async def scored() -> list[Sequence[Scored]]:
        return [await scorer.score(item) for scorer in scorers]

    return asyncio.run(scored())


@settings(deadline=None)
@given(answer=answers, reference=plain_json)
def test_every_scorer_gives_each_of_its_axes_a_score_from_1_to_5_or_a_reason(answer: str, reference: Json) -> None:
    scorers = build(*EVERY_TYPE, judge=ScriptedJudge(answer, '{"tone": {"reason": "", "score": 2}}'))
    for spec, found in zip(EVERY_TYPE, all_scored(scorers, item_of(answer, reference)), strict=True):
        assert [scored.axis for scored in found] == [axis.name for axis in axes_of(spec)]
        for scored in found:
            assert b"\0" not in (scored.rationale or "").encode()
            if isinstance(scored.outcome, Unscored):
                assert b"\0" not in scored.outcome.reason.encode()
            else:
                assert 1.0 <= scored.outcome.value <= 5.0


def test_a_judge_without_a_model_is_refused_with_both_ways_out() -> None:
    with pytest.raises(ConfigError, match=r"^judge: .*EVALOPS_JUDGE_MODEL.*`fallback`"):
        build(JUDGE)


def test_without_a_judge_its_fallback_scores() -> None:
    (scorer,) = build(replace(JUDGE, fallback=(ExactSpec(name="same"),)))
    assert scorer.spec == ExactSpec(name="same", weight=1.0)


def test_a_name_that_two_scorers_share_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^same: 2 scorers"):
        build(ExactSpec(name="same"), ContainsSpec(name="same"))


def test_the_fingerprint_does_not_depend_on_the_order() -> None:
    one, two = ExactSpec(name="a"), ContainsSpec(name="b")
    assert scorers_fingerprint(build(one, two)) == scorers_fingerprint(build(two, one))


@pytest.mark.parametrize(
    "changed",
    [
        ExactSpec(name="x", weight=2.0),
        ExactSpec(name="x", ignore_case=False),
        ExactSpec(name="y"),
        ContainsSpec(name="x"),
    ],
)
def test_whatever_changes_a_score_changes_the_fingerprint(changed: ScorerSpec) -> None:
    assert scorers_fingerprint(build(changed)) != scorers_fingerprint(build(ExactSpec(name="x")))


def test_the_fingerprint_of_a_judge_holds_its_rubric_but_not_its_fallback() -> None:
    judge = ScriptedJudge()
    before = scorers_fingerprint(build(JUDGE, judge=judge))
    assert scorers_fingerprint(build(replace(JUDGE, fallback=(ExactSpec(name="e"),)), judge=judge)) == before
    other = replace(JUDGE, rubric=Rubric((Axis("tone", "Is it very polite?"),)))
    assert scorers_fingerprint(build(other, judge=judge)) != before


def test_the_fingerprint_holds_the_embedding_models_name() -> None:
    spec = SimilaritySpec(name="like")
    prints = {
        scorers_fingerprint(
            build_scorers([spec], judge=None, embeddings=ScriptedEmbeddings(letters, name), folder=NOWHERE)
        )
        for name in ("small", "large")
    }
    assert len(prints) == 2


def test_many_items_can_be_scored_at_once(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def f(answer, case): return int(answer)\n")
    spec = PythonSpec(name="mine", function="own:f")
    (scorer,) = build_scorers([spec], judge=None, embeddings=None, folder=tmp_path)

    async def scored() -> list[Sequence[Scored]]:
        return await asyncio.gather(*(scorer.score(item_of(str(1 + n % 5))) for n in range(100)))

    outcomes = [found[0].outcome for found in asyncio.run(scored())]
    assert outcomes == [Score(float(1 + n % 5)) for n in range(100)]
