"""The blocks for run launchers that docs/distributed.md shows, so that tests use what users copy."""

import re
from pathlib import Path
from typing import Any

import yaml

_PAGE = Path(__file__).parents[1] / "docs" / "distributed.md"


def documented_launchers() -> dict[str, dict[str, Any]]:
    """What stands under `run_launcher`, by the class that each block names."""
    blocks = re.findall(r"```yaml\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    launchers = [yaml.safe_load(block)["run_launcher"] for block in blocks]
    return {launcher["class"]: launcher for launcher in launchers}
