"""That no secret gets out with what the doctor says.

What belongs here: which secrets this process knows of, and taking them out of a finding. What does not: sentences, each
of which is made without them by whoever makes it; this is the last guard.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from urllib.parse import unquote

from pydantic import SecretStr

from evalops_core.domain.suite import Suite
from evalops_core.mail.untrusted import one_line
from evalops_core.run.doctor.finding import Finding
from evalops_core.settings import Settings

_LONGEST = 400
_SHORTEST = 6


def known_secrets(settings: Settings, suites: Iterable[Suite]) -> list[str]:
    """Every secret that this process knows of, the longest first; none so short that other words would hold it."""
    keys = [value for name in type(settings).model_fields if isinstance(value := getattr(settings, name), SecretStr)]
    variables = {None, "RESEND_API_KEY", *(suite.model.api_key_env for suite in suites)}
    keys += [key for variable in variables if (key := settings.api_key(variable)) is not None]
    found = {part for key in keys for part in _telling(key.get_secret_value())}
    return sorted((part for part in found if len(part) >= _SHORTEST), key=len, reverse=True)


def _telling(secret: str) -> Iterator[str]:
    """The secret, or of a URL its password, as it is written and as it is meant."""
    scheme, separator, rest = secret.strip().partition("://")
    if not separator:
        yield secret.strip()
        return
    yield f"{scheme}://{rest}"
    user, _, password = rest.rpartition("@")[0].partition(":")
    if password not in ("", user):  # hiding a password like the user's name would hide half of each sentence
        yield from (password, unquote(password))


def without(secrets: Sequence[str], finding: Finding) -> Finding:
    """The finding in one line a sentence, with `***` for each of the secrets."""

    def fit(words: str) -> str:
        for secret in secrets:
            words = words.replace(secret, "***")
        return one_line(words, _LONGEST)

    return replace(finding, seen=fit(finding.seen), mend=None if finding.mend is None else fit(finding.mend))
