"""A failed model call as the reason why something has no score.

What belongs here: the words. What does not: retrying (providers).
"""

from evalops_core.errors import CallError, PermanentError, TransientError
from evalops_core.scorers.text import excerpt


def call_problem(who: str, error: CallError) -> str:
    """One clause that says who failed, whether the same call may succeed later, and what the endpoint said."""
    if isinstance(error, TransientError):
        kind = "did not answer (transient: a later run may succeed)"
    elif isinstance(error, PermanentError):
        kind = "refused the call (permanent: the same call will be refused again)"
    else:
        kind = "failed"
    return f"{who} {kind}: {excerpt(str(error), 300)}"
