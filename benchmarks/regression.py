"""False alarms and power of the regression verdict on real judge scores: `python -m benchmarks.regression FOLDER`.

FOLDER holds `pairs`, `history` and `series` (.parquet, .csv or .jsonl, as `evalops backtest` reads them) with
`<name>_labels.csv` beside each. Prints what must be reached and what was, and exits with 1 where something was not.
What belongs here: replaying and counting. What does not: the rules.
"""

import argparse
import csv
import math
import sys
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from evalops_core.domain.regression.sample import RuleChoice, Rules, Sample
from evalops_core.run.backtest import Line, backtest
from evalops_core.run.score_file import read_series

Label = Mapping[str, str]


@dataclass(frozen=True)
class Replayed:
    """The verdicts of one rule, by series: the runs that regressed, and those that paged."""

    labels: Mapping[str, Label]
    alerts: Mapping[str, Sequence[int]]
    pages: Mapping[str, Sequence[int]]

    def names(self, **of: str) -> list[str]:
        """The series whose label says so."""
        return [name for name in self.alerts if all(self.labels[name][key] == value for key, value in of.items())]


@dataclass
class Table:
    """Printed line by line; `missed` counts what was not reached."""

    missed: int = 0

    def row(self, what: str, value: float, floor: float | None = None, limit: float | None = None, n: int = 0) -> None:
        reached = (floor is None or value >= floor) and (limit is None or value <= limit)
        self.missed += not reached
        asked = f"≥ {floor:g}" if floor is not None else f"≤ {limit:g}" if limit is not None else ""
        print(f"{what:<58} {value:>7.4f}  {asked:<8} {'' if reached else 'MISSED':<6} {f'({n})' if n else ''}")

    def share(
        self, what: str, names: Collection[str], found: Collection[str], floor: float | None = None,
        limit: float | None = None,
    ) -> None:  # fmt: skip
        """The share of the series `names` that is among `found`."""
        value = sum(name in found for name in names) / len(names) if names else math.nan
        self.row(what, value, floor, limit, len(names))


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.regression", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    table = Table()
    _pairs(folder, table)
    _history(folder, table)
    _series(folder, table)
    sys.exit(1 if table.missed else 0)


def _pairs(folder: Path, table: Table) -> None:
    for rule in ("paired", "auto"):
        began = time.perf_counter()
        run = _replayed(folder, "pairs", rule)
        print(f"\n{len(run.alerts)} pairs, --rules {rule}, judges from the labels: {time.perf_counter() - began:.0f} s")
        found = {name for name, alerts in run.alerts.items() if alerts}
        same = run.names(label="no_change")
        table.share("no change: alarms", same, found, limit=0.01)
        for kind in sorted({run.labels[name]["kind"] for name in same}):
            table.share(f"no change, {kind}: alarms", run.names(label="no_change", kind=kind), found, limit=0.015)
        fell = [(name, float(run.labels[name]["true_drop"])) for name in run.names(label="regression")]
        for low, floors in ((0.2, {}), (0.3, {30: 0.40, 50: 0.70, 100: 0.95})):
            for n in (30, 50, 100, 200):
                of = [name for name, drop in fell if low <= drop < low + 0.1 and run.labels[name]["n_cases"] == str(n)]
                table.share(f"drop {low:g} to {low + 0.1:g}, n = {n}: found", of, found, floor=floors.get(n))
        table.share("judge change blamed on the feature", run.names(label="judge_change"), found, limit=0)


def _history(folder: Path, table: Table) -> None:
    floors = {"0.3": (0.83, 0.92, 0.99), "0.2": (0.68, 0.77, 0.94)}
    for rule in ("history", "auto"):
        run = _replayed(folder, "history", rule)
        print(f"\n{len(run.alerts)} candidates after 10 runs, --rules {rule}")
        found = {name for name, alerts in run.alerts.items() if int(run.labels[name]["candidate_run"]) in alerts}
        same = run.names(label="no_change")
        table.share("no change: alarms", same, found, limit=0.01)
        for noise in sorted({run.labels[name]["noise"] for name in same}):
            table.share(f"no change, {noise}: alarms", run.names(label="no_change", noise=noise), found)
        for drop in ("0.1", "0.2", "0.3"):
            for i, n in enumerate(("30", "50", "100")):
                of = run.names(label="regression", nominal_drop=drop, n_cases=n)
                table.share(
                    f"drop {drop}, n = {n}: found", of, found, floor=floors[drop][i] if drop in floors else None
                )


def _series(folder: Path, table: Table) -> None:
    """Required of rule D are its alerts, of `auto` its pages: a warning is sent to nobody."""
    rules: list[tuple[RuleChoice, bool]] = [("cusum", True), ("auto", True), ("auto", False)]
    for rule, stateless in rules:
        run = _replayed(folder, "series", rule, stateless=stateless)
        print(f"\n{len(run.alerts)} series, --rules {rule}{' --stateless' if stateless else ''}")
        for what, runs in (("alerts", run.alerts), ("pages", run.pages)):
            required = what == ("alerts" if rule == "cusum" else "pages")
            any_run = {name for name, of in runs.items() if of}
            table.share(f"{what}: no change", run.names(kind="none"), any_run, limit=0.05 if required else None)
            table.share(f"{what}: no change, cases come and go", run.names(kind="churn"), any_run)
            for drop in (0.1, 0.2, 0.3):
                delays = _delays(run, runs, "step", drop)
                soon = {name for name, delay in delays.items() if delay < 10}
                floor = 0.93 if required and drop == 0.2 else None
                table.share(f"{what}: step of {drop:g}, found within 10 runs", delays, soon, floor=floor)
                table.row("    median delay, runs", _median(delays.values()), limit=2 if floor else None)
            delays = _delays(run, runs, "slow", 0.3)
            ever = {name for name, delay in delays.items() if delay < math.inf}
            table.share(f"{what}: slow slide of 0.3, found", delays, ever, floor=0.97 if required else None)
            table.row("    median delay, runs", _median(delays.values()))
            table.share(
                f"{what}: one bad run", run.names(kind="outlier"), any_run, limit=0 if what == "pages" else None
            )
        judged = run.names(kind="judge_change")
        table.share("judge change blamed on the feature", judged, _at_change(run, run.alerts), limit=0)


def _at_change(run: Replayed, runs: Mapping[str, Sequence[int]]) -> set[str]:
    """The series that were found low at the run of their change or at one of the two after it."""
    found: set[str] = set()
    for name, of in runs.items():
        change = int(run.labels[name]["change_run"])
        if any(change <= index <= change + 2 for index in of):
            found.add(name)
    return found


def _delays(run: Replayed, runs: Mapping[str, Sequence[int]], kind: str, drop: float) -> dict[str, float]:
    """Runs from the change to the first that was found low, infinite where none was."""
    found: dict[str, float] = {}
    for name in run.names(kind=kind):
        if round(float(run.labels[name]["true_drop"]), 1) == drop:
            change = int(run.labels[name]["change_run"])
            found[name] = min((index - change for index in runs[name] if index >= change), default=math.inf)
    return found


def _median(delays: Iterable[float]) -> float:
    known = [delay for delay in delays if delay < math.inf]
    return median(known) if known else math.nan


def _replayed(folder: Path, name: str, rule: RuleChoice, *, stateless: bool = True) -> Replayed:
    with (folder / f"{name}_labels.csv").open(encoding="utf-8", newline="") as opened:
        labels = {row["scenario_id"]: row for row in csv.DictReader(opened)}
    file = next((file for end in ("parquet", "csv", "jsonl") if (file := folder / f"{name}.{end}").exists()), None)
    if file is None:
        sys.exit(f"{folder}: there is no {name}.parquet, {name}.csv or {name}.jsonl")
    series = ((series, _judged(runs, labels[series])) for series, runs in read_series(file))
    lines: dict[str, list[Line]] = defaultdict(list)
    for line in backtest(series, Rules(rule=rule), stateless=stateless):
        lines[line["series_id"]].append(line)
    return Replayed(
        labels,
        {name: [line["run_index"] for line in of if line["outcome"] == "regressed"] for name, of in lines.items()},
        {name: [line["run_index"] for line in of if line["severity"] == "page"] for name, of in lines.items()},
    )


def _judged(runs: list[Sample], label: Label) -> list[Sample]:
    """With the judges that the label names, where the file does not name them."""
    if label.get("kind") != "judge_change":
        return runs
    change = int(label.get("change_run", 1))
    return [
        replace(run, measured_by=run.measured_by or ("before" if int(run.run) < change else "after")) for run in runs
    ]


if __name__ == "__main__":
    main()
