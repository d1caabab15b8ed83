"""Folders → suites: the only way from files into the domain.

What belongs here: finding suites' folders and putting a suite together. What does not: keys and their meaning (files),
single files' problems (yaml_document, cases, problems). Whatever is wrong is a ConfigError of one sentence; a Suite
that comes out of here can be evaluated.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from evalops_core.domain.chat import Message
from evalops_core.domain.suite import AlertSpec, ModelSpec, Prompt, RegressionSpec, Suite
from evalops_core.errors import ConfigError
from evalops_core.suites.cases import read_cases
from evalops_core.suites.checks import check_prompt, check_references
from evalops_core.suites.file_model import NAME, NAME_RULE
from evalops_core.suites.files import SuiteFile
from evalops_core.suites.plain_files import read_text
from evalops_core.suites.problems import config_error
from evalops_core.suites.yaml_document import Document, read_document

SUITE_FILE, CASES_FILE = "suite.yaml", "cases.jsonl"
LARGEST_SUITE = 1_000_000


def load_suite(folder: Path) -> Suite:
    """The suite in `folder`, whose name is the feature's. ConfigError for the first problem."""
    folder = _normal(folder)
    if not NAME.fullmatch(folder.name):
        raise ConfigError(f"a feature's folder is named by {NAME_RULE}; rename {folder.name!r}", file=folder)
    file = folder / SUITE_FILE
    if not _stays(folder, Path(SUITE_FILE)):
        raise ConfigError("is a link that leads out of the suite's folder; put the file itself there", file=file)
    document = read_document(read_text(file, LARGEST_SUITE), file)
    written = _validated(document, file)
    cases_file = _inside(folder, written.cases, document, file)
    placed = read_cases(cases_file)
    suite = Suite(
        feature=folder.name,
        cases=placed.cases,
        scorers=tuple(scorer.spec() for scorer in written.scorers),
        folder=folder,
        description=written.description.strip(),
        owner=written.owner,
        model=ModelSpec(
            name=written.model.name,
            base_url=written.model.base_url,
            parameters=cast("dict[str, Any]", written.model.parameters),
            api_key_env=written.model.api_key_env,
        ),
        prompt=Prompt(tuple(Message(message.role, message.content) for message in written.prompt)),
        repeats=written.repeats,
        interval_hours=written.interval,
        daily_budget_usd=written.daily_budget_usd,
        hard_cap_usd=written.hard_cap_usd,
        regression=RegressionSpec(**written.regression.model_dump()),
        alerts=AlertSpec(
            None if written.alerts.to is None else tuple(dict.fromkeys(written.alerts.to)),
            written.alerts.include_texts,
            written.alerts.reminder,
        ),
        drift=written.drift.spec(),
    )
    check_prompt(suite, placed, document, file, cases_file)
    check_references(suite.scorers, placed, cases_file)
    return suite


def load_suites(roots: Sequence[Path]) -> dict[str, Suite]:
    """Every suite under `roots`, by feature, in the order of the names."""
    return {feature: load_suite(folder) for feature, folder in sorted(find_suites(roots).items())}


def find_suites(roots: Sequence[Path]) -> dict[str, Path]:
    """Feature → folder. ConfigError for a root without suites, and for a feature that two roots hold."""
    found: dict[str, Path] = {}
    for root in dict.fromkeys(_normal(root) for root in roots):
        for folder in suite_folders(root):
            other = found.setdefault(folder.name, folder)
            if other != folder:
                raise ConfigError(f"the feature {folder.name} is in {other} too; rename or remove one", file=folder)
    return found


def suite_folders(root: Path) -> list[Path]:
    """The suites' folders in `root`, sorted; hidden folders and those that hold neither file are left out."""
    root = _normal(root)
    try:
        folders = sorted(entry for entry in root.iterdir() if not entry.name.startswith(".") and entry.is_dir())
    except FileNotFoundError:
        raise ConfigError(
            "does not exist; create it, or set EVALOPS_SUITES to where the suites are", file=root
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot be listed: {error.strerror or error}", file=root) from None
    chosen = [folder for folder in folders if is_suite(folder)]
    if not chosen:
        raise ConfigError(f"holds no folder with a {SUITE_FILE}; `evalops suites new NAME` makes one", file=root)
    return chosen


def is_suite(folder: Path) -> bool:
    """Whether it was meant as one: cases without a `suite.yaml` are a mistake for `load_suite` to name."""
    return any(os.path.lexists(folder / name) for name in (SUITE_FILE, CASES_FILE))


def _normal(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))  # noqa: PTH100  # resolve() would follow links: the name is the feature


def _validated(document: Document, file: Path) -> SuiteFile:
    if document.value is None:
        raise ConfigError("is empty; `evalops suites new NAME` shows what belongs in it", file=file)
    if not isinstance(document.value, dict):
        raise ConfigError("expected a mapping of keys to values", file=file, line=1)
    try:
        return SuiteFile.model_validate(document.value)
    except ValidationError as error:
        raise config_error(error, document.value, file, document.line) from None


def _inside(folder: Path, name: str, document: Document, file: Path) -> Path:
    """The cases' file, links followed for the check alone."""
    line = document.line(("cases",))
    path = Path(name)
    try:
        inside = not path.is_absolute() and ".." not in path.parts and _within(folder, path)
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
        raise ConfigError(f"cannot be followed: {error}", file=file, line=line, key="cases") from None
    if not inside:
        problem = f"{name[:80]!r} leads out of the suite's folder; keep the cases inside it"
        raise ConfigError(problem, file=file, line=line, key="cases")
    return folder / path


def _stays(folder: Path, path: Path) -> bool:
    """True, too, for what cannot be followed: reading it says why."""
    try:
        return _within(folder, path)
    except (OSError, RuntimeError):
        return True


def _within(folder: Path, path: Path) -> bool:
    return (folder / path).resolve().is_relative_to(folder.resolve())
