"""A user's own function as the scorer.

What belongs here: calling it, and what its result means. What does not: finding its module (suite_import).

The function is called as `function(answer=…, case=…, **arguments)` with the answer's text, the `Case` and the spec's
arguments; it may be async, and is called in a thread where it is not. It returns

- a number from 1 to 5, or True (5) or False (1);
- None: no score for this answer;
- any of those and a rationale, as a pair `(score, "why")`.

Anything else, and an exception, leaves the answer Unscored with the reason.
"""

import asyncio
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, cast

import numpy as np

from evalops_core.domain.score import HIGHEST, LOWEST, Outcome, Score, Unscored
from evalops_core.domain.scorer import PythonSpec, Scored
from evalops_core.domain.suite import Case
from evalops_core.errors import ConfigError
from evalops_core.scorers.protocol import Item, one_axis, pass_or_fail
from evalops_core.scorers.suite_import import import_module
from evalops_core.scorers.text import excerpt


@dataclass(frozen=True)
class PythonScorer:
    """`version` holds the content hash of the function's code, so that changing the function changes the key."""

    spec: PythonSpec
    function: Callable[..., Any]
    version: str

    async def score(self, item: Item) -> Sequence[Scored]:
        given: dict[str, Any] = {"answer": item.answer, "case": item.case, **self.spec.arguments}
        if inspect.iscoroutinefunction(self.function):
            result = await self._awaited(self.function(**given))
        else:
            result = await asyncio.to_thread(self._called, given)
            if inspect.isawaitable(result):
                result = await self._awaited(result)
        outcome, rationale = _read(result, self.spec.function)
        return one_axis(self.spec, outcome, rationale)

    def _called(self, given: dict[str, Any]) -> Any:
        """In the thread itself: an exception such as StopIteration could not be carried out of it."""
        try:
            return self.function(**given)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's code may raise anything; it is the reason
            return self._raised(error)

    async def _awaited(self, result: Any) -> Any:
        try:
            return await result
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
            return self._raised(error)

    def _raised(self, error: BaseException) -> Unscored:
        return Unscored(f"{self.spec.function} raised {type(error).__name__}: {excerpt(str(error), 300)}")


def python_scorer(spec: PythonSpec, folder: Path) -> PythonScorer:
    """ConfigError where the function cannot be imported, or cannot take what it will be given."""
    name, colon, attribute = spec.function.partition(":")
    if not (name and colon and attribute):
        raise ConfigError(f"`function` is written `package.module:function`, not “{spec.function}”", key=spec.name)
    try:
        module, code = import_module(name, folder)
    except (Exception, SystemExit) as error:
        problem = f"{type(error).__name__}: {excerpt(str(error), 300)}"
        raise ConfigError(
            f"{name} cannot be imported ({problem}); it is looked for in {folder} and among the installed packages",
            key=spec.name,
        ) from error
    function: Any = module
    for part in attribute.split("."):
        function = getattr(function, part, None)
    if not callable(function):
        raise ConfigError(f"{name} has no function {attribute}", key=spec.name)
    _check_signature(spec, function)
    return PythonScorer(spec, function, f"1/{code}")


def _check_signature(spec: PythonSpec, function: Callable[..., Any]) -> None:
    reserved = sorted({"answer", "case"} & spec.arguments.keys())
    if reserved:
        raise ConfigError(f"`arguments` may not hold {reserved[0]}, which every function is given", key=spec.name)
    try:
        signature = inspect.signature(function)
    except ValueError:  # some built-in callables do not tell
        return
    try:
        signature.bind(answer="", case=Case(id=""), **spec.arguments)
    except TypeError as error:
        raise ConfigError(
            f"{spec.function} cannot be called as function(answer=…, case=…, **arguments): {error}", key=spec.name
        ) from None


def _read(result: object, function: str) -> tuple[Outcome, str | None]:
    rationale: str | None = None
    if isinstance(result, tuple):
        pair = cast("tuple[object, ...]", result)
        if len(pair) != 2 or not (pair[1] is None or isinstance(pair[1], str)):
            return Unscored(f"{function} returned a tuple that is not (score, rationale)"), None
        result, rationale = pair[0], None if pair[1] is None else excerpt(pair[1], 1000)
    if isinstance(result, Unscored):
        return result, rationale
    if result is None:
        return Unscored(f"{function} gave no score"), rationale
    if isinstance(result, np.generic):
        result = cast("object", result.item())
    if isinstance(result, bool):
        return pass_or_fail(passed=result), rationale
    if isinstance(result, Real):
        return _number(result, function), rationale
    return Unscored(f"{function} returned {type(result).__name__}, not a number from 1 to 5"), rationale


def _number(result: Real, function: str) -> Outcome:
    try:
        value = float(result)
    except OverflowError:
        value = math.inf
    if LOWEST <= value <= HIGHEST:
        return Score(value)
    return Unscored(f"{function} returned {value:g}, not a number from 1 to 5")
