"""Replaying scores in files: what is history for what, and every complaint about a file."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from evalops_core.domain.regression.sample import Rules, Sample
from evalops_core.errors import ConfigError
from evalops_core.run import score_rows
from evalops_core.run.backtest import Line, Replay, backtest
from evalops_core.run.backtest_summary import Label, Summary, read_labels
from evalops_core.run.score_file import read_series
from tests.domain.regression.samples import noisy, steady

COLUMNS = ("series_id", "run_index", "case_id", "repeat", "score")
ROW = {"series_id": "s", "run_index": 0, "case_id": "a", "repeat": 0, "score": 4.0}


def as_csv(file: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return file


def as_jsonl(file: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def rows_of(series: str, runs: Sequence[Sample], **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "series_id": series,
            "run_index": run.run,
            "case_id": case,
            "repeat": 0,
            "score": min(5, max(1, score)),
            **more,
        }
        for run in runs
        for case, score in run.scores.items()
    ]


def judged(runs: Sequence[Sample], *, stateless: bool = False, rules: Rules | None = None) -> list[Line]:
    return list(backtest([("s", list(runs))], rules or Rules(), stateless=stateless))


# reading


@pytest.mark.parametrize("written", [as_csv, as_jsonl])
def test_a_case_has_the_mean_of_its_scored_repeats(tmp_path: Path, written: Any) -> None:
    rows = [{**ROW, "repeat": i, "score": score} for i, score in enumerate([4.0, None, 3.0])]
    rows += [{**ROW, "case_id": "b", "score": None}]
    ((series, (run,)),) = read_series(written(tmp_path / f"f.{written.__name__[3:]}", rows))
    assert (series, run.run, run.scores, run.unscored, run.repeats) == ("s", 0, {"a": 3.5}, {"b"}, 3)


@pytest.mark.parametrize("written", [as_csv, as_jsonl])
def test_ids_stay_texts_and_clusters_and_judges_are_kept(tmp_path: Path, written: Any) -> None:
    rows = [
        {**ROW, "series_id": "007", "case_id": "01", "cluster_id": "7", "judge_fp": "gpt"},
        {**ROW, "series_id": "007", "case_id": "1", "cluster_id": None, "judge_fp": "gpt"},
    ]
    ((series, (run,)),) = read_series(written(tmp_path / f"f.{written.__name__[3:]}", rows))
    assert (series, set(run.scores), run.groups, run.measured_by) == ("007", {"01", "1"}, {"01": "7"}, "gpt")


def test_a_series_may_be_called_a_scenario(tmp_path: Path) -> None:
    file = as_jsonl(tmp_path / "f.jsonl", [{"scenario_id" if key == "series_id" else key: v for key, v in ROW.items()}])
    assert [name for name, _ in read_series(file)] == ["s"]


def test_runs_come_by_their_index_whatever_their_order_in_the_file(tmp_path: Path) -> None:
    file = as_csv(tmp_path / "f.csv", [{**ROW, "run_index": index} for index in (10, 2, 9)])
    ((_, runs),) = read_series(file)
    assert [run.run for run in runs] == [2, 9, 10]


def test_series_that_are_interleaved_are_put_together(tmp_path: Path) -> None:
    rows = [{**ROW, "series_id": series, "run_index": run} for run in range(3) for series in ("s", "t")]
    found = {name: len(runs) for name, runs in read_series(as_csv(tmp_path / "f.csv", rows))}
    assert found == {"s": 3, "t": 3}


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 7, 100])
def test_where_a_chunk_ends_changes_nothing(tmp_path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{**ROW, "series_id": f"s{n // 5}", "case_id": f"c{n % 5}"} for n in range(23)]
    file = as_csv(tmp_path / "f.csv", rows)
    monkeypatch.setattr(score_rows, "_CHUNK", chunk)
    found = {name: len(runs[0].scores) for name, runs in read_series(file)}
    assert found == {"s0": 5, "s1": 5, "s2": 5, "s3": 5, "s4": 3}


SCORE = "score: expected a number from 1 to 5, or nothing where there is no score, got"


@pytest.mark.parametrize(("changed", "expected"), [
    ({"score": "good"}, f"{SCORE} 'good'"),
    ({"score": 7}, f"{SCORE} '7'"),
    ({"score": "inf"}, f"{SCORE} 'inf'"),
    ({"run_index": 1.5}, "run_index: expected a whole number from 0, got '1.5'"),
    ({"run_index": -1}, "run_index: expected a whole number from 0, got '-1'"),
    ({"repeat": ""}, "repeat: expected a whole number from 0, got ''"),
    ({"series_id": " "}, "series_id: expected an id, got ' '"),
    ({}, "case a of run 0 of series s has repeat 0 a second time; expected one row for each"),
])  # fmt: skip
def test_a_bad_row_is_named_with_what_was_expected(tmp_path: Path, changed: dict[str, Any], expected: str) -> None:
    file = as_csv(tmp_path / "f.csv", [ROW, {**ROW, **changed}])
    with pytest.raises(ConfigError) as raised:
        list(read_series(file))
    assert str(raised.value) == f"{file}:3: {expected}"


def test_two_judges_of_one_run_are_named(tmp_path: Path) -> None:
    rows = [{**ROW, "judge_fp": "x"}, {**ROW, "case_id": "b", "judge_fp": "y"}]
    with pytest.raises(ConfigError, match=r"f\.csv:3: judge_fp: run 0 of series s was judged by x and by y"):
        list(read_series(as_csv(tmp_path / "f.csv", rows)))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    file = as_csv(tmp_path / "f.csv", [{key: value for key, value in ROW.items() if key != "repeat"}])
    with pytest.raises(ConfigError, match=r"f\.csv:1: there is no column repeat; expected series_id, run_index"):
        list(read_series(file))


@pytest.mark.parametrize(("name", "content", "expected"), [
    ("f.csv", "", "it is empty"),
    ("f.csv", ",".join(COLUMNS) + "\n", "there is no row in it"),
    ("f.jsonl", "", "there is no row in it"),
    ("f.jsonl", json.dumps(ROW) + "\n[1]\n", "f.jsonl:2: expected one JSON object on the line"),
    ("f.jsonl", "{", "f.jsonl:1: expected one JSON object on the line"),
    ("f.txt", "", r"expected a file that ends in \.parquet, \.csv, \.jsonl"),
])  # fmt: skip
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: str, expected: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=expected):
        list(read_series(tmp_path / name))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        list(read_series(tmp_path / "f.csv"))


def test_parquet_is_read_like_the_others(tmp_path: Path) -> None:
    import pandas as pd

    rows = [{**ROW, "repeat": i, "score": score} for i, score in enumerate([4.0, None, 3.0])]
    pd.DataFrame(rows).astype({"series_id": "category"}).to_parquet(tmp_path / "f.parquet")
    ((series, (run,)),) = read_series(tmp_path / "f.parquet")
    assert (series, run.scores) == ("s", {"a": 3.5})


def test_a_parquet_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f.parquet").write_text("no")
    with pytest.raises(ConfigError, match="cannot be read as Parquet"):
        list(read_series(tmp_path / "f.parquet"))


# replaying


def test_a_line_has_exactly_its_ten_keys() -> None:
    (first, second) = judged([noisy(0), noisy(1, drop=0.4)])
    assert list(first) == [
        "series_id", "run_index", "outcome", "severity", "rule", "drop", "ci_low", "ci_high", "p_value", "n",
    ]  # fmt: skip
    assert first | {"n": 40} == dict.fromkeys(first, None) | {
        "series_id": "s", "run_index": 0, "outcome": "no_baseline", "severity": "none", "n": 40,
    }  # fmt: skip
    assert (second["outcome"], second["severity"], second["rule"]) == ("regressed", "warn", "paired")


def test_a_fall_that_stays_warns_and_then_pages() -> None:
    lines = judged([*steady(12), *[noisy(50 + i, drop=0.5) for i in range(4)]])
    assert [line["severity"] for line in lines[12:]] == ["warn", "page", "page", "page"]


@pytest.mark.parametrize("stateless", [False, True])
def test_one_bad_run_warns_and_never_pages(*, stateless: bool) -> None:
    lines = judged([*steady(12), noisy(50, drop=1.0), *[noisy(51 + i) for i in range(20)]], stateless=stateless)
    assert next(line["run_index"] for line in lines if line["severity"] == "warn") == 50
    assert not [line for line in lines if line["severity"] == "page"]


def test_a_fall_that_stays_does_not_become_the_new_normal() -> None:
    lines = judged([*steady(12), *[noisy(50 + i, drop=0.5) for i in range(30)]])
    assert {line["outcome"] for line in lines[12:]} == {"regressed"}


def test_without_state_it_does_once_history_is_full_of_it() -> None:
    rules = Rules(rule="history")
    lines = judged([*steady(12), *[noisy(50 + i, drop=0.5) for i in range(30)]], stateless=True, rules=rules)
    assert lines[12]["outcome"] == "regressed"
    assert lines[-1]["outcome"] == "stable"


def test_after_a_fall_is_over_runs_are_stable_again() -> None:
    low = [noisy(50 + i, drop=0.5) for i in range(10)]
    lines = judged([*steady(12), *low, *[noisy(100 + i) for i in range(10)]])
    assert [line["outcome"] for line in lines[-6:]] == ["stable"] * 6


def test_another_judge_begins_a_fresh_baseline() -> None:
    lines = judged([*steady(8), *[noisy(50 + i, drop=1.0, measured_by="new") for i in range(3)]])
    assert [line["outcome"] for line in lines[8:]] == ["not_comparable", "stable", "stable"]


def test_other_cases_begin_a_fresh_baseline() -> None:
    others = [Sample(run=50 + i, scores={f"new {c}": s for c, s in noisy(50 + i).scores.items()}) for i in range(3)]
    assert [line["outcome"] for line in judged([*steady(8), *others])[8:]] == ["inconclusive", "stable", "stable"]


def test_a_run_with_too_few_scores_is_no_baseline() -> None:
    torn = Sample(run=50, scores={"c0": 1.0}, unscored=frozenset(f"c{i}" for i in range(1, 40)))
    lines = judged([*steady(3), torn, noisy(51)])
    assert [line["outcome"] for line in lines[3:]] == ["inconclusive", "stable"]


def test_a_verdict_does_not_depend_on_the_runs_after_it() -> None:
    runs = [*steady(15), *[noisy(50 + i, drop=0.05 * i) for i in range(8)]]
    assert judged(runs)[:18] == judged(runs[:18])


def test_series_do_not_know_of_each_other() -> None:
    runs = [*steady(3), noisy(9, drop=0.5)]
    both = list(backtest([("s", runs), ("t", runs)], Rules()))
    assert [line | {"series_id": "s"} for line in both[4:]] == both[:4]


def test_a_long_series_keeps_ten_runs_and_three_numbers_a_case() -> None:
    replay = Replay(Rules())
    *_, said = [replay.judge(run) for run in steady(40)]
    assert len(said.baseline_runs) == 10
    assert said.slide is not None
    assert {len(moments) for moments in said.slide.cases.values()} == {3}


# what it amounts to


def line(series: str, run: int, outcome: str = "stable", severity: str = "none") -> Line:
    return {
        "series_id": series, "run_index": run, "outcome": outcome, "severity": severity, "rule": None, "drop": None,
        "ci_low": None, "ci_high": None, "p_value": None, "n": 10,
    }  # fmt: skip


def summed(lines: Sequence[Line], labels: Mapping[str, Label] | None = None) -> list[str]:
    summary = Summary(labels)
    for each in lines:
        summary.add(each)
    return list(summary.lines())


def test_alerts_are_counted_per_hundred_runs_that_were_compared() -> None:
    lines = [line("a", 0, "no_baseline"), line("a", 1), line("a", 2, "regressed", "warn"), line("b", 0, "no_baseline"),
             line("b", 1, "regressed", "page"), line("b", 2)]  # fmt: skip
    assert summed(lines) == [
        "2 series, 6 runs, 4 of them compared: 2 alerts (50.00 per 100 runs compared), 1 of them pages (25.00)"
    ]


def test_no_run_at_all_is_no_division_by_zero() -> None:
    assert summed([])[0].startswith("0 series, 0 runs")


def test_with_labels_delays_and_false_alarms_are_counted() -> None:
    labels = {
        "early": Label("regression", "step", 5), "late": Label("regression", "step", 5),
        "missed": Label("regression", "step", 5), "same": Label("no_change", "none", None),
    }  # fmt: skip
    lines = [
        line("early", 3, "regressed", "warn"), line("early", 5, "regressed", "warn"),
        line("late", 9, "regressed", "page"), line("missed", 9), line("same", 4, "regressed", "warn"),
    ]  # fmt: skip
    assert summed(lines, labels)[1:] == [
        "no_change, none: 1 of 1 series alerted (100.0%), 0 paged (0.0%)",
        "regression, step: found in 2 of 3 series, median delay 2 runs; false: 1 of 3 series alerted (33.3%)",
    ]


def test_labels_are_read_by_series_with_the_run_of_the_change(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("scenario_id,kind,label,change_run\na,step,regression,15\nb,none,no_change,-1\n")
    assert read_labels(file) == {"a": Label("regression", "step", 15), "b": Label("no_change", "none", None)}


def test_a_regression_without_a_run_of_change_is_at_the_second_run(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("series_id,label\na,regression\nb,no_change\n")
    assert read_labels(file) == {"a": Label("regression", "all", 1), "b": Label("no_change", "all", None)}


@pytest.mark.parametrize(("content", "expected"), [
    ("name,label\n", "labels.csv:1: expected the columns series_id and label"),
    ("series_id,label,change_run\na,regression,soon\n", "labels.csv:2: change_run: expected a run index, got 'soon'"),
])  # fmt: skip
def test_labels_that_cannot_be_read_are_named(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(ConfigError, match=expected):
        read_labels(tmp_path / "labels.csv")


def test_a_file_gives_the_verdicts_of_its_runs(tmp_path: Path) -> None:
    runs = [*steady(6), noisy(9, drop=0.5)]
    found = list(backtest(read_series(as_csv(tmp_path / "f.csv", rows_of("s", runs))), Rules()))
    assert [each["outcome"] for each in found] == ["no_baseline", *["stable"] * 5, "regressed"]
    assert [each["rule"] for each in found] == [None, *["paired"] * 4, *["history"] * 2]
