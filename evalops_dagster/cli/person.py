"""Who acts, for what is kept with a name.

What belongs here: that name. What does not: what is done.
"""


def person(by: str | None) -> str:
    """`by`, or the login name. ConfigError where there is none."""
    import getpass

    from evalops_core.errors import ConfigError

    try:
        name = getpass.getuser() if by is None else by
    except (KeyError, OSError, ImportError):
        name = ""
    if not name.strip():
        raise ConfigError("expected a name: this login has none, or it is empty", key="--by")
    return name.strip()
