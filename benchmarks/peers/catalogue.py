"""Which peers there are, how each is installed and how it is started.

What belongs here: names, packages, commands. What does not: measuring (benchmarks.compare). Everything lies in
BENCH_HOME, or in `evalops-bench` of the user's cache folder; nothing of it is ever part of this project's environment.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_NODE = ("node@22", "promptfoo")  # promptfoo wants a newer Node than most machines have


@dataclass(frozen=True)
class Peer:
    """`packages` are pip's, none where it is installed by npm; `module` is its script."""

    name: str
    module: str
    packages: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return bench_home() / self.name

    @property
    def is_there(self) -> bool:
        return (self.folder / ("bin/python" if self.packages else "node_modules/promptfoo")).exists()

    def command(self) -> list[str]:
        python = self.folder / "bin" / "python" if self.packages else Path(sys.executable)
        return [str(python), "-m", f"benchmarks.peers.{self.module}"]


PEERS = (
    Peer("promptfoo", "promptfoo_peer"),
    Peer("pydantic-evals", "pydantic_evals_peer", ("pydantic-evals", "pydantic-ai-slim[openai,retries]")),
    Peer("inspect-ai", "inspect_peer", ("inspect-ai", "openai")),
    Peer("deepeval", "deepeval_peer", ("deepeval", "openai")),
)


def bench_home() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Path(os.environ.get("BENCH_HOME") or cache / "evalops-bench")


def install(peer: Peer) -> str | None:
    """What is missing; the reason where it cannot be had: one peer less is no reason to measure none."""
    if peer.is_there:
        return None
    peer.folder.mkdir(parents=True, exist_ok=True)
    try:
        if peer.packages:
            _run([sys.executable, "-m", "venv", str(peer.folder)], peer.folder)
            _run([str(peer.folder / "bin" / "pip"), "install", "-q", *peer.packages], peer.folder)
        else:
            _run(["npm", "init", "-y"], peer.folder)
            for package in _NODE:  # Node first: npm runs with it what comes after
                _run(["npm", "install", "--no-audit", "--no-fund", package], peer.folder)
    except (OSError, subprocess.CalledProcessError) as error:
        return str(error)
    return None


def version(peer: Peer) -> str:
    """As installed."""
    if peer.packages:
        ask = f"import importlib.metadata as m; print(m.version('{peer.name}'))"
        command = [str(peer.folder / "bin" / "python"), "-c", ask]
    else:
        found = peer.folder / "node_modules" / "promptfoo" / "package.json"
        command = [sys.executable, "-c", f"import json; print(json.load(open({str(found)!r}))['version'])"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _run(command: list[str], folder: Path) -> None:
    path = f"{folder / 'node_modules' / '.bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    said = subprocess.DEVNULL if command[0] == "npm" else None
    subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, check=True, stdout=said)
