"""What `evalops_core.wiring` offers, and what it imports for it."""

import subprocess
import sys

import pytest

import evalops_core.wiring


@pytest.mark.parametrize("name", evalops_core.wiring.__all__)
def test_every_name_that_is_offered_can_be_had(name: str) -> None:
    assert getattr(evalops_core.wiring, name).__name__ == name


def test_another_name_is_none() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'open_stores'"):
        getattr(evalops_core.wiring, "open_stores")  # noqa: B009 - the checker knows that there is none


def test_opening_the_store_imports_no_client_no_scorer_and_no_suite() -> None:
    code = "import sys; from evalops_core.wiring import open_store; print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "evalops_core.wiring.database" in imported
    heavy = ("aiohttp", "jsonschema", "pandas", "evalops_core.scorers", "evalops_core.suites", "evalops_core.providers")
    assert not [name for name in imported if name.startswith(heavy)]
