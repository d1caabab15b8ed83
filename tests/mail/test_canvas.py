"""How matplotlib is started is seen from outside, by processes that do nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DRAWS = """
import os, sys
before = dict(os.environ)
from evalops_core.mail.compose import compose
from evalops_core.mail.facts import Firing
from tests.mail.letters import REGRESSION
assert "matplotlib" not in sys.modules, "imported before anything is drawn"
assert len(compose(Firing(items=(REGRESSION,), ui_url="")).images) == 1
assert "matplotlib.pyplot" not in sys.modules, "the global interface"
assert dict(os.environ) == before, "the environment is another"
"""


def run(script: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MPL", "XDG"))}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=ROOT,
        env={**kept, "HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("home", ["empty", "none"])
def test_drawing_leaves_nothing_behind_and_says_nothing(home: str, tmp_path: Path) -> None:
    folder, temporary = tmp_path / "home", tmp_path / "tmp"
    temporary.mkdir()
    if home == "empty":
        folder.mkdir()
    ended = run(DRAWS, folder, TMPDIR=str(temporary))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert not list(temporary.iterdir())
    assert not folder.exists() or not list(folder.iterdir())


def test_a_matplotlibrc_of_the_users_own_changes_no_picture(tmp_path: Path) -> None:
    script = """
import hashlib
from tests.mail.letters import REGRESSION
from evalops_core.mail.figure import draw
print(hashlib.sha256(draw(REGRESSION.points, REGRESSION.reference, REGRESSION.threshold)).hexdigest())
"""
    own = tmp_path / "matplotlibrc"
    own.write_text("lines.linewidth: 9\naxes.facecolor: black\nfont.size: 30\ntext.usetex: true\n")
    plain, styled = run(script, tmp_path), run(script, tmp_path, MATPLOTLIBRC=str(own))
    assert (styled.returncode, styled.stderr) == (0, "")
    assert styled.stdout == plain.stdout
