"""The proxy that the environment names for an address.

What belongs here: which proxy. What does not: calls through it.
"""

import ipaddress
from urllib.request import getproxies, proxy_bypass

from yarl import URL


def proxy_of(url: URL) -> str | None:
    """The environment's proxy for `url`; none for this machine. Not aiohttp's `trust_env`, which also reads netrc."""
    host = url.host or ""
    try:
        here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        here = host == "localhost" or host.endswith(".localhost")
    if here or proxy_bypass(host):
        return None
    found = getproxies().get(url.scheme)
    return found if found is None or "://" in found else f"http://{found}"
