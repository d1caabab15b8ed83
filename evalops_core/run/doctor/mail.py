"""What keeps mails about incidents from arriving: the key, the sender, nobody to tell.

What belongs here: deciding. What does not: asking Resend (providers.mail). What its refusals are called stands in
https://resend.com/docs/api-reference/errors: a key that may only send is refused its list of domains with 401 and
`restricted_api_key`. A key that it does not know is said to be refused with 403 and `invalid_api_key`; by its own SDK's
https://github.com/resend/resend-node/pull/617 it is a `validation_error` by now, so that the words count.
"""

from collections.abc import Sequence
from email.utils import parseaddr

from evalops_core.domain.look import Look
from evalops_core.run.doctor.finding import Finding, failed, ok, skipped, warning

MAIL_CHECKS = ("mail", "sender", "recipients")
_SENDS_ONLY = "restricted_api_key"
_KEY = "RESEND_API_KEY (or EVALOPS_RESEND_API_KEY)"


def no_key() -> list[Finding]:
    mend = f"Set {_KEY} where Dagster runs, then try `evalops alerts test`; docs/alerts.md says more."
    others = [skipped(name, "no mail is sent without a key") for name in MAIL_CHECKS[1:]]
    return [warning("mail", "there is no key for Resend, so incidents are kept but nobody is mailed", mend), *others]


def mail(look: Look, sender: str, untold: Sequence[str]) -> list[Finding]:
    """After `GET {resend_base_url}/domains`, by which nothing is sent. `untold`: features whose mails reach nobody."""
    return [_provider(look), _sender(look, sender), _recipients(untold)]


def unusable_key(problem: str) -> list[Finding]:
    """Where no request can be made with the key or the address; `problem` is the error's sentence."""
    others = [skipped(name, "Resend cannot be asked") for name in MAIL_CHECKS[1:]]
    return [failed("mail", problem, f"Correct {_KEY} or EVALOPS_RESEND_BASE_URL."), *others]


def _provider(look: Look) -> Finding:
    reason = f": {look.said}" if look.said else ""
    if look.status is None:
        return failed(
            "mail",
            f"{look.host} {look.said}",
            "Let this host reach it, or correct EVALOPS_RESEND_BASE_URL.",
        )
    if look.status == 200:
        return ok("mail", f"{look.host} takes the key")
    if look.code == _SENDS_ONLY:
        return ok("mail", f"{look.host} takes the key, which may send and nothing else, as it should be")
    if look.status in (401, 403) or "api key is invalid" in look.said.lower():
        return failed(
            "mail", f"{look.host} refuses the key ({look.status}{reason})", f"Set a key that it knows in {_KEY}."
        )
    if look.status == 429 or look.status >= 500:
        return warning(
            "mail",
            f"{look.host} is there but answers {look.status}{reason}",
            "Wait; mails are tried again for 23 hours.",
        )
    return warning(
        "mail",
        f"{look.host} is there, but answers {look.status}{reason}, so nothing is known of the key",
        "Correct EVALOPS_RESEND_BASE_URL if it is wrong; `evalops alerts test` sends a mail, which tells.",
    )


def _sender(look: Look, sender: str) -> Finding:
    domain = parseaddr(sender)[1].rpartition("@")[2].lower()
    if domain == "resend.dev":
        return warning(
            "sender",
            f"{sender} reaches only the address of the key's own account",
            "Set EVALOPS_ALERT_FROM to an address at a domain that Resend knows as yours.",
        )
    if look.listed is None:
        why = "this key cannot tell" if look.code == _SENDS_ONLY else "could not be asked"
        return skipped("sender", f"{sender}: whether Resend knows {domain} as yours, {why}")
    if look.listed.get(domain) == "verified":
        return ok("sender", f"{sender}: Resend knows {domain} as yours")
    if domain not in look.listed and not look.whole:
        return skipped("sender", f"{sender}: {domain} is not on the first page of your domains")
    state = look.listed.get(domain)
    return warning(
        "sender",
        f"{sender}: Resend does not list {domain} as yours" if state is None else f"{sender}: {domain} is {state}",
        f"Verify {domain} at Resend, or set EVALOPS_ALERT_FROM to an address at a domain that is.",
    )


def _recipients(untold: Sequence[str]) -> Finding:
    if not untold:
        return ok("recipients", "every feature's incidents are mailed to somebody, or its suite wants none")
    return warning(
        "recipients",
        f"nobody is told of incidents of {', '.join(untold)}",
        "Set EVALOPS_ALERT_TO, or `alerts: {to: [team@example.com]}` in the suite; `[]` there is for nobody.",
    )
