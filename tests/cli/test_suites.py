import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner, Result

from evalops_core.errors import ConfigError
from evalops_dagster.cli.suites import app
from tests.suites.folders import YAML, write_suite


def suites(*arguments: str | Path, roots: str | Path | None = None) -> Result:
    env = {"EVALOPS_SUITES": str(roots) if roots is not None else "", "EVALOPS_MODEL": "", "EVALOPS_JUDGE_MODEL": ""}
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=env)


def test_list_names_every_suite_with_what_it_is_made_of(tmp_path: Path) -> None:
    write_suite(tmp_path, yaml=YAML + "model: {name: 'gpt-5-mini'}\nowner: team:[language]\n")
    write_suite(tmp_path, "other", yaml=YAML + "interval: 6\nrepeats: 3\n")
    result = suites("list", roots=tmp_path)
    assert result.exit_code == 0, result.output
    rows = {cells[1]: cells for line in result.stdout.splitlines() if len(cells := line.split("│")) > 3}
    rows = {name.strip(): [cell.strip() for cell in cells] for name, cells in rows.items()}
    assert rows["explain"][2:8] == ["1", "1", "24 h", "gpt-5-mini", "exact", "team:[language]"]
    assert rows["other"][2:5] == ["1", "3", "6 h"]


def test_check_says_ok_for_every_suite(tmp_path: Path) -> None:
    write_suite(tmp_path)
    write_suite(tmp_path, "other")
    result = suites("check", roots=tmp_path)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "ok: explain, 1 case\nok: other, 1 case\n", "")


def test_check_goes_on_after_a_problem_and_exits_with_2(tmp_path: Path) -> None:
    write_suite(tmp_path, "a", yaml=YAML + "repeats: 0\n")
    write_suite(tmp_path, "b")
    write_suite(tmp_path, "c", cases="")
    result = suites("check", roots=tmp_path)
    assert (result.exit_code, result.stdout) == (2, "ok: b, 1 case\n")
    first, second = result.stderr.splitlines()
    assert first.startswith(f"error: {tmp_path / 'a' / 'suite.yaml'}:7: repeats: ")
    assert second.startswith(f"error: {tmp_path / 'c' / 'cases.jsonl'}: ")


def test_check_takes_suites_and_folders_of_suites(tmp_path: Path) -> None:
    one = write_suite(tmp_path / "one", "a")
    write_suite(tmp_path / "two", "b")
    result = suites("check", one, tmp_path / "two", tmp_path / "absent")
    assert (result.exit_code, result.stdout) == (2, "ok: a, 1 case\nok: b, 1 case\n")
    assert result.stderr == (
        f"error: {tmp_path / 'absent'}: does not exist; create it, or set EVALOPS_SUITES to where the suites are\n"
    )


def test_check_finds_a_feature_that_two_folders_hold(tmp_path: Path) -> None:
    for root in ("one", "two"):
        write_suite(tmp_path / root)
    result = suites("check", tmp_path / "one", tmp_path / "two")
    assert result.exit_code == 2
    assert "the feature explain is in" in result.stderr


def test_new_writes_a_suite_that_passes_the_check(tmp_path: Path) -> None:
    made = suites("new", "my_feature", "--into", tmp_path / "my suites")
    assert made.exit_code == 0, made.output
    assert f"EVALOPS_SUITES='{tmp_path / 'my suites'}'" in made.stdout
    assert suites("check", tmp_path / "my suites" / "my_feature").stdout == "ok: my_feature, 4 cases\n"
    again = suites("new", "my_feature", "--into", tmp_path / "my suites")
    assert isinstance(again.exception, ConfigError)


def test_new_goes_to_the_configured_suites(tmp_path: Path) -> None:
    result = suites("new", "my_feature", roots=tmp_path / "mine")
    assert (tmp_path / "mine" / "my_feature" / "suite.yaml").is_file()
    assert "EVALOPS_SUITES" not in result.stdout


def test_show_tells_what_is_decided(tmp_path: Path) -> None:
    write_suite(tmp_path, yaml=YAML + "model: {parameters: {seed: 42}}\n")
    result = suites("show", "explain", "--json", roots=tmp_path)
    facts = json.loads(result.stdout)
    assert facts["first_case"]["messages"] == [{"role": "user", "content": "Explain bank"}]
    assert facts["model"]["base_url"] == "embedded"
    assert facts["model"]["parameters"] == {"seed": 42}
    assert facts["shares"] == {"exact": 1.0}
    assert facts["scorers"][0] == {
        "name": "exact",
        "type": "exact",
        "weight": 1.0,
        "ignore_case": True,
        "ignore_punctuation": True,
    }
    assert all(len(digest) == 16 for digest in facts["hashes"].values())
    text = suites("show", "explain", roots=tmp_path).stdout
    assert "content: Explain bank" in text
    assert facts["hashes"]["dataset"] in text


def test_show_suggests_the_feature_that_was_meant(tmp_path: Path) -> None:
    write_suite(tmp_path)
    result = suites("show", "explane", roots=tmp_path)
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception) == "there is no feature explane (did you mean explain?); there are explain"


@pytest.mark.parametrize("to_file", [False, True])
def test_schema_gives_a_json_schema(tmp_path: Path, *, to_file: bool) -> None:
    target = tmp_path / "schema.json"
    result = suites("schema", *(["-o", target] if to_file else []))
    assert result.exit_code == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(target.read_text() if to_file else result.stdout))


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from evalops_dagster.cli.suites import app\n"
        "heavy = {'dagster', 'pydantic', 'yaml', 'jinja2', 'numpy', 'sqlalchemy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
