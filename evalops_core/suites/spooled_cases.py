"""The cases of a large suite, in a file instead of in memory: a hundred thousand of them take 1 MB.

What belongs here: writing them to that file and reading them back. What does not: where cases come from (cases).

The file is nameless and goes with the process. It is not the suite's own `cases.jsonl`, which may be edited while a run
that began with its old content goes on.
"""

import marshal
import os
import tempfile
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, Union, overload

from evalops_core.domain.chat import Message
from evalops_core.domain.suite import Case


class SpooledCases(Sequence[Case]):
    """A sequence of cases that reads like a tuple of them, two looks giving equal cases that are not the same object.

    A look takes some microseconds; any thread may look. A slice shares the file of what it is taken from. The cases'
    values are JSON: dicts, lists and plain values. OSError where there is no room for the file.
    """

    def __init__(self, cases: Iterable[Case]) -> None:
        self._file = tempfile.TemporaryFile("wb", prefix="evalops-cases-")  # noqa: SIM115  # closed with the last slice
        self._ends = array("Q", [0])
        for case in cases:
            self._ends.append(self._ends[-1] + self._file.write(marshal.dumps(_values(case))))
        self._file.flush()
        self._chosen = range(len(self._ends) - 1)

    def __len__(self) -> int:
        return len(self._chosen)

    @overload
    def __getitem__(self, index: int) -> Case: ...
    @overload
    def __getitem__(self, index: slice) -> "SpooledCases": ...
    def __getitem__(self, index: Union[int, slice]) -> Union[Case, "SpooledCases"]:
        if isinstance(index, slice):
            part = object.__new__(SpooledCases)
            part._file, part._ends, part._chosen = self._file, self._ends, self._chosen[index]
            return part
        at = self._chosen[index]
        start = self._ends[at]
        # Without moving the file's place, which slices in other threads share.
        packed = os.pread(self._file.fileno(), self._ends[at + 1] - start, start)
        return _case(marshal.loads(packed))  # noqa: S302  # written above

    def __eq__(self, other: object) -> bool:
        """Whether it is a spooled or plain sequence of equal cases."""
        if not isinstance(other, (SpooledCases, tuple)) or len(self) != len(other):  # pyright: ignore[reportUnknownArgumentType]
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
