"""A prompt and a case → the messages that are sent.

What belongs here: templates, their sandbox and their limits. What does not: which line of a file a problem lies on
(checks). Templates are Jinja2 over the case's fields. A missing field is an error, never an empty string; underscored
attributes, changes to the fields, and whatever differs from run to run (`random`, `lipsum`) are out of reach.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, Undefined, UndefinedError, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from evalops_core.domain.chat import Message, Role
from evalops_core.domain.json import Json
from evalops_core.domain.suite import Case, Prompt, Suite
from evalops_core.errors import ConfigError
from evalops_core.suites.file_model import listed, suggestion

LONGEST_MESSAGE = 1_000_000
_LARGEST_VALUE = 100 * LONGEST_MESSAGE  # what one step may make before the message is cut
_GROWING = (str, int, list, tuple, dict, range)
_PADS = frozenset(("batch", "center", "expandtabs", "indent", "ljust", "rjust", "slice", "wordwrap", "zfill"))
_JOINS = frozenset(("format", "format_map", "join", "translate", "xmlattr"))
_WIDE = re.compile(r"[0-9]{6}|%[^\s%a-zA-Z]*\*")


class PromptError(ConfigError):
    """A template that cannot be used, or not with this case.

    `message` is the index of the prompt's message, None where the prompt as a whole does not fit the case;
    `template_line` the line within its content, where known.
    """

    def __init__(self, problem: str, *, message: int | None = None, template_line: int | None = None) -> None:
        super().__init__(problem, key="prompt" if message is None else f"prompt[{message}].content")
        self.message, self.template_line = message, template_line


class PromptRenderer:
    """A suite's templates, compiled once. PromptError for one that is no template."""

    def __init__(self, suite: Suite) -> None:
        self._messages = _compiled(suite.prompt)

    def render(self, case: Case) -> tuple[Message, ...]:
        """At least one message, or PromptError.

        A case of messages gets the prompt's system messages before it. A text that finds no user or assistant message
        in the prompt is sent as the user's.
        """
        return _rendered(self._messages, case)


def render(prompt: Prompt, case: Case) -> tuple[Message, ...]:
    """As `PromptRenderer.render`, for a single case."""
    return _rendered(_compiled(prompt), case)


@dataclass(frozen=True, slots=True)
class _Compiled:
    index: int
    role: Role
    template: Template

    def text(self, fields: Mapping[str, Json]) -> str:
        parts: list[str] = []
        length = 0
        try:
            for part in self.template.generate(fields):
                parts.append(part)
                length += len(part)
                if length > LONGEST_MESSAGE:
                    break
        except UndefinedError as error:
            raise self._error(_undefined(error, fields), error) from None
        except SecurityError as error:
            raise self._error(f"a template may not do this: {error}", error) from None
        except Exception as error:  # noqa: BLE001  # a template is its author's code and may raise anything
            raise self._error(f"the template fails: {error or type(error).__name__}", error) from None
        if length > LONGEST_MESSAGE:
            raise self._error(f"the text grows past {LONGEST_MESSAGE} characters; send less", None)
        return "".join(parts)

    def _error(self, problem: str, error: Exception | None) -> PromptError:
        return PromptError(problem, message=self.index, template_line=_template_line(error))


def _rendered(messages: tuple[_Compiled, ...], case: Case) -> tuple[Message, ...]:
    talk = [message for message in messages if message.role != "system"]
    if case.messages and talk:
        problem = "the case has messages of its own, so the prompt may hold system messages only"
        raise PromptError(f"{problem}; remove the {talk[0].role} one", message=talk[0].index)
    own = case.messages
    if not own and not talk and set(case.fields) == {"input"} and isinstance(text := case.fields["input"], str):
        own = (Message("user", text),)
    rendered = (*(Message(message.role, message.text(case.fields)) for message in messages), *own)
    if not rendered:
        raise PromptError("there is no prompt to put the case's fields into; add one, or give the input as a text")
    return rendered


def _compiled(prompt: Prompt) -> tuple[_Compiled, ...]:
    environment = _Sandbox(undefined=StrictUndefined, finalize=_plain_value, autoescape=False)
    environment.globals = {"range": environment.globals["range"]}
    del environment.filters["random"]
    grow = _PADS | _JOINS | {"replace"}
    bounded: Any = {name: _bounded(name, filter_) for name, filter_ in environment.filters.items() if name in grow}
    environment.filters.update(bounded)
    compiled: list[_Compiled] = []
    for index, message in enumerate(prompt.messages):
        try:
            template = environment.from_string(message.content)
        except TemplateSyntaxError as error:
            problem = f"not a valid template: {error.message}"
            raise PromptError(problem, message=index, template_line=error.lineno) from None
        except Exception as error:  # noqa: BLE001  # Jinja2 computes constants while compiling, which may raise anything
            problem = f"not a valid template: {error or type(error).__name__}"
            raise PromptError(problem, message=index, template_line=_template_line(error)) from None
        compiled.append(_Compiled(index, message.role, template))
    return tuple(compiled)


class _Generator(CodeGenerator):
    """`~` joins texts of any length, and Jinja2 knows no way to intercept it."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802  # Jinja2 finds it by this name
        self.write("environment.concatenated((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class _Sandbox(ImmutableSandboxedEnvironment):
    """Without the ways by which a short template makes a huge value."""

    code_generator_class = _Generator
    intercepted_binops = frozenset(("*", "**", "+", "%"))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" and not (abs(left) <= 1_000_000 and abs(right) <= 64):
            raise SecurityError("the power is too large")
        repeats = hasattr(left, "__len__") or hasattr(right, "__len__")
        if operator == "*" and repeats and _size(left) * _size(right) > LONGEST_MESSAGE:
            raise SecurityError("the repetition is too long")
        if operator == "+" and _length(left) + _length(right) > LONGEST_MESSAGE:
            raise SecurityError("the sum is too long")
        if operator == "%" and isinstance(left, str):
            _check_width(left)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # by position, as the compiled templates do
        method = getattr(obj, "__wrapped__", obj)  # Jinja2 puts a function of its own before a text's `format`
        owner, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
        if isinstance(owner, _GROWING):
            _check_growth(name, owner, *args, *kwargs.values())
        if isinstance(owner, str) and name in ("format", "format_map"):
            _check_width(owner)
        return super().call(context, obj, *args, **kwargs)

    def concatenated(self, parts: Sequence[Any]) -> str:
        texts = [str(_plain_value(part)) for part in parts]
        if sum(map(len, texts)) > LONGEST_MESSAGE:
            raise SecurityError("the text is too long")
        return "".join(texts)


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that is not asked for more than memory holds; Jinja2's marks on it stay."""

    @wraps(function)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        _check_growth(name, *args, *kwargs.values())
        if name == "format":
            _check_width(str(args[0]))
        return function(*args, **kwargs)

    return bounded


def _check_growth(name: str, *values: Any) -> None:
    """SecurityError where the filter or method `name` could make a value of more than `_LARGEST_VALUE`.

    What pads makes at most the product of texts and widths, what joins that of texts and lists; what does neither grows
    by no more than a few times, whatever numbers it is given.
    """
    given = [(max(1, _size(value)), isinstance(value, int)) for value in values if isinstance(value, _GROWING)]
    texts = [size for size, number in given if not number]
    if name == "replace" and len(texts) >= 3:
        most = texts[0] + texts[0] // texts[1] * texts[2]
    elif name in _PADS:
        most = math.prod(size for size, _ in given)
    else:
        most = math.prod(texts) if name in _JOINS else 0
    if most > _LARGEST_VALUE:
        raise SecurityError("the value would grow too large")


def _check_width(form: str) -> None:
    """SecurityError where a format holds a width or a precision of six digits, or `%` takes one from a value."""
    if _WIDE.search(form):
        raise SecurityError("the format is too wide")


def _length(value: Any) -> int:
    return len(value) if hasattr(value, "__len__") else 0


def _size(value: Any) -> int:
    """A sequence's length, a factor's size as far as a sequence is repeated by it."""
    return len(value) if hasattr(value, "__len__") else 1 if isinstance(value, float) else abs(int(value))


def _plain_value(value: Any) -> Any:
    if callable(value) and not isinstance(value, Undefined):
        raise SecurityError("a function is no text; call it, with ()")
    return value


def _undefined(error: UndefinedError, fields: Mapping[str, Json]) -> str:
    match = re.fullmatch(r"'(.+)' is undefined", error.message or "", re.DOTALL)
    has = f"it has {listed(sorted(fields))}" if fields else "it has none"
    if match is None:
        return f"{error.message}; {has}"
    return f"no field {match[1]}{suggestion(match[1], fields)}; {has}"


def _template_line(error: Exception | None) -> int | None:
    """Jinja2 rewrites tracebacks so that a template's frames carry its own lines."""
    line, frame = None, error.__traceback__ if error is not None else None
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == "<template>":
            line = frame.tb_lineno
        frame = frame.tb_next
    return line
