"""The Dagster instance that commands work on: the folder with `dagster.yaml` and `workspace.yaml`.

What belongs here: finding it. What does not: what is in it.
"""

import os
from pathlib import Path

from evalops_core.errors import ConfigError


def instance_folder() -> Path:
    """DAGSTER_HOME where it is set, else this folder, else the project that EvalOps is installed from.

    Sets DAGSTER_HOME for this process and those that it starts. ConfigError where no folder has the two files.
    """
    named = os.environ.get("DAGSTER_HOME")
    candidates = [Path(named)] if named else [Path.cwd(), Path(__file__).resolve().parents[2]]
    for folder in candidates:
        if (folder / "dagster.yaml").is_file() and (folder / "workspace.yaml").is_file():
            os.environ["DAGSTER_HOME"] = str(folder.resolve())
            return folder.resolve()
    raise ConfigError(
        f"no dagster.yaml with a workspace.yaml in {' or '.join(str(folder) for folder in candidates)}; "
        "go to the folder that holds them, or name it",
        key="DAGSTER_HOME",
    )
