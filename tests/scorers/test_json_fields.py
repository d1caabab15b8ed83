"""Field by field."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from evalops_core.domain.json import Json
from evalops_core.domain.scorer import JsonFieldsSpec
from evalops_core.errors import ConfigError
from tests.scorers.scripted import item_of, reason, score, value


def one_field(reference: Json, answer: Json, *, tolerance: float = 0.0, ignore_case: bool = True) -> float:
    spec = JsonFieldsSpec(name="j", fields=("f",), numeric_tolerance=tolerance, ignore_case=ignore_case)
    (scored,) = score(spec, item_of(json.dumps({"f": answer}), {"f": reference}))
    return value(scored.outcome)


def test_each_field_is_an_axis_in_the_order_of_the_spec() -> None:
    spec = JsonFieldsSpec(name="j", fields=("b", "a"))
    found = score(spec, item_of('{"a": 1, "b": 3}', {"a": 1, "b": 2}))
    assert [(scored.axis, value(scored.outcome)) for scored in found] == [("b", 1.0), ("a", 5.0)]
    assert found[0].rationale == "expected 2, found 3"


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("Berlin", " berlin "),
        (12.5, "12.5"),
        ("12.5", 12.5),
        (12, 12.0),
        (True, True),
        (None, None),
        (["a", 1], ["A", 1.0]),
        ({"x": {"y": "a"}}, {"x": {"y": "A"}}),
        (10**400, 10**400),
    ],
)
def test_the_same_value_is_a_five(reference: Json, answer: Json) -> None:
    assert one_field(reference, answer) == 5.0


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("Berlin", "Bern"),
        (12.5, "12,5"),
        ("01234", "1234"),
        (1, True),
        (0, False),
        (None, "null"),
        (None, 0),
        (["a", "b"], ["b", "a"]),
        (["a"], ["a", "a"]),
        ({"x": 1}, {"x": 1, "y": 2}),
        ({"x": 1}, [1]),
        ([1], 1),
        (1, [1]),
        (10**400, 1.5),
        (1, "9" * 5000),
    ],
)
def test_another_value_is_a_one(reference: Json, answer: Json) -> None:
    assert one_field(reference, answer) == 1.0


def test_numbers_are_equal_within_the_relative_tolerance() -> None:
    assert one_field(200, 202, tolerance=0.01) == 5.0
    assert one_field(200, 198, tolerance=0.01) == 5.0
    assert one_field(200, 202.1, tolerance=0.01) == 1.0
    assert one_field(-200, "-199", tolerance=0.01) == 5.0
    assert one_field(0, 0.001, tolerance=0.01) == 1.0
    assert one_field(1, 10**400, tolerance=0.01) == 1.0


def test_case_counts_where_it_is_not_ignored() -> None:
    assert one_field("Berlin", "berlin", ignore_case=False) == 1.0


def test_a_dotted_path_goes_into_objects_and_lists_and_a_key_with_dots_goes_first() -> None:
    reference: Json = {"address": {"city": "Bonn"}, "items": [{"price": 3}], "a.b": 1, "a": {"b": 2}}
    spec = JsonFieldsSpec(name="j", fields=("address.city", "items.0.price", "a.b"))
    found = score(spec, item_of(json.dumps(reference), reference))
    assert [value(scored.outcome) for scored in found] == [5.0, 5.0, 5.0]


def test_a_field_that_the_answer_lacks_is_a_one_and_one_that_the_reference_lacks_is_unscored() -> None:
    spec = JsonFieldsSpec(name="j", fields=("a", "b"))
    a, b = score(spec, item_of('{"b": 1}', {"a": None}))
    assert value(a.outcome) == 1.0
    assert reason(b.outcome) == "the reference has no field b"


@pytest.mark.parametrize("answer", ["", "I do not know.", "[1]", '{"a": 1'])
def test_an_answer_without_an_object_is_a_one_on_every_field(answer: str) -> None:
    found = score(JsonFieldsSpec(name="j", fields=("a", "b")), item_of(answer, {"a": 1, "b": 2}))
    assert [value(scored.outcome) for scored in found] == [1.0, 1.0]


@pytest.mark.parametrize("reference", [None, "text", ["a"], 3])
def test_without_an_object_as_reference_every_field_is_unscored(reference: Json) -> None:
    found = score(JsonFieldsSpec(name="j", fields=("a", "b")), item_of("{}", reference))
    assert all("not a JSON object" in reason(scored.outcome) for scored in found)


def test_an_answer_that_breaks_the_schema_is_a_one_on_every_field_and_says_where() -> None:
    schema: dict[str, Json] = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 0}}}
    spec = JsonFieldsSpec(name="j", fields=("n", "m"), schema=schema)
    for broken in ('{"n": -1, "m": 1}', '{"n": "3", "m": 1}'):
        found = score(spec, item_of(broken, {"n": 3, "m": 1}))
        assert [value(scored.outcome) for scored in found] == [1.0, 1.0]
        assert all("breaks the schema at $.n" in (scored.rationale or "") for scored in found)
    assert [value(s.outcome) for s in score(spec, item_of('{"n": 3, "m": 1}', {"n": 3, "m": 1}))] == [5.0, 5.0]


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"pattern": "^(a|aa)+$"}}},
        {"properties": {"a": {"$ref": "http://127.0.0.1:9/schema.json"}}},
        {"$ref": "#"},
    ],
)
def test_a_schema_that_cannot_be_checked_leaves_the_answer_unscored(schema: dict[str, Json]) -> None:
    spec = JsonFieldsSpec(name="j", fields=("a",), schema=schema)
    (scored,) = score(spec, item_of(json.dumps({"a": "a" * 20_000 + "b"}), {"a": "a"}))
    assert "cannot be checked" in reason(scored.outcome)


def test_a_schema_elsewhere_is_not_fetched() -> None:
    asked: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            schema: dict[str, Json] = {"$ref": f"http://127.0.0.1:{server.server_port}/schema.json"}
            (scored,) = score(JsonFieldsSpec(name="j", fields=("a",), schema=schema), item_of('{"a": 1}', {"a": 1}))
        finally:
            server.shutdown()
            serving.join()
    assert "cannot be checked" in reason(scored.outcome)
    assert asked == []


def test_a_schema_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"^j: `schema` is not a JSON Schema: at \$\.type"):
        score(JsonFieldsSpec(name="j", fields=("a",), schema={"type": "strange"}), item_of("{}", {}))
    with pytest.raises(ConfigError, match="is not a 'regex'"):
        score(JsonFieldsSpec(name="j", fields=("a",), schema={"pattern": "(unclosed"}), item_of("{}", {}))
