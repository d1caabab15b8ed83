"""Whom a feature's incidents concern, and by which rules they arise: its suite's words, then the settings'.

What belongs here: those values. What does not: what is decided by them (detect, watch, letters).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from evalops_core.domain.suite import RegressionSpec, Suite


@dataclass(frozen=True, slots=True)
class FeatureAlerts:
    """`recipients` are mail addresses, none where nobody is told. `suite` is None for a feature that has none now."""

    rules: RegressionSpec = RegressionSpec()
    recipients: tuple[str, ...] = ()
    include_texts: bool = True
    reminder: bool = False
    suite: Suite | None = None

    @property
    def shows_prompts(self) -> bool:
        """Whether people may see what users asked: mails may hold texts, and the suite says so of prompts, too."""
        return self.include_texts and self.suite is not None and self.suite.drift.include_texts


@dataclass(frozen=True)
class AlertRules:
    """Those of every feature; `others` holds for features without a suite, whose history is still there.

    `ui_url` is where people find the UI, without a slash at its end.
    """

    others: FeatureAlerts = FeatureAlerts()
    features: Mapping[str, FeatureAlerts] = field(default_factory=dict[str, FeatureAlerts])
    ui_url: str = "http://127.0.0.1:3000"

    def of(self, feature: str) -> FeatureAlerts:
        return self.features.get(feature, self.others)
