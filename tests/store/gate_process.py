"""A process that does one thing with the gate: `python -m tests.store.gate_process THING RUN`.

The database's URL is the first line of its input, so that no process list shows it. What has happened is told in
lines, and where a test is to decide when it goes on, it waits for a line.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from pydantic import SecretStr
from sqlalchemy import Engine, text

from evalops_core.store.direct import DirectSession
from evalops_core.store.engine import make_engine
from evalops_core.store.gate import Gate
from evalops_core.store.gate_lock import GateLock, session_name

PATIENCE_S = 60


class StruckError(BaseException):
    """What Dagster raises out of a signal handler, in the same way."""


@contextmanager
def gate_process(url: SecretStr, thing: str, run: str) -> "Generator[subprocess.Popen[str]]":
    """The process, killed at the end of the block if it is still there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.store.gate_process", thing, run],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    try:
        tell(process, url.get_secret_value())
        yield process
    finally:
        process.kill()
        process.communicate()


def tell(process: "subprocess.Popen[str]", line: str = "") -> None:
    assert process.stdin
    process.stdin.write(line + "\n")
    process.stdin.flush()


def heard(process: "subprocess.Popen[str]") -> str:
    """The next line; empty after the last."""
    assert process.stdout
    return process.stdout.readline().rstrip("\n")


TURNSTILE = """
    CREATE TABLE inside (who text NOT NULL);
    CREATE TABLE passages (id bigint GENERATED ALWAYS AS IDENTITY, who text NOT NULL, what text NOT NULL, met bigint)
"""


def pass_through(gate: Gate, engine: Engine, run: str) -> None:
    """Once through the gate, leaving a trace of who was inside already."""
    with gate.hold(run, wait_s=PATIENCE_S) as held:
        with engine.begin() as connection:
            connection.execute(
                text("INSERT INTO passages (who, what, met) SELECT :who, 'in', count(*) FROM inside"), {"who": run}
            )
            connection.execute(text("INSERT INTO inside VALUES (:who)"), {"who": run})
        held.ensure()
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM inside WHERE who = :who"), {"who": run})
            connection.execute(text("INSERT INTO passages (who, what) VALUES (:who, 'out')"), {"who": run})


def _say(*words: object) -> None:
    print(*words, flush=True)


def _hold(url: SecretStr, run: str) -> None:
    with Gate(url).hold(run, wait_s=PATIENCE_S, said=_say) as held:
        _say("held")
        sys.stdin.readline()
        held.verify()
    _say("left")


def _hold_until_struck(url: SecretStr, run: str) -> None:
    def strike(_signal: int, _frame: FrameType | None) -> None:
        raise StruckError

    signal.signal(signal.SIGTERM, strike)
    try:
        _hold(url, run)
    except StruckError:
        _say("struck", Gate(url).holder())
    sys.stdin.readline()


def _query(url: SecretStr, run: str) -> None:
    session = DirectSession(url, session_name(run, "here"))
    GateLock("evalops").take(session)
    session.row("SELECT set_config('statement_timeout', '0', false)")
    _say("held")
    session.row("SELECT pg_sleep(600)")


def _contend(url: SecretStr, run: str) -> None:
    gate, engine = Gate(url), make_engine(url, pool_size=1)
    _say("ready")
    sys.stdin.readline()
    for number in range(3):
        pass_through(gate, engine, f"{run}-{number}")
    _say("served")


def _fork(url: SecretStr, run: str) -> None:
    """One child leaves the block by itself and ends; another stays behind when this process has gone."""
    with Gate(url).hold(run, wait_s=PATIENCE_S) as held:
        leaving = os.fork()
        if leaving == 0:
            sys.exit("the child that leaves the block")
        os.waitpid(leaving, 0)
        held.verify()
        staying = os.fork()
        if staying == 0:
            try:
                held.ensure()
            except Exception as error:  # noqa: BLE001  # told to the test, which knows which one it has to be
                _say(type(error).__name__, os.getpid())
            os.read(0, 1)
            os._exit(0)
        os.waitpid(staying, 0)


def _interrupted(url: SecretStr, run: str) -> None:
    """Struck at a random instant, and again half a millisecond later, over and over; never leaves the gate shut."""
    strikes = 0

    def strike(_signal: int, _frame: FrameType | None) -> None:
        nonlocal strikes
        strikes += 1
        if strikes == 2:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if strikes <= 2:
            raise StruckError

    signal.signal(signal.SIGALRM, strike)
    gate, before, inside, began = Gate(url), 0, 0, time.monotonic()
    with gate.hold(run, wait_s=PATIENCE_S):
        took = time.monotonic() - began  # so that about half of the strikes come before it is held, on any machine
    for _ in range(40):
        strikes, entered = 0, False
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(0.001, min(2 * took, 1.0)), 0.0005)
                with gate.hold(run, wait_s=PATIENCE_S):
                    entered = True
                    time.sleep(PATIENCE_S)
            except StruckError:
                while strikes < 2:
                    time.sleep(0.001)
        except StruckError:
            pass
        before, inside = before + (not entered), inside + entered
        with gate.hold("next", wait_s=PATIENCE_S):
            pass
    _say("free", before, inside)


if __name__ == "__main__":
    things = {
        "hold": _hold,
        "hold-until-struck": _hold_until_struck,
        "query": _query,
        "contend": _contend,
        "fork": _fork,
        "interrupted": _interrupted,
    }
    things[sys.argv[1]](SecretStr(sys.stdin.readline().strip()), sys.argv[2])
