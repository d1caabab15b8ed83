import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalops_core.providers.foreign import parsed

TEXT = st.text(st.characters(categories=("Cs",)) | st.sampled_from('\\"/ud8dcDC0\n\U0001f600e'))


def marked(value: Any) -> Any:
    """What `json` reads, with U+FFFD for the surrogates that it leaves unpaired."""
    if isinstance(value, dict):
        return {marked(key): marked(member) for key, member in value.items()}  # pyright: ignore[reportUnknownVariableType]  # JSON
    return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in value)


@given(st.dictionaries(TEXT, TEXT, max_size=1))
def test_every_lone_surrogate_is_marked_and_everything_else_kept(value: dict[str, str]) -> None:
    raw = json.dumps(value)
    assert parsed(raw.encode()) == marked(json.loads(raw))


@pytest.mark.parametrize(
    "raw", [rb'{"a": "\ud83d', rb'"\ud83"', rb'"\ud83d" NaN', b'"\xed\xa0\xbd"', b"[" * 100_000 + rb'"\ud83d"', b""]
)
def test_what_is_no_json_stays_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  both libraries have words of their own for it
        parsed(raw)
