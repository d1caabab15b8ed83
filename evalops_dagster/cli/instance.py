"""The Dagster instance that commands work on: the folder with `dagster.yaml` and `workspace.yaml`.

What belongs here: finding and opening it. What does not: what is in it.
"""

import contextlib
import os
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from evalops_core.errors import ConfigError

if TYPE_CHECKING:
    from dagster import DagsterInstance


def instance_folder() -> Path:
    """DAGSTER_HOME where it is set, else this folder, else the project that EvalOps is installed from.

    Sets DAGSTER_HOME for this process and those that it starts. ConfigError where no folder has the two files.
    """
    named = os.environ.get("DAGSTER_HOME")
    candidates = [Path(named).expanduser()] if named else [Path.cwd(), Path(__file__).resolve().parents[2]]
    for folder in candidates:
        if (folder / "dagster.yaml").is_file() and (folder / "workspace.yaml").is_file():
            os.environ["DAGSTER_HOME"] = str(folder.resolve())
            return folder.resolve()
    raise ConfigError(
        f"no dagster.yaml with a workspace.yaml in {' or '.join(str(folder) for folder in candidates)}; "
        "go to the folder that holds them, or name it",
        key="DAGSTER_HOME",
    )


@contextlib.contextmanager
def open_instance() -> "Generator[DagsterInstance, None, None]":
    """The instance for a run in this process. What its steps print is the terminal's and is kept nowhere else.

    Dagster would divert stdout and stderr of each step into files, by two more processes each, and a terminal that is
    written to through a pipe shows no progress.
    """
    from dagster import DagsterInstance
    from dagster._core.instance.ref import InstanceRef

    as_it_is = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
    ref = InstanceRef.from_dir(str(instance_folder()), overrides={"compute_logs": as_it_is})
    with DagsterInstance.from_ref(ref) as instance:
        yield instance
