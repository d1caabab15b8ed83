"""One run's scores from a file, and every complaint about it."""

from pathlib import Path

import pytest

from evalops_core.errors import ConfigError
from evalops_core.run.run_file import read_run


def test_a_case_is_the_mean_of_its_repeats_that_have_a_score(tmp_path: Path) -> None:
    file = tmp_path / "scores.csv"
    file.write_text("\ufeffscore,case_id,cluster_id,repeat,note\n4,a,x,0,?\n3,a,x,1,?\n,b,,0,?\n2,b,,1,?\n,c,,0,?\n")
    found = read_run(file)
    assert (found.run, found.scores, found.groups) == ("scores.csv", {"a": 3.5, "b": 2.0}, {"a": "x"})
    assert (found.unscored, found.repeats, found.measured_by) == ({"c"}, 2, "")


def test_json_lines_hold_the_same(tmp_path: Path) -> None:
    file = tmp_path / "scores.JSONL"
    file.write_text('{"case_id": 7, "score": 4.5}\n\n{"case_id": "b", "score": null, "cluster_id": "x"}\n')
    found = read_run(file)
    assert (found.scores, found.groups, found.unscored) == ({"7": 4.5}, {"b": "x"}, {"b"})


def test_rounding_past_the_ends_is_no_mistake(tmp_path: Path) -> None:
    file = tmp_path / "scores.csv"
    file.write_text("case_id,score\na,5.0000004\nb,0.9999\n")
    assert read_run(file).scores == {"a": 5.0, "b": 1.0}


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    import pandas as pd

    file = tmp_path / "scores.parquet"
    pd.DataFrame({"case_id": ["a", "a", "b"], "repeat": [0, 1, 0], "score": [4.0, 3.0, None], "x": 1}).to_parquet(file)
    found = read_run(file)
    assert (found.scores, found.unscored, found.repeats) == ({"a": 3.5}, {"b"}, 2)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("case_id\na\n", "scores.csv:2: there is no column score; expected case_id, score"),
        ("case_id,score\na,6\n", "scores.csv:2: score: expected a number from 1 to 5"),
        ("case_id,score\na,4\nb,good\n", "scores.csv:3: score: expected a number from 1 to 5"),
        ("case_id,score\na,nan\n", "scores.csv:2: score: expected a number from 1 to 5"),
        ("case_id,score\n,4\n", "scores.csv:2: case_id: expected an id"),
        ("case_id,score\na,4\na,4\n", "scores.csv:3: case_id: a has repeat 0 a second time; a column `repeat` tells"),
        ("case_id,score,repeat\na,4,x\n", "scores.csv:2: repeat: expected a whole number from 0"),
        ("case_id,score,repeat\na,4,inf\n", "scores.csv:2: repeat: expected a whole number from 0"),
        ("case_id,score,repeat,cluster_id\na,4,0,x\na,4,1,y\n", "scores.csv:3: cluster_id: a is in x and in y"),
        ("case_id,score\n", "scores.csv: there is no row in it"),
        ("", "scores.csv: there is no row in it"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_line(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "scores.csv"
    file.write_text(content)
    with pytest.raises(ConfigError) as refused:
        read_run(file)
    assert words in str(refused.value)


def test_a_file_of_json_lines_is_refused_where_it_is_none(tmp_path: Path) -> None:
    torn, listed = tmp_path / "torn.jsonl", tmp_path / "list.jsonl"
    torn.write_text('{"case_id": "a"')
    listed.write_text("[1]\n")
    with pytest.raises(ConfigError, match="it cannot be read as JSON lines"):
        read_run(torn)
    with pytest.raises(ConfigError, match=r"list\.jsonl:1: expected one JSON object on the line"):
        read_run(listed)
    with pytest.raises(ConfigError, match=r"nowhere\.csv: there is no such file"):
        read_run(tmp_path / "nowhere.csv")
