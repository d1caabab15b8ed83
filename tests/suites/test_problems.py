from pathlib import Path

import pytest

from evalops_core.suites.loader import load_suite
from tests.suites.folders import YAML, refusal, with_scorer, write_suite

JUDGE = "{type: judge, rubric: {axes: [{name: tone, description: d}]}"


@pytest.mark.parametrize(
    ("yaml", "line", "key", "words"),
    [
        (YAML + "promt: []\n", 7, "promt", "unknown key (did you mean prompt?); allowed here are description, owner"),
        (YAML + "model: {nam: x}\n", 7, "model.nam", "did you mean name?"),
        (with_scorer("- type: exact", "  ignorecase: true"), 7, "scorers[0].ignorecase", "did you mean ignore_case?"),
        (with_scorer("- type: exact", "- type: exakt"), 7, "scorers[1].type", "'exakt' (did you mean exact?)"),
        (with_scorer("- {}"), 6, "scorers[0]", "`type`"),
        (with_scorer("- exact"), 6, "scorers[0]", "a mapping of keys to values, found 'exact'"),
        (YAML.replace("role: user", "role: usr"), 3, "prompt[0].role", "'user' or 'assistant', found 'usr'"),
        (YAML.replace("    content: ", "    contents: "), 4, "prompt[0].contents", "did you mean content?"),
        (YAML + "repeats: 0\n", 7, "repeats", "expected greater than or equal to 1, found 0"),
        (YAML + "repeats: two\n", 7, "repeats", "a whole number, found 'two'"),
        (YAML + "repeats: true\n", 7, "repeats", "a whole number, found true"),
        (YAML + "description: 12\n", 7, "description", "given twice, on lines 1 and 7"),
        (YAML.replace("Explains a word.", "12"), 1, "description", "expected text, found 12; put it in quotes"),
        (YAML + "interval: 5\n", 7, "interval", "1, 2, 3, 4, 6, 8, 12, 24 and 168 hours, one of them; not 5"),
        (YAML + "interval: daily\n", 7, "interval", "not daily"),
        (YAML + "interval: [1]\n", 7, "interval", "168 hours"),
        (YAML + "daily_budget_usd: -1\n", 7, "daily_budget_usd", "found -1"),
        (YAML + "daily_budget_usd: lots\n", 7, "daily_budget_usd", "expected a number"),
        (YAML + "daily_budget_usd: .nan\n", 7, "daily_budget_usd", "not a finite number"),
        (YAML + "regression:\n  drop: 0\n", 8, "regression.drop", "greater than 0"),
        (YAML + "regression:\n  min_coverage: 95\n", 8, "regression.min_coverage", "less than or equal to 1"),
        (YAML + "alerts:\n  to: [the team]\n", 8, "alerts.to[0]", "expected a mail address like team@example.com"),
        (YAML + "alerts:\n  recipients: []\n", 8, "alerts.recipients", ""),
        (YAML + "model:\n  base_url: ftp://x\n", 8, "model.base_url", "expected embedded or an endpoint's root"),
        (YAML + "model:\n  base_url: http://me:secret@x/v1\n", 8, "model.base_url", "no credentials"),
        (YAML + "model:\n  parameters: {stream: true}\n", 8, "model.parameters.stream", "remove it"),
        (with_scorer("- {type: exact, weight: -1}"), 6, "scorers[0].weight", "found -1"),
        (with_scorer("- {type: exact, weight: .nan}"), 6, "scorers[0].weight", ".nan is not a finite number"),
        (with_scorer("- {type: exact, weight: 1e999}"), 6, "scorers[0].weight", "1e999 is not a finite number"),
        (with_scorer("- {type: exact, weight: 0}"), 5, "scorers", "every scorer has weight 0"),
        (with_scorer("- {type: exact, weight: 1.0e-400}"), 5, "scorers", "every scorer has weight 0"),
        (with_scorer("- type: exact", "- type: exact"), 7, "scorers[1].name", "the name exact is taken"),
        (
            with_scorer("- type: exact", f"- {JUDGE}, fallback: [{{type: exact}}]}}"),
            7,
            "scorers[1].fallback[0].name",
            "",
        ),
        (with_scorer(f"- {JUDGE}, fallback: [{{type: exact, weight: 0}}]}}"), 6, "scorers[0].fallback", "weight 0"),
        (with_scorer(f"- {JUDGE}, fallback: [{JUDGE}}}]}}"), 6, "scorers[0].fallback[0].type", "'judge'"),
        (with_scorer("- {type: judge}"), 6, "scorers[0].rubric", "missing; add it"),
        (
            with_scorer("- type: judge", "  rubric:", "    axes:", "      - {name: a, description: d, weight: 0}"),
            8,
            "scorers[0].rubric.axes",
            "every axis has weight 0",
        ),
        (
            with_scorer("- type: judge", "  rubric:", "    axes:", *["      - {name: a, description: d}"] * 2),
            10,
            "scorers[0].rubric.axes[1].name",
            "the name a is taken by axes[0]",
        ),
        (with_scorer("- {type: exact, name: Exact Match}"), 6, "scorers[0].name", "lower-case letters"),
        (with_scorer("- {type: regex, pattern: '('}"), 6, "scorers[0].pattern", "not a valid regular expression"),
        (with_scorer("- {type: contains, values: ['']}"), 6, "scorers[0].values[0]", "must not be empty"),
        (with_scorer("- {type: contains, values: [no, 42]}"), 6, "scorers[0].values[1]", "put it in quotes"),
        (
            with_scorer("- {type: similarity, floor: 0.9, ceiling: 0.1}"),
            6,
            "scorers[0].floor",
            "below the ceiling, 0.1",
        ),
        (with_scorer("- {type: json_fields, fields: []}"), 6, "scorers[0].fields", "must not be empty"),
        (with_scorer("- {type: json_fields, fields: [a, a]}"), 6, "scorers[0].fields[1]", "listed twice"),
        (
            with_scorer("- type: json_fields", "  fields: [a]", "  schema: {type: objekt}"),
            8,
            "scorers[0].schema",
            "not a valid JSON Schema: 'objekt'",
        ),
        (
            with_scorer("- {type: json_fields, fields: [a], schema: {$ref: 'https://example.org/x'}}"),
            6,
            "scorers[0].schema",
            "which is not in it",
        ),
        (with_scorer("- {type: python, function: os.system}"), 6, "scorers[0].function", "package.module:function"),
        ("description: x\n", 1, "scorers", "missing; add it"),
        ("description: x\nscorers: []\n", 2, "scorers", "must not be empty"),
        ("- type: exact\n", 1, None, "expected a mapping"),
        (YAML + "owner: ''\n", 7, "owner", "one line of text"),
    ],
)
def test_a_bad_suite_is_refused_by_line_and_key(
    tmp_path: Path, yaml: str, line: int, key: str | None, words: str
) -> None:
    error = refusal(write_suite(tmp_path, yaml=yaml))
    assert (error.file, error.line, error.key) == (tmp_path / "explain" / "suite.yaml", line, key), str(error)
    assert words in str(error)


def test_what_may_be_a_key_is_never_repeated(tmp_path: Path) -> None:
    for value in ("sk-verysecret", "[sk-verysecret]", "{sk-verysecret: 1}"):
        for key in ("api_key_env: ", "parameters: {api_key: "):
            end = "}" if "{" in key else ""
            error = refusal(write_suite(tmp_path, yaml=f"{YAML}model:\n  {key}{value}{end}\n"))
            assert error.line == 8
            assert "verysecret" not in str(error)


@pytest.mark.parametrize(
    "variable", ["EVALOPS_DATABASE_URL", "evalops_database_url", "RESEND_API_KEY", "Resend_Api_Key"]
)
def test_a_suite_cannot_have_a_secret_that_is_no_model_s_key_sent_to_its_endpoint(
    tmp_path: Path, variable: str
) -> None:
    error = refusal(write_suite(tmp_path, yaml=f"{YAML}model:\n  api_key_env: {variable}\n"))
    assert (error.line, error.key) == (8, "model.api_key_env")
    assert "holds what is no model's key" in str(error)
    folder = write_suite(tmp_path, yaml=f"{YAML}model:\n  api_key_env: EVALOPS_MODEL_API_KEY\n")
    assert load_suite(folder).model.api_key_env == "EVALOPS_MODEL_API_KEY"


def test_of_several_problems_the_first_by_line_is_named(tmp_path: Path) -> None:
    error = refusal(write_suite(tmp_path, yaml=YAML.replace("role: user", "role: u") + "repeats: 0\n"))
    assert error.line == 3
