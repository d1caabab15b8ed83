"""What a long measurement takes over from whoever started it: nothing that is set for EvalOps, and no deaf ears.

What belongs here: environment and signals, before anything is started. What does not: any process of ours.
"""

import os
import signal
import warnings


def forget_the_caller() -> None:
    """Variables of EvalOps, Dagster, libpq and providers are gone from the environment; Ctrl-C and SIGTERM raise
    KeyboardInterrupt, also where a shell has started this in the background and deaf to them."""
    for name in list(os.environ):
        if name.startswith(("EVALOPS_", "DAGSTER_", "PG")) or name in ("OPENAI_API_KEY", "RESEND_API_KEY"):
            del os.environ[name]
    # what Dagster says of a code server that was killed on purpose
    warnings.filterwarnings("ignore", message="Error loading repository location")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
