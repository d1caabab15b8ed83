"""The suites of the settings' folders, the usable and the others.

What belongs here: keeping one bad suite from taking the others down. What does not: reading one (suites).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evalops_core.domain.scorer import JudgeSpec, PythonSpec, ScorerSpec
from evalops_core.domain.suite import Suite
from evalops_core.errors import ConfigError
from evalops_core.settings import Settings
from evalops_core.suites.loader import SUITE_FILE, find_suites, load_suite


@dataclass(frozen=True, slots=True)
class Suites:
    """The suites that can be used, by feature, and for the others what is wrong with them."""

    usable: Mapping[str, Suite]
    broken: Mapping[str, str]


def read_suites(settings: Settings) -> Suites:
    """Every suite of the settings' folders; one that cannot be read does not take the others down.

    ConfigError for a folder that is not there or holds no suite.
    """
    usable: dict[str, Suite] = {}
    broken: dict[str, str] = {}
    for feature, folder in sorted(find_suites(settings.suites).items()):
        try:
            suite = load_suite(folder)
            refuse_code(suite.scorers, folder, settings)
            usable[feature] = suite
        except ConfigError as error:
            broken[feature] = str(error)
    return Suites(usable, broken)


def refuse_code(specs: Sequence[ScorerSpec], folder: Path, settings: Settings) -> None:
    """ConfigError where one of the scorers, or of their fallbacks, is code and the settings allow none."""
    fallbacks = (spec for judge in specs if isinstance(judge, JudgeSpec) for spec in judge.fallback)
    code = next((spec for spec in (*specs, *fallbacks) if isinstance(spec, PythonSpec)), None)
    if code is not None and not settings.python_scorers:
        raise ConfigError(
            f"the scorer {code.name} runs code of the suite's, which EVALOPS_PYTHON_SCORERS=false refuses; take it "
            "out, or allow it",
            file=folder / SUITE_FILE,
        )
