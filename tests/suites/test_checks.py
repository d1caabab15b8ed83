import json
from pathlib import Path
from typing import Any

import pytest

from evalops_core.suites.loader import load_suite
from tests.suites.folders import YAML, refusal, with_scorer, write_suite

BLOCK = """\
prompt:
  - role: system
    content: |
      You explain words.

      Be brief, {{ tone }}.
scorers:
  - {type: regex, pattern: x}
"""


def case(**entries: object) -> str:
    return json.dumps({"id": "a", "input": {"word": "bank"}, **entries}) + "\n"


def test_a_missing_field_is_refused_at_the_templates_line_with_the_case_its_line_and_its_fields(tmp_path: Path) -> None:
    good = '{"id": "a", "input": {"tone": "x", "word": "y"}}\n'
    error = refusal(write_suite(tmp_path, yaml=BLOCK, cases=good + '\n{"id": "b", "input": {"ton": "x"}}\n'))
    assert (error.file, error.line, error.key) == (tmp_path / "explain" / "suite.yaml", 6, "prompt[0].content")
    assert "case 'b' (cases.jsonl line 3): no field tone (did you mean ton?); it has ton" in str(error)


def test_a_broken_template_is_refused_at_its_line(tmp_path: Path) -> None:
    error = refusal(write_suite(tmp_path, yaml=BLOCK.replace("{{ tone }}", "{{ tone }")))
    assert (error.line, error.key) == (6, "prompt[0].content")
    assert "not a valid template" in str(error)


def test_a_prompt_that_does_not_fit_a_case_is_refused(tmp_path: Path) -> None:
    messages = case(input=[{"role": "user", "content": "x"}], reference="y")
    assert "has messages of its own" in str(refusal(write_suite(tmp_path, cases=messages)))
    promptless = "scorers: [{type: regex, pattern: x}]\n"
    error = refusal(write_suite(tmp_path, yaml=promptless))
    assert "no prompt to put the case's fields into" in str(error)
    load_suite(write_suite(tmp_path, yaml=promptless, cases=messages))


# scorer, references that it cannot work with, references that it can
REFERENCES: list[tuple[str, list[Any], list[Any]]] = [
    ("{type: exact}", [None, [], {}, [None], [[]]], ["a", "", 1, False, ["a", 2]]),
    ("{type: contains}", [None, [], {}, "", " ", ["a", ""]], ["a", 1, ["a", "b"]]),
    ("{type: contains, forbidden: [x]}", [{}, ""], [None, "a"]),
    ("{type: contains, values: [x]}", [], [None, {}, "a"]),
    ("{type: similarity}", [None, [], {}, "", [""]], ["a", ["a", "b"]]),
    (
        "{type: json_fields, fields: [a.b, c, d.0.e]}",
        [None, "x", [], {"a": {}, "c": 1}, {"a": {"b": 1}, "c": 1, "d": []}, {"a.b": 1, "c": 1, "d": [1]}],
        [
            {"a": {"b": None}, "c": None, "d": [{"e": 1}]},
            {"a.b": 1, "c": 1, "d.0.e": 1},
            '{"a": {"b": 1}, "c": 2, "d": [{"e": 0}]}',
        ],
    ),
    ("{type: regex, pattern: x}", [], [None]),
    ("{type: python, function: 'a:b'}", [], [None]),
    ("{type: judge, rubric: {axes: [{name: n, description: d}]}}", [], [None]),
    ("{type: judge, rubric: {axes: [{name: n, description: d}]}, fallback: [{type: exact}]}", [None], ["a"]),
]


@pytest.mark.parametrize(("scorer", "bad", "good"), REFERENCES)
def test_a_reference_that_a_scorer_cannot_work_with_is_refused(
    tmp_path: Path, scorer: str, bad: list[Any], good: list[Any]
) -> None:
    yaml = with_scorer(f"- {scorer}")
    fine = case(id="fine", reference=good[-1])
    for reference in good:
        load_suite(write_suite(tmp_path, yaml=yaml, cases=case(reference=reference)))
    for reference in bad:
        error = refusal(write_suite(tmp_path, yaml=yaml, cases=fine + case(reference=reference)))
        assert (error.file, error.line, error.key) == (tmp_path / "explain" / "cases.jsonl", 2, "reference")
        assert "case 'a': the scorer " in str(error)


def test_a_missing_reference_names_the_case_and_what_is_needed(tmp_path: Path) -> None:
    error = refusal(write_suite(tmp_path, yaml=YAML, cases=case()))
    assert error.problem == "case 'a': the scorer exact needs a reference: a text, a number or a list of them"
