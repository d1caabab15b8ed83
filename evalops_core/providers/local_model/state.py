"""What the model server leaves in its folder so that others can find it.

What belongs here: paths and the state file. What does not: whether the server described there lives (process).
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

LINGER_S = 30.0  # another process may have adopted the server, and pauses between two stages of its run


@dataclass(frozen=True, slots=True)
class ServerState:
    """A server that answers requests. Times are Unix seconds; `token` is shared with this folder's owner only."""

    pid: int
    create_time: float
    port: int
    token: str
    fingerprint: str
    engines: int
    started_at: float

    @property
    def url(self) -> str:
        """The API root, as an OpenAI client wants it."""
        return f"http://127.0.0.1:{self.port}/v1"


class StatePaths:
    """The files in ROOT/model: `lock` (held while starting or stopping), `pid` (locked by the server while it lives),
    `server.json` (there while it answers), `server.log`, `requests.jsonl`."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "model"
        self.lock = self.folder / "lock"
        self.pid = self.folder / "pid"
        self.state = self.folder / "server.json"
        self.log = self.folder / "server.log"
        self.requests = self.folder / "requests.jsonl"

    def write(self, state: ServerState) -> None:
        """Whole or not at all, readable by the owner only."""
        temporary = self.state.with_suffix(f".{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(state), file)
        temporary.replace(self.state)

    def read(self) -> ServerState | None:
        """None where there is no state, or none that this version understands."""
        try:
            return ServerState(**json.loads(self.state.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
