"""Who is told of incidents, and by what.

What belongs here: putting settings and suites together. What does not: what an incident is, what a mail says.
"""

from collections.abc import Mapping

from evalops_core.domain.mail import Mailer
from evalops_core.domain.suite import Suite
from evalops_core.run.alert_rules import AlertRules, FeatureAlerts
from evalops_core.settings import Settings


def alert_rules(settings: Settings, suites: Mapping[str, Suite]) -> AlertRules:
    """The rules of every feature; a suite's own words go before the settings'."""
    others = FeatureAlerts(recipients=settings.alert_to, include_texts=settings.alert_include_texts)
    features = {
        feature: FeatureAlerts(
            rules=suite.regression,
            recipients=settings.alert_to if suite.alerts.recipients is None else suite.alerts.recipients,
            include_texts=settings.alert_include_texts and suite.alerts.include_texts,
            reminder=suite.alerts.reminder,
            suite=suite,
        )
        for feature, suite in suites.items()
    }
    own = f"http://{settings.ui_host}:{settings.ui_port}"
    return AlertRules(others, features, (settings.ui_url or own).rstrip("/"))


def mailer_of(settings: Settings) -> Mailer | None:
    """None where no key is set, so that nothing is sent."""
    key = settings.mail_key()
    if key is None:
        return None
    from evalops_core.providers.mail import ResendMailer  # the provider's package takes its time to import

    return ResendMailer(key, settings.alert_from, settings.resend_base_url)
