"""How much the answer is like the reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalops_core.domain.chat import Usage
from evalops_core.domain.json import Json
from evalops_core.domain.scorer import SimilaritySpec
from evalops_core.errors import ConfigError, PermanentError, TransientError
from tests.scorers.scripted import BrokenEmbeddings, ScriptedEmbeddings, item_of, letters, one, reason, score, value

EMBEDDING = SimilaritySpec(name="like")
CHRF = SimilaritySpec(name="like", metric="chrf")
VECTORS = {"east": [1.0, 0.0], "north": [0.0, 1.0], "north-east": [3.0, 4.0], "west": [-1.0, 0.0]}
COMPASS = ScriptedEmbeddings(lambda text: VECTORS[text])


@pytest.mark.parametrize(
    ("answer", "expected"), [("east", 5.0), ("north-east", 1 + 4 * 0.6), ("north", 1.0), ("west", 1.0)]
)
def test_the_cosine_becomes_the_score(answer: str, expected: float) -> None:
    assert value(one(EMBEDDING, answer, "east", embeddings=COMPASS)) == pytest.approx(expected, abs=1e-6)


def test_floor_and_ceiling_stretch_the_scale() -> None:
    def stretched(floor: float, ceiling: float) -> float:
        spec = SimilaritySpec(name="like", floor=floor, ceiling=ceiling)
        return value(one(spec, "north-east", "east", embeddings=COMPASS))

    assert stretched(0.5, 0.7) == pytest.approx(3.0, abs=1e-5)
    assert stretched(0.6 + 1e-6, 1.0) == 1.0
    assert stretched(0.0, 0.5) == 5.0


def test_of_several_references_the_most_similar_one_counts() -> None:
    assert value(one(EMBEDDING, "east", ["north", "east"], embeddings=COMPASS)) == pytest.approx(5.0, abs=1e-6)
    assert value(one(CHRF, "guten Tag", ["hallo", "guten Tag"])) == 5.0


def test_chrf_is_the_mean_over_the_lengths_of_character_n_grams() -> None:
    # of ab and ac, one of two single characters is shared and no pair: precision = recall = (1/2 + 0) / 2
    (scored,) = score(CHRF, item_of("ab", "ac"))
    assert scored.rationale == "chrf 0.250"
    assert value(scored.outcome) == pytest.approx(2.0)


def test_a_blank_answer_is_a_one_and_costs_no_embedding() -> None:
    embeddings = ScriptedEmbeddings(letters)
    assert value(one(EMBEDDING, " \n", "east", embeddings=embeddings)) == 1.0
    assert value(one(CHRF, "", "east")) == 1.0
    assert embeddings.asked == []


@pytest.mark.parametrize("reference", [None, "", [], {"a": 1}, ["a", " "]])
def test_without_a_text_to_be_like_it_is_unscored(reference: Json) -> None:
    assert "reference" in reason(one(CHRF, "a", reference))


@pytest.mark.parametrize(
    ("error", "word"), [(TransientError("too busy"), "transient"), (PermanentError("no such model"), "permanent")]
)
def test_a_failed_embedding_is_unscored_with_its_kind_and_words(error: Exception, word: str) -> None:
    said = reason(one(EMBEDDING, "a", "b", embeddings=BrokenEmbeddings(error)))
    assert word in said
    assert str(error) in said


@pytest.mark.parametrize("vectors", [np.ones((1, 3)), np.full((2, 3), np.nan), np.ones(2)])
def test_vectors_that_make_no_sense_are_unscored(vectors: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> None:
    embeddings = BrokenEmbeddings(vectors.astype(np.float32))
    assert "no usable vectors" in reason(one(EMBEDDING, "a", "b", embeddings=embeddings))


def test_the_score_carries_the_embedding_calls_model_and_tokens() -> None:
    (paid,) = score(EMBEDDING, item_of("east", ["north", "east"]), embeddings=COMPASS)
    assert (paid.rationale, paid.model, paid.usage) == ("embedding 1.000", "letters-2026-01-01", Usage(30, 0))
    (useless,) = score(EMBEDDING, item_of("a", "b"), embeddings=BrokenEmbeddings(np.ones(2, dtype=np.float32)))
    assert (useless.model, useless.usage) == ("broken", Usage(7, 0)), "what nobody can use is paid all the same"


def test_where_nothing_was_paid_the_score_carries_no_call() -> None:
    blank, chrf, failed = (
        *score(EMBEDDING, item_of(" ", "east"), embeddings=COMPASS),
        *score(CHRF, item_of("ab", "ac")),
        *score(EMBEDDING, item_of("a", "b"), embeddings=BrokenEmbeddings(PermanentError("no such model"))),
    )
    for scored in (blank, chrf, failed):
        assert (scored.model, scored.usage) == (None, Usage())


def test_text_that_utf8_cannot_hold_is_mended_before_it_is_sent() -> None:
    embeddings = ScriptedEmbeddings(letters)
    one(EMBEDDING, "half an emoji \ud83d", "x", embeddings=embeddings)
    assert embeddings.asked == [["half an emoji \ufffd", "x"]]


def test_a_floor_that_is_not_below_the_ceiling_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^like: `floor`"):
        one(SimilaritySpec(name="like", metric="chrf", floor=0.5, ceiling=0.5), "a", "b")


def test_without_an_embedding_model_embedding_similarity_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match=r"^like: .*EVALOPS_EMBEDDING_MODEL.*chrf"):
        one(EMBEDDING, "a", "b")


@settings(deadline=None)
@given(a=st.text(min_size=1).filter(str.strip), b=st.text(min_size=1).filter(str.strip))
def test_embedding_similarity_is_symmetric_and_within_the_scale(a: str, b: str) -> None:
    embeddings = ScriptedEmbeddings(letters)
    there = value(one(EMBEDDING, a, b, embeddings=embeddings))
    back = value(one(EMBEDDING, b, a, embeddings=embeddings))
    assert there == pytest.approx(back, abs=1e-9)
    assert 1.0 <= there <= 5.0


@settings(deadline=None)
@given(text=st.text(min_size=1).filter(str.strip))
def test_nothing_is_more_like_a_text_than_itself(text: str) -> None:
    same = value(one(EMBEDDING, text, text, embeddings=ScriptedEmbeddings(letters)))
    assert same == pytest.approx(5.0, abs=1e-5)
