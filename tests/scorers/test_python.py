"""A user's own function as the scorer."""

import asyncio
import sys
from pathlib import Path

import pytest

from evalops_core.domain.json import Json
from evalops_core.domain.score import Outcome
from evalops_core.domain.scorer import PythonSpec, Scored
from evalops_core.errors import ConfigError
from evalops_core.scorers.protocol import Scorer
from evalops_core.scorers.registry import build_scorers
from tests.scorers.scripted import item_of, reason, value

FUNCTIONS = """
import threading
import numpy as np

CALLED_IN = []

def given(answer, case, offset=0):
    CALLED_IN.append(threading.current_thread())
    return len(answer) + offset, f"for {case.id}"

async def waits(*, answer, case):
    return 2

def late(answer, case):
    return waits(answer=answer, case=case)

def result(answer, case, of):
    return {
        "true": True, "false": False, "none": None, "low": 0.99, "high": 6, "nan": float("nan"), "huge": 10**400,
        "text": "5", "list": [5], "numpy": np.float32(3.5), "numpy_true": np.bool_(True), "pair_none": (None, "why"),
        "triple": (1, 2, 3), "pair_odd": (1, 2), "one": 1, "five": 5.0,
    }[of]

def fails(answer, case, how="ValueError"):
    raise {"ValueError": ValueError, "StopIteration": StopIteration, "SystemExit": SystemExit}[how]("no idea")

async def fails_late(answer, case):
    raise ValueError("no idea")

class Kind:
    @staticmethod
    def words(answer, case):
        return len(answer.split())

VALUE = 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "a suite"
    folder.mkdir()
    (folder / "own.py").write_text(FUNCTIONS)
    return folder


def build(function: str, folder: Path, **arguments: Json) -> Scorer:
    spec = PythonSpec(name="mine", function=function, arguments=arguments)
    (scorer,) = build_scorers([spec], judge=None, embeddings=None, folder=folder)
    return scorer


def call(function: str, folder: Path, answer: str = "abc", **arguments: Json) -> Scored:
    scorer = build(function, folder, **arguments)

    async def scored() -> Scored:
        (one,) = await scorer.score(item_of(answer))
        return one

    return asyncio.run(scored())


def test_a_function_is_given_answer_case_and_arguments_and_may_say_why(folder: Path) -> None:
    scored = call("own:given", folder, offset=1)
    assert (scored.axis, value(scored.outcome), scored.rationale) == ("mine", 4.0, "for c1")


def test_async_functions_methods_and_functions_that_return_an_awaitable_work(folder: Path) -> None:
    assert value(call("own:waits", folder).outcome) == 2.0
    assert value(call("own:late", folder).outcome) == 2.0
    assert value(call("own:Kind.words", folder, "one two").outcome) == 2.0


@pytest.mark.parametrize(
    ("of", "expected"), [("true", 5), ("false", 1), ("numpy", 3.5), ("numpy_true", 5), ("one", 1), ("five", 5)]
)
def test_numbers_from_1_to_5_and_booleans_are_scores(folder: Path, of: str, expected: float) -> None:
    assert value(call("own:result", folder, of=of).outcome) == expected


@pytest.mark.parametrize("of", ["low", "high", "nan", "huge", "text", "list"])
def test_anything_else_is_unscored_and_says_what_came(folder: Path, of: str) -> None:
    assert "not a number from 1 to 5" in reason(call("own:result", folder, of=of).outcome)


@pytest.mark.parametrize("of", ["triple", "pair_odd"])
def test_a_tuple_that_is_no_pair_of_score_and_rationale_is_unscored(folder: Path, of: str) -> None:
    assert "not (score, rationale)" in reason(call("own:result", folder, of=of).outcome)


def test_none_is_unscored_and_keeps_its_rationale(folder: Path) -> None:
    assert "gave no score" in reason(call("own:result", folder, of="none").outcome)
    scored = call("own:result", folder, of="pair_none")
    assert "gave no score" in reason(scored.outcome)
    assert scored.rationale == "why"


@pytest.mark.parametrize("how", ["ValueError", "StopIteration", "SystemExit"])
def test_an_exception_is_unscored_with_its_words(folder: Path, how: str) -> None:
    assert reason(call("own:fails", folder, how=how).outcome) == f"own:fails raised {how}: no idea"


def test_an_exception_in_an_async_function_is_unscored_too(folder: Path) -> None:
    assert reason(call("own:fails_late", folder).outcome) == "own:fails_late raised ValueError: no idea"


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        ("own", "`package.module:function`"),
        ("own:", "`package.module:function`"),
        ("absent:f", "absent cannot be imported (ModuleNotFoundError"),
        ("broken:f", "broken cannot be imported (ZeroDivisionError"),
        ("leaves:f", "leaves cannot be imported (SystemExit"),
        ("own:absent", "own has no function absent"),
        ("own:VALUE", "own has no function VALUE"),
        ("own:result", "cannot be called as"),
    ],
)
def test_what_cannot_be_called_is_refused_before_anything_is_scored(folder: Path, function: str, problem: str) -> None:
    (folder / "broken.py").write_text("1 / 0")
    (folder / "leaves.py").write_text("import sys; sys.exit('bye')")
    with pytest.raises(ConfigError) as refused:
        build(function, folder)
    assert str(refused.value).startswith("mine: ")
    assert problem in str(refused.value)


def test_arguments_cannot_replace_the_answer(folder: Path) -> None:
    with pytest.raises(ConfigError, match="may not hold answer"):
        build("own:given", folder, answer="nice")


def test_an_import_leaves_nothing_behind_even_where_it_fails(folder: Path) -> None:
    (folder / "sibling.py").write_text("X = 3\n")
    (folder / "uses.py").write_text("import sibling\ndef f(answer, case): return sibling.X\n")
    (folder / "broken.py").write_text("import sibling\n1 / 0")
    path, finders = list(sys.path), list(sys.meta_path)
    assert value(call("uses:f", folder).outcome) == 3.0
    with pytest.raises(ConfigError):
        build("broken:f", folder)
    assert (list(sys.path), list(sys.meta_path)) == (path, finders)
    assert not {"sibling", "uses", "broken"} & sys.modules.keys()


def test_two_suites_may_have_modules_of_one_name(tmp_path: Path) -> None:
    scores: list[Outcome] = []
    for number in (2, 4):
        folder = tmp_path / str(number)
        (folder / "scoring").mkdir(parents=True)
        (folder / "scoring" / "__init__.py").write_text("")
        (folder / "scoring" / "part.py").write_text(f"N = {number}\n")
        (folder / "scoring" / "tone.py").write_text("from .part import N\ndef f(answer, case): return N\n")
        scores.append(call("scoring.tone:f", folder).outcome)
    assert [value(outcome) for outcome in scores] == [2.0, 4.0]


def test_a_suites_module_goes_before_a_loaded_one_of_the_same_name_and_leaves_it_loaded(folder: Path) -> None:
    import json

    (folder / "json.py").write_text("def f(answer, case): return 2\n")
    assert value(call("json:f", folder).outcome) == 2.0
    assert sys.modules["json"] is json


def test_an_installed_function_needs_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be called as"):
        build("os.path:basename", tmp_path / "absent")
    assert value(call("tests.scorers.test_python:installed", tmp_path / "absent").outcome) == 3.0


def installed(answer: str, case: object) -> int:
    del case
    return len(answer)


def test_the_version_follows_the_code_of_the_module_and_of_its_siblings(folder: Path) -> None:
    (folder / "uses.py").write_text("import sibling\ndef f(answer, case): return sibling.X\n")
    versions: list[str] = []
    for code in ("X = 3\n", "X = 33 - 30\n", "X = 3\n"):
        (folder / "sibling.py").write_text(code)
        versions.append(build("uses:f", folder).version)
    assert versions[0] == versions[2] != versions[1]
