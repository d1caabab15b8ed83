"""Who is told outside that all is well.

What belongs here: putting the setting and the call together. What does not: when all is well (run.heartbeat).
"""

from typing import TYPE_CHECKING

from evalops_core.settings import Settings

if TYPE_CHECKING:
    from evalops_core.providers.heartbeat import Heartbeat


def heartbeat_of(settings: Settings) -> "Heartbeat | None":
    """None where no address is set. ConfigError for what is no address."""
    if settings.heartbeat_url is None:
        return None
    from evalops_core.providers.heartbeat import Heartbeat  # with the HTTP client

    return Heartbeat(settings.heartbeat_url)
