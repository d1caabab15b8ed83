"""`python -m evalops_core.providers.local_model ROOT`: the model server process, as `ModelServer` starts it.

What belongs here: arguments, handing a refusal to whoever started us. What does not: serving (serve).
"""

import argparse
import os
import sys
from pathlib import Path

from evalops_core.errors import ConfigError
from evalops_core.providers.local_model.serve import LINGER_S, serve


def main() -> int:
    parser = argparse.ArgumentParser(prog="evalops-model-server")
    parser.add_argument("root", type=Path)
    parser.add_argument("--engines", type=int, default=1)
    parser.add_argument("--owner-pid", type=int)
    parser.add_argument("--linger-s", type=float, default=LINGER_S)
    parser.add_argument("--ready-fd", type=int)
    given = parser.parse_args()
    try:
        serve(
            given.root,
            engines=given.engines,
            owner_pid=given.owner_pid,
            linger_s=given.linger_s,
            ready_fd=given.ready_fd,
        )
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        if given.ready_fd is not None:
            os.write(given.ready_fd, f"error {error}\n".encode())
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
