from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from evalops_core.domain.scorer import (
    Axis,
    ContainsSpec,
    ExactSpec,
    JsonFieldsSpec,
    JudgeSpec,
    PythonSpec,
    RegexSpec,
    Rubric,
    ScorerSpec,
    SimilaritySpec,
)
from evalops_core.domain.suite import Suite
from evalops_core.suites.files import SuiteFile, json_schema
from evalops_core.suites.loader import load_suite
from tests.suites.folders import YAML, refusal, with_scorer, write_suite


@pytest.mark.parametrize(
    ("scorer", "spec"),
    [
        ("{type: exact}", ExactSpec(name="exact")),
        ("{type: contains}", ContainsSpec(name="contains")),
        ("{type: regex, pattern: x}", RegexSpec(name="regex", pattern="x")),
        ("{type: json_fields, fields: [a]}", JsonFieldsSpec(name="json_fields", fields=("a",))),
        ("{type: similarity}", SimilaritySpec(name="similarity")),
        ("{type: python, function: 'my.scoring:polite'}", PythonSpec(name="python", function="my.scoring:polite")),
        (
            "{type: judge, rubric: {axes: [{name: tone, description: d}]}}",
            JudgeSpec(name="judge", rubric=Rubric(axes=(Axis("tone", "d"),))),
        ),
    ],
)
def test_what_a_scorer_leaves_out_is_what_the_domain_leaves_out(scorer: str, spec: ScorerSpec) -> None:
    written = SuiteFile.model_validate({"scorers": [yaml.safe_load(scorer)]})
    assert written.scorers[0].spec() == spec


def test_what_a_suite_leaves_out_is_what_the_domain_leaves_out(tmp_path: Path) -> None:
    folder = write_suite(
        tmp_path, yaml="scorers: [{type: regex, pattern: x}]\n", cases='{"id": 1, "input": "How are you?"}'
    )
    suite = load_suite(folder)
    assert suite == Suite(feature="explain", cases=suite.cases, scorers=suite.scorers, folder=folder)


def test_every_key_is_described() -> None:
    schema = json_schema()
    for name, model in {"SuiteFile": schema, **schema["$defs"]}.items():
        if "properties" not in model:
            continue
        for key, entry in model["properties"].items():
            assert key == "type" or entry.get("description"), f"{name}.{key}"


def test_the_published_schema_is_one_and_agrees_with_the_loader(tmp_path: Path) -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator: Any = jsonschema.Draft202012Validator(schema)  # Any: partly untyped in its stubs
    good = [
        YAML,
        with_scorer("- type: judge", "  rubric: {axes: [{name: tone, description: d}]}", "  fallback: [{type: exact}]"),
        YAML + "interval: 24h\n",
        YAML + "interval: 6\ndaily_budget_usd: 1.5\nregression: {drop: 0.25}\n",
        YAML + "alerts: {to: [a@example.com], include_texts: false, reminder: true}\n",
        YAML + "model: {base_url: embedded, parameters: {temperature: 0, stop: [x]}}\n",
        with_scorer("- {type: contains, values: [a], forbidden: [b], mode: any}"),
    ]
    bad = [
        YAML + "interval: 5\n",
        YAML + "promt: []\n",
        YAML + "repeats: '3'\n",
        YAML + "regression: {drop: -1}\n",
        with_scorer("- {type: exact, weight: -1}"),
        with_scorer("- {type: exakt}"),
        with_scorer("- {type: exact, name: Exact Match}"),
        with_scorer("- {type: judge, rubric: {axes: []}}"),
    ]
    for number, text in enumerate(good):
        assert not list(validator.iter_errors(yaml.safe_load(text))), text
        load_suite(write_suite(tmp_path / str(number), yaml=text))
    for number, text in enumerate(bad):
        assert list(validator.iter_errors(yaml.safe_load(text))), text
        refusal(write_suite(tmp_path / f"bad{number}", yaml=text))


@pytest.mark.parametrize("interval", [1, 2, 3, 4, 6, 8, 12, 24, 168])
def test_an_interval_is_a_number_of_hours_with_or_without_h(tmp_path: Path, interval: int) -> None:
    for written in (str(interval), f"{interval}h", f'"{interval} h"'):
        folder = write_suite(tmp_path, yaml=f"{YAML}interval: {written}\n")
        assert load_suite(folder).interval_hours == interval


@pytest.mark.parametrize("owner", ["team:language", "someone@example.org", "language team"])
def test_an_owner_is_an_address_a_team_or_a_plain_name(tmp_path: Path, owner: str) -> None:
    assert load_suite(write_suite(tmp_path, yaml=f"{YAML}owner: {owner}\n")).owner == owner
