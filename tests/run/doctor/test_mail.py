import pytest

from evalops_core.domain.look import Look
from evalops_core.run.doctor import mail

SENDER = "EvalOps <evals@example.com>"
HOST = "api.resend.com"


@pytest.mark.parametrize(
    ("look", "status"),
    [
        (Look(HOST, 200, listed={"example.com": "verified"}), "ok"),
        (Look(HOST, 401, "This API key is restricted to only send emails", "restricted_api_key"), "ok"),
        (Look(HOST, 401, "Missing API key", "missing_api_key"), "failed"),
        (Look(HOST, 403, "API key is invalid", "invalid_api_key"), "failed"),
        (Look(HOST, 400, "API key is invalid", "validation_error"), "failed"),
        (Look(HOST, 404, "The requested endpoint does not exist", "not_found"), "warning"),
        (Look(HOST, 503), "warning"),
        (Look(HOST, None, "Connection refused"), "failed"),
    ],
)
def test_a_key_that_may_only_send_is_as_good_as_one_that_may_all(look: Look, status: str) -> None:
    found = mail.mail(look, SENDER, [])[0]
    assert (found.name, found.status) == ("mail", status)
    assert (found.mend is None) == (status == "ok")


@pytest.mark.parametrize(
    ("sender", "look", "status"),
    [
        (SENDER, Look(HOST, 200, listed={"example.com": "verified"}), "ok"),
        (SENDER, Look(HOST, 200, listed={"example.com": "pending"}), "warning"),
        (SENDER, Look(HOST, 200, listed={"other.com": "verified"}), "warning"),
        (SENDER, Look(HOST, 200, listed={"other.com": "verified"}, whole=False), "skipped"),
        (SENDER, Look(HOST, 401, code="restricted_api_key"), "skipped"),
        ("EvalOps <onboarding@resend.dev>", Look(HOST, 200, listed={}), "warning"),
        ("onboarding@resend.dev", Look(HOST, 401, code="restricted_api_key"), "warning"),
    ],
)
def test_a_sender_is_fine_at_a_domain_that_the_provider_knows(sender: str, look: Look, status: str) -> None:
    found = mail.mail(look, sender, [])[1]
    assert (found.name, found.status) == ("sender", status)


def test_a_sender_is_not_doubted_where_nobody_could_be_asked() -> None:
    assert mail.mail(Look(HOST, None, "did not answer"), SENDER, [])[1].seen.endswith("could not be asked")
    assert mail.mail(Look(HOST, 401, code="restricted_api_key"), SENDER, [])[1].seen.endswith("this key cannot tell")


def test_features_of_which_nobody_is_told_are_named() -> None:
    found = mail.mail(Look(HOST, 200, listed={}), SENDER, ["orders"])[2]
    assert (found.status, found.seen) == ("warning", "nobody is told of incidents of orders")


def test_without_a_key_there_is_one_warning_and_not_three() -> None:
    assert [found.status for found in mail.no_key()] == ["warning", "skipped", "skipped"]
