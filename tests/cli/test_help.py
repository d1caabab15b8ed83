import re
import subprocess
import sys

import pytest
import typer.main

from evalops_dagster.cli import app
from tests.cli.calling import Evalops

HEAVY = {"dagster", "dagster_graphql", "pandas", "numpy", "scipy", "sqlalchemy", "aiohttp", "psycopg2", "onnxruntime"}
LOADED = """
import sys
from evalops_dagster.cli import main
sys.argv = ["evalops", *sys.argv[1:]]
try:
    main()
except SystemExit as ended:
    assert ended.code in (0, 2), ended.code
print("loaded", *{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""


def commands() -> list[tuple[str, ...]]:
    """Every command's words, those of groups included."""
    found: list[tuple[str, ...]] = []
    for name, command in vars(typer.main.get_command(app))["commands"].items():
        children = vars(command).get("commands")
        found += [(name, child) for child in children] if children else [(name,)]
    return found


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["dev", "--help"], ["db", "--help"], ["alerts", "--help"], ["--nope"]]
)
def test_help_comes_without_loading_what_is_heavy(arguments: list[str]) -> None:
    said = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(said.stderr.splitlines()[-1].split())
    assert "evalops_dagster" in loaded
    assert not loaded & HEAVY


ENDED = """
import atexit, gc, sys
from evalops_dagster.cli import main
before = gc.get_threshold()
atexit.register(lambda: print("left to the collector", gc.get_count()[0] < 1000 < gc.get_freeze_count()))
atexit.register(lambda: print("as it was", gc.get_threshold() == before))
sys.argv = ["evalops", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize("arguments", [["--help"], ["--nope"]])
def test_a_command_leaves_the_collector_nothing_to_go_through_before_it_ends(arguments: list[str]) -> None:
    said = subprocess.run([sys.executable, "-c", ENDED, *arguments], capture_output=True, text=True, timeout=60)
    assert said.returncode in (0, 2), said.stderr
    assert said.stdout.splitlines()[-2:] == ["as it was True", "left to the collector True"]


def test_help_names_every_command_and_tells_a_newcomer_how_to_start(evalops: Evalops) -> None:
    said = evalops("--help")
    assert said.code == 0
    for name in {words[0] for words in commands()}:
        assert re.search(rf"^  {name}\s+\S", said.out, re.MULTILINE)
    for line in ("evalops dev", "evalops suites new", "evalops run --feature", "Exit codes", "EVALOPS_"):
        assert line in said.out


SHOWN = ("dev", "demo", "doctor", "run", "trend", "drift", "traces", "db", "incidents", "alerts", "metrics")


@pytest.mark.parametrize("words", [words for words in commands() if words[0] in SHOWN])
def test_a_command_s_help_says_what_it_does_and_shows_how_it_is_called(
    evalops: Evalops, words: tuple[str, ...]
) -> None:
    said = evalops(*words, "--help")
    usage, _, described = said.out.partition("\n\n")
    assert (said.code, said.err) == (0, "")
    assert usage.startswith(f"Usage: evalops {' '.join(words)}")
    assert f"evalops {' '.join(words)}" in described, "there is no example"
    assert max(map(len, said.out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nope"], "nope"),
        (["--nope"], "--nope"),
        (["run", "--nope"], "--nope"),
        (["db", "nope"], "nope"),
        (["dev", "--port", "70000"], "--port"),
        (["run", "--limit", "0"], "--limit"),
        (["trend", "--format", "xml"], "--format"),
    ],
)
def test_what_is_not_understood_is_named_and_exits_with_2(evalops: Evalops, arguments: list[str], named: str) -> None:
    said = evalops(*arguments)
    assert (said.code, said.out) == (2, "")
    assert named in said.err.splitlines()[-1]
    assert "Traceback" not in said.err
