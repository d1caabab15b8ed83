"""Which suites of the settings' folders may be used."""

from pathlib import Path

import pytest

from evalops_core.settings import load_settings
from evalops_core.wiring import read_suites
from tests.builders import JUDGED, write_suite

CODE = "{type: python, function: 'scoring:score', name: own}"


@pytest.mark.parametrize(
    "yaml",
    [JUDGED.replace("scorers:\n", f"scorers:\n  - {CODE}\n"), JUDGED.replace("- {type: contains}", f"- {CODE}")],
    ids=["a scorer", "a fallback"],
)
def test_suites_with_code_are_refused_where_the_settings_say_so_and_the_code_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, yaml: str
) -> None:
    folder = write_suite(tmp_path, "http://127.0.0.1:9/v1", feature="coded", cases=1, yaml=yaml)
    write_suite(tmp_path, "http://127.0.0.1:9/v1", cases=1)
    (folder / "scoring.py").write_text("raise SystemExit('it was run')")
    settings = {"suites": (tmp_path,), "home": tmp_path}
    assert set(read_suites(load_settings(**settings)).usable) == {"coded", "orders"}
    monkeypatch.setenv("EVALOPS_PYTHON_SCORERS", "false")
    found = read_suites(load_settings(**settings))
    assert set(found.usable) == {"orders"}
    assert found.broken["coded"] == (
        f"{folder / 'suite.yaml'}: the scorer own runs code of the suite's, which EVALOPS_PYTHON_SCORERS=false "
        "refuses; take it out, or allow it"
    )
