"""The cases of a large suite, kept small: a hundred thousand of them take their texts' room and little more.

What belongs here: packing and unpacking. What does not: where cases come from (suites). A case as Python objects takes
several times its text; packed, each is made anew when it is asked for, in some microseconds, and let go again.
"""

import marshal
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, Union, overload

from evalops_core.domain.chat import Message
from evalops_core.domain.suite import Case


class PackedCases(Sequence[Case]):
    """A sequence of cases that reads like a tuple of them, two looks giving equal cases that are not the same object.

    A slice shares what it is taken from. The cases' values are JSON: dicts, lists and plain values.
    """

    def __init__(self, cases: Iterable[Case]) -> None:
        packed, ends = bytearray(), array("Q", [0])
        for case in cases:
            packed += marshal.dumps(_values(case))
            ends.append(len(packed))
        self._packed, self._ends = bytes(packed), ends
        self._chosen = range(len(ends) - 1)

    def __len__(self) -> int:
        return len(self._chosen)

    @overload
    def __getitem__(self, index: int) -> Case: ...
    @overload
    def __getitem__(self, index: slice) -> "PackedCases": ...
    def __getitem__(self, index: Union[int, slice]) -> Union[Case, "PackedCases"]:
        if isinstance(index, slice):
            part = object.__new__(PackedCases)
            part._packed, part._ends, part._chosen = self._packed, self._ends, self._chosen[index]
            return part
        at = self._chosen[index]
        return _case(marshal.loads(self._packed[self._ends[at] : self._ends[at + 1]]))  # noqa: S302  # packed above

    def __eq__(self, other: object) -> bool:
        """Whether it is a packed or plain sequence of equal cases."""
        if not isinstance(other, (PackedCases, tuple)) or len(self) != len(other):  # pyright: ignore[reportUnknownArgumentType]
            return False
        return all(mine == theirs for mine, theirs in zip(self, other, strict=True))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]

    def __hash__(self) -> int:
        return hash(len(self))


def _values(case: Case) -> tuple[Any, ...]:
    messages = tuple((message.role, message.content) for message in case.messages)
    return case.id, dict(case.fields), messages, case.reference, dict(case.metadata), case.group


def _case(values: tuple[Any, ...]) -> Case:
    case_id, fields, messages, reference, metadata, group = values
    return Case(case_id, fields, tuple(Message(*message) for message in messages), reference, metadata, group)
