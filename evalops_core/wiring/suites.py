"""The suites of the settings' folders, the usable and the others.

What belongs here: keeping one bad suite from taking the others down. What does not: reading one (suites).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from evalops_core.domain.suite import Suite
from evalops_core.errors import ConfigError
from evalops_core.settings import Settings
from evalops_core.suites.loader import find_suites, load_suite


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
            usable[feature] = load_suite(folder)
        except ConfigError as error:
            broken[feature] = str(error)
    return Suites(usable, broken)
