"""What a call costs, in US dollars.

What belongs here: finding a model's price and multiplying. What does not: budgets (domain), sums (store). Prices come
from the data inside the installed `genai-prices`, never from the network; an unknown price is None, never 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from evalops_core.domain.chat import Usage
from evalops_core.setting_types import EMBEDDED

_PER_MTOK = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class PriceOverride:
    """A model's price as configured, in US dollars per million tokens."""

    input_per_mtok: Decimal
    output_per_mtok: Decimal


def price(
    model_id: str, provider_url: str, usage: Usage, overrides: Mapping[str, PriceOverride] | None = None
) -> Decimal | None:
    """US dollars, exact; None where the model, its provider, its price or a token count is unknown.

    `model_id` as the endpoint resolved it, `provider_url` its base URL, or `embedded`: the model that runs here costs
    nothing. `overrides`, by model id, come before everything else. A server of your own on loopback has no known
    price either: it may be a gateway to a paid model.
    """
    override = (overrides or {}).get(model_id)
    if override is None and provider_url == EMBEDDED:
        return Decimal(0)
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    if override is not None:
        total = override.input_per_mtok * usage.prompt_tokens + override.output_per_mtok * usage.completion_tokens
        return total / _PER_MTOK
    if _is_unlisted(provider_url):
        return None
    return _listed(model_id, provider_url, usage.prompt_tokens, usage.completion_tokens)


@lru_cache(maxsize=64)
def _is_unlisted(provider_url: str) -> bool:
    """Whether the address is one of a network of one's own, which no provider can be listed under: the list, which
    takes a sixth of a second to import and competes with the first calls, need not be asked."""
    host = urlsplit(provider_url).hostname or ""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host  # such as localhost, or a container's name


def _listed(model_id: str, provider_url: str, prompt_tokens: int, completion_tokens: int) -> Decimal | None:
    from genai_prices import Usage as Tokens  # here, since it costs every command 0.4 s to import
    from genai_prices import calc_price

    try:
        found = calc_price(
            Tokens(input_tokens=prompt_tokens, output_tokens=completion_tokens), model_id, provider_api_url=provider_url
        )
    except (LookupError, ValueError):  # not listed, or listed with conditions that these counts do not meet
        return None
    prices = found.model_price
    # A twelfth of the listed models have no price: the library's sum over nothing is 0, and that would be a lie.
    if (prompt_tokens and prices.input_mtok is None) or (completion_tokens and prices.output_mtok is None):
        return None
    return found.total_price
