"""The model server process, from loading the models to its end.

What belongs here: what runs inside the process. What does not: starting, finding and stopping it (process).
"""

import asyncio
import contextlib
import fcntl
import os
import secrets
import signal
import time
from pathlib import Path

import psutil
from aiohttp import web

from evalops_core.errors import ConfigError
from evalops_core.providers.local_model.engine import ChatEngine, EmbeddingEngine
from evalops_core.providers.local_model.files import require_files
from evalops_core.providers.local_model.request_log import RequestLog
from evalops_core.providers.local_model.runtime import fingerprint, require_runtime
from evalops_core.providers.local_model.server import ModelApp
from evalops_core.providers.local_model.state import LINGER_S, ServerState, StatePaths


def serve(
    root: Path,
    *,
    engines: int,
    owner_pid: int | None = None,
    linger_s: float = LINGER_S,
    ready_fd: int | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT, or until the process `owner_pid` is gone and nobody has asked for `linger_s`.

    Holds the lock on the pid file for its whole life, which is what tells others that it lives. `ready_fd` gets one
    line as soon as requests are answered. ConfigError: a missing runtime, bad files, or another server in this folder.
    """
    paths = StatePaths(root)
    paths.folder.mkdir(parents=True, exist_ok=True)
    require_runtime()
    descriptor = os.open(paths.pid, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ConfigError(f"another model server is running in {root}; `evalops model stop` ends it") from None
    # Never closed: the lock must last until the process, engines and all, is really gone.
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    try:
        asyncio.run(_serve(root, paths, engines, owner_pid, linger_s, ready_fd))
    finally:
        paths.state.unlink(missing_ok=True)


async def _serve(
    root: Path, paths: StatePaths, engines: int, owner_pid: int | None, linger_s: float, ready_fd: int | None
) -> None:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads of the engines must not burn a core
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    files = require_files(root)
    token, engine_key = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    log = RequestLog(paths.requests)
    app = ModelApp(
        [ChatEngine(files.chat, api_key=engine_key) for _ in range(engines)],
        EmbeddingEngine(files.embedding, files.tokenizer),
        engine_key=engine_key,
        token=token,
        fingerprint=fingerprint(),
        log=log,
    )
    # Without handler_cancellation a generation would go on after its client has left.
    runner = web.AppRunner(app.application(), handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port: int = runner.addresses[0][1]
        state = ServerState(
            pid=os.getpid(),
            create_time=psutil.Process().create_time(),
            port=port,
            token=token,
            fingerprint=fingerprint(),
            engines=engines,
            started_at=time.time(),
        )
        paths.write(state)
        if ready_fd is not None:
            with contextlib.suppress(BrokenPipeError):  # who started us has gone; the next one adopts us
                os.write(ready_fd, b"ready\n")
            os.close(ready_fd)
        await _until(stopped, owner_pid, linger_s, log)
    finally:
        await runner.cleanup()


async def _until(stopped: asyncio.Event, owner_pid: int | None, linger_s: float, log: RequestLog) -> None:
    """Until told to stop, or the owner is gone and nobody else has asked for anything in `linger_s`."""
    owner = psutil.Process(owner_pid) if owner_pid is not None and psutil.pid_exists(owner_pid) else None
    while not stopped.is_set():
        abandoned = owner_pid is not None and (owner is None or not owner.is_running())
        if abandoned and log.quiet_s() >= linger_s:
            return
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stopped.wait(), timeout=None if owner_pid is None else 1.0)
