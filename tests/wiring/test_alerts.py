"""Who is told of what: a suite's own words, then the settings'."""

from pathlib import Path

import pytest

from evalops_core.errors import ConfigError
from evalops_core.settings import load_settings
from evalops_core.suites.loader import load_suite
from evalops_core.wiring import alert_rules, mailer_of
from tests.builders import JUDGED, write_suite


def suite_with(root: Path, alerts: str) -> Path:
    return write_suite(root, "http://127.0.0.1:9/v1", cases=2, yaml=JUDGED + alerts)


@pytest.mark.parametrize(
    ("alerts", "recipients"),
    [
        ("", ("all@example.com",)),
        ("alerts: {to: [own@example.com, own@example.com]}\n", ("own@example.com",)),
        ("alerts: {to: []}\n", ()),
    ],
    ids=["none named", "its own, once", "nobody"],
)
def test_a_suite_s_recipients_go_before_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alerts: str, recipients: tuple[str, ...]
) -> None:
    monkeypatch.setenv("EVALOPS_ALERT_TO", "all@example.com")
    suite = load_suite(suite_with(tmp_path, alerts))
    rules = alert_rules(load_settings(), {suite.feature: suite})
    assert rules.of("orders").recipients == recipients
    assert rules.of("a feature that is gone").recipients == ("all@example.com",)


@pytest.mark.parametrize(("everywhere", "here"), [("true", "false"), ("false", "true"), ("false", "false")])
def test_texts_are_shown_only_where_both_the_settings_and_the_suite_allow_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, everywhere: str, here: str
) -> None:
    monkeypatch.setenv("EVALOPS_ALERT_INCLUDE_TEXTS", everywhere)
    suite = load_suite(suite_with(tmp_path, f"alerts: {{include_texts: {here}, reminder: true}}\n"))
    feature = alert_rules(load_settings(), {suite.feature: suite}).of("orders")
    assert not feature.include_texts
    assert feature.reminder


def test_several_addresses_are_separated_by_commas_and_links_lead_to_the_ui(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALOPS_ALERT_TO", "a@example.com, b@example.com,")
    monkeypatch.setenv("EVALOPS_UI_URL", "https://evals.example.com/")
    rules = alert_rules(load_settings(), {})
    assert rules.others.recipients == ("a@example.com", "b@example.com")
    assert rules.ui_url == "https://evals.example.com"


def test_an_address_that_is_none_is_refused_by_the_variables_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALOPS_ALERT_TO", "a@example.com, the team")
    with pytest.raises(ConfigError, match=r"EVALOPS_ALERT_TO: .*expected a mail address .* not 'the team'"):
        load_settings()


def test_without_a_key_there_is_no_mailer_and_either_variable_gives_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESEND_API_KEY", raising=False)
    assert mailer_of(load_settings()) is None
    monkeypatch.setenv("RESEND_API_KEY", "re_1")
    assert mailer_of(load_settings()) is not None
    monkeypatch.delenv("RESEND_API_KEY")
    monkeypatch.setenv("EVALOPS_RESEND_API_KEY", "re_2")
    assert mailer_of(load_settings()) is not None
