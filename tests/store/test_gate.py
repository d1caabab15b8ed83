import asyncio
import gc
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import Engine, text

from evalops_core.errors import ConfigError, DatabaseError
from evalops_core.postgres.guard import guarded_server
from evalops_core.postgres.server import EmbeddedServer
from evalops_core.store.gate import Gate, GateError, GateHeldError, GateLostError
from evalops_core.store.gate_lock import parse_session_name, session_name
from tests.store.gate_process import PATIENCE_S, TURNSTILE, StruckError, gate_process, heard, pass_through, tell
from tests.store.pooler import transaction_pooler

RUN = "6a7f7e3c-58cb-4b57-9d2f-1f0a44a5d0c1"
NOWHERE = Gate(SecretStr("postgresql://nobody@localhost/nothing"))
SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name LIKE 'evalops-gate:%'"
)
NAMES = SESSIONS.replace("count(*)", "string_agg(application_name, ' ')")


@pytest.fixture
def gate(database_url: SecretStr) -> Gate:
    return Gate(database_url)


def ask(engine: Engine, statement: str) -> object:
    with engine.connect() as connection:
        return connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(statement)).scalar_one_or_none()


def end_session(gate: Gate, engine: Engine) -> None:
    """What an administrator or a fail-over does to the one who holds it."""
    holder = gate.holder()
    assert holder is not None
    ask(engine, f"SELECT pg_terminate_backend({holder.pid})")


def eventually(happens: Callable[[], bool]) -> None:
    """For what nobody announces: the end of a process on the server's side."""
    give_up_at = time.monotonic() + PATIENCE_S
    while not happens():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


# Who holds it


def test_the_holder_is_known_by_run_host_and_time(gate: Gate, engine: Engine) -> None:
    assert gate.holder() is None
    before = datetime.now(timezone.utc) - timedelta(seconds=1)
    with gate.hold(RUN, wait_s=0):
        holder = gate.holder()
        assert holder is not None
        assert (holder.run, holder.since and holder.since.utcoffset()) == (RUN, timedelta(0))
        assert holder.since is not None
        assert before <= holder.since <= datetime.now(timezone.utc)
        assert ask(engine, NAMES) == session_name(RUN, socket.gethostname()) == f"evalops-gate:{RUN}@{holder.host}"
    assert gate.holder() is None


def test_since_is_when_it_was_taken_and_not_when_waiting_began(gate: Gate, engine: Engine) -> None:
    with ThreadPoolExecutor() as pool, gate.hold("first", wait_s=0):
        waiting, go = threading.Event(), threading.Event()

        def second() -> datetime | None:
            with gate.hold("second", wait_s=PATIENCE_S, said=lambda _: waiting.set()):
                go.wait(PATIENCE_S)
                holder = gate.holder()
                return holder and holder.since

        taken = pool.submit(second)
        assert waiting.wait(PATIENCE_S)
        ask(engine, "SELECT pg_sleep(1.1)")  # the time of taking is kept to the second
        free = ask(engine, "SELECT date_trunc('second', clock_timestamp())")
        end_session(gate, engine)
        go.set()
        since = taken.result(PATIENCE_S)
    assert isinstance(free, datetime)
    assert since is not None
    assert since >= free


def test_another_role_sees_the_holder_too(gate: Gate, engine: Engine) -> None:
    with engine.connect() as connection, gate.hold(RUN, wait_s=0):
        connection.execute(text("CREATE ROLE gate_reader"))
        connection.execute(text("SET LOCAL ROLE gate_reader"))
        hidden = "SELECT backend_start IS NULL FROM pg_stat_activity WHERE application_name LIKE 'evalops-gate:%'"
        assert connection.execute(text(hidden)).scalar_one()
        stamp = "SELECT to_timestamp(CAST(objid AS bigint)) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2"
        seen = connection.execute(text(stamp)).scalar_one()
        holder = gate.holder()
        assert holder is not None
        assert seen == holder.since


def test_a_lock_taken_by_hand_is_a_holder_without_a_run(gate: Gate, engine: Engine) -> None:
    with gate.hold(RUN, wait_s=0):
        key = ask(
            engine,
            "SELECT (CAST(classid AS bigint) << 32) | CAST(objid AS bigint) FROM pg_locks"
            " WHERE locktype = 'advisory' AND objsubid = 1",
        )
    with engine.connect() as by_hand:
        by_hand.execute(text(f"SELECT pg_advisory_lock({key})"))
        holder = gate.holder()
        assert holder is not None
        assert (holder.run, holder.host) == (None, None)
        with (
            pytest.raises(GateHeldError, match="by a session that is not an eval run's since"),
            gate.hold(RUN, wait_s=0),
        ):
            pass


def test_runs_that_hold_or_wait_are_present(gate: Gate) -> None:
    waiting, leave = threading.Event(), threading.Event()

    def wait() -> None:
        with gate.hold("second", wait_s=PATIENCE_S, said=lambda _: waiting.set()):
            leave.wait(PATIENCE_S)

    with ThreadPoolExecutor() as pool:
        with gate.hold("first", wait_s=0):
            second = pool.submit(wait)
            assert waiting.wait(PATIENCE_S)
            assert gate.runs_present() == {"first", "second"}
        leave.set()
        second.result(PATIENCE_S)
    assert gate.runs_present() == set()


printable = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="@"), min_size=1)


@given(printable.filter(lambda run: len(run) <= 40), st.text())
def test_any_run_is_read_back_from_a_session_name_that_fits(run: str, host: str) -> None:
    name = session_name(run, host)
    assert len(name.encode()) <= 63
    parsed = parse_session_name(name)
    assert parsed is not None
    assert parsed[0] == run


def test_of_a_long_host_name_the_end_is_kept() -> None:
    assert session_name(RUN, "worker-1.example.org") == f"evalops-gate:{RUN}@worker-1"
    assert session_name(RUN, "evalops-run-5b7d9c-x2k4p") == f"evalops-gate:{RUN}@~5b7d9c-x2k4p"


@pytest.mark.parametrize("run", ["", "a@b", "a b", "ä", "x" * 41, "a\nb"])
def test_a_run_that_cannot_be_named_is_refused(run: str) -> None:
    with pytest.raises(ValueError, match="a run's id is"), NOWHERE.hold(run, wait_s=0):
        pass


# Waiting


def test_when_the_wait_is_over_the_holder_is_named(gate: Gate) -> None:
    said: list[str] = []
    with gate.hold(RUN, wait_s=0):
        holder = gate.holder()
        with (
            pytest.raises(GateHeldError) as refused,
            gate.hold("other", wait_s=0.3, said=said.append),
        ):
            pass
    assert holder is not None
    assert refused.value.holder == holder
    for told in (str(refused.value), *said):
        assert f"held by run {RUN} on {holder.host} since {holder.since:%Y-%m-%d %H:%M:%S} UTC" in told
    assert len(said) == 1


def test_nobody_is_told_of_a_wait_that_does_not_happen(gate: Gate) -> None:
    said: list[str] = []
    with gate.hold(RUN, wait_s=60, said=said.append):
        pass
    assert said == []


def test_a_hold_inside_a_hold_waits_like_any_other(gate: Gate) -> None:
    with gate.hold("outer", wait_s=0):
        with pytest.raises(GateHeldError, match="by run outer"), gate.hold("inner", wait_s=0):
            pass
        holder = gate.holder()
        assert holder is not None
        assert holder.run == "outer"


def test_gates_of_two_names_do_not_block_each_other(database_url: SecretStr) -> None:
    one, other = Gate(database_url, "one"), Gate(database_url, "other")
    with one.hold("a", wait_s=0), other.hold("b", wait_s=0):
        holders = one.holder(), other.holder()
        assert [holder and holder.run for holder in holders] == ["a", "b"]


@pytest.mark.parametrize("wait_s", [-1, float("nan"), float("inf")])
def test_a_wait_without_bounds_is_refused(wait_s: float) -> None:
    with pytest.raises(ValueError, match="a wait is"), NOWHERE.hold(RUN, wait_s=wait_s):
        pass


def test_one_whose_listener_fails_leaves_the_queue(gate: Gate, engine: Engine) -> None:
    def fail(_sentence: str) -> None:
        raise BrokenPipeError

    with gate.hold(RUN, wait_s=0), pytest.raises(BrokenPipeError), gate.hold("other", wait_s=PATIENCE_S, said=fail):
        pass
    eventually(lambda: ask(engine, SESSIONS) == 0)


def test_a_database_that_is_not_there_is_told_as_such() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        gate = Gate(SecretStr(f"postgresql://someone:hunter2@127.0.0.1:{taken.getsockname()[1]}/evals"))
        with pytest.raises(DatabaseError, match="cannot connect to database evals"), gate.hold(RUN, wait_s=5):
            pass


@pytest.mark.parametrize("sessions", [1, 2])
def test_a_pooler_in_transaction_mode_is_refused_and_keeps_no_lock(
    gate: Gate, database_url: SecretStr, sessions: int
) -> None:
    with (
        transaction_pooler(database_url, sessions) as pooled,
        pytest.raises(GateError, match="a pooler that shares them between transactions"),
        Gate(pooled).hold(RUN, wait_s=5),
    ):
        pass
    with gate.hold(RUN, wait_s=PATIENCE_S):
        pass


# One at a time


def test_64_threads_and_8_processes_pass_one_at_a_time_and_all_of_them_do(
    gate: Gate, database_url: SecretStr, engine: Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(text(TURNSTILE))
    with ExitStack() as processes, ThreadPoolExecutor(64) as threads:
        contenders = [
            processes.enter_context(gate_process(database_url, "contend", f"process-{number}")) for number in range(8)
        ]
        assert {heard(process) for process in contenders} == {"ready"}
        for process in contenders:
            tell(process)
        passing = [threads.submit(pass_through, gate, engine, f"thread-{number}") for number in range(64)]
        for passage in passing:
            passage.result()
        assert {heard(process) for process in contenders} == {"served"}
    with engine.connect() as connection:
        passages = connection.execute(text("SELECT who, what, met FROM passages ORDER BY id")).all()
    expected = {f"thread-{number}" for number in range(64)}
    expected |= {f"process-{number}-{time}" for number in range(8) for time in range(3)}
    assert sorted(passage.who for passage in passages[::2]) == sorted(expected)
    assert [passage.who for passage in passages[::2]] == [passage.who for passage in passages[1::2]]
    assert {(passage.what, passage.met) for passage in passages} == {("in", 0), ("out", None)}


# Letting go


@pytest.mark.parametrize("error", [ConfigError("bad suite"), KeyboardInterrupt(), SystemExit(1), StruckError()])
def test_whatever_is_raised_in_the_block_comes_out_and_the_gate_is_free(
    gate: Gate, engine: Engine, error: BaseException
) -> None:
    with pytest.raises(type(error)) as raised, gate.hold(RUN, wait_s=0):
        raise error
    assert raised.value is error
    assert gate.holder() is None
    eventually(lambda: ask(engine, SESSIONS) == 0)


def test_a_cancelled_task_leaves_the_gate_free(gate: Gate) -> None:
    async def work(inside: asyncio.Event) -> None:
        with gate.hold(RUN, wait_s=0):
            inside.set()
            await asyncio.Event().wait()

    async def cancel() -> None:
        inside = asyncio.Event()
        task = asyncio.create_task(work(inside))
        await inside.wait()
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel())
    assert gate.holder() is None


def test_a_hold_that_is_dropped_is_let_go_of(gate: Gate) -> None:
    dropped = gate.hold(RUN, wait_s=0)
    held = dropped.__enter__()
    del dropped
    gc.collect()
    eventually(lambda: gate.holder() is None)
    with pytest.raises(GateLostError, match="let go of"):
        held.ensure()


def test_after_the_block_it_is_not_held_any_more(gate: Gate) -> None:
    with gate.hold(RUN, wait_s=0) as held:
        held.ensure()
        held.verify()
    for asked in (held.ensure, held.verify):
        with pytest.raises(GateLostError, match="let go of"):
            asked()


def test_an_interruption_at_any_instant_leaves_the_gate_free(database_url: SecretStr, engine: Engine) -> None:
    with gate_process(database_url, "interrupted", RUN) as process:
        word, before, inside = heard(process).split()
        assert word == "free"
        assert int(before) > 0
        assert int(inside) > 0
        assert process.wait(PATIENCE_S) == 0
    eventually(lambda: ask(engine, SESSIONS) == 0)


def test_one_that_is_interrupted_while_it_waits_leaves_the_queue(
    gate: Gate, database_url: SecretStr, engine: Engine
) -> None:
    with gate.hold("first", wait_s=0) as held, gate_process(database_url, "hold-until-struck", RUN) as process:
        assert heard(process).startswith("waiting up to 60 s for the gate, which is held by run first")
        process.send_signal(signal.SIGTERM)
        assert heard(process).startswith("struck run first")
        assert gate.runs_present() == {"first"}
        held.verify()


@pytest.mark.parametrize("thing", ["hold", "query"])
def test_kill_9_frees_it(gate: Gate, database_url: SecretStr, thing: str) -> None:
    with gate_process(database_url, thing, RUN) as process:
        assert heard(process) == "held"
        holder = gate.holder()
        assert holder is not None
        assert holder.run == RUN
        process.kill()
        with gate.hold("next", wait_s=PATIENCE_S):
            pass


def test_sigterm_frees_it_with_and_without_a_handler(gate: Gate, database_url: SecretStr) -> None:
    with gate_process(database_url, "hold", RUN) as plain:
        assert heard(plain) == "held"
        with gate_process(database_url, "hold-until-struck", RUN) as handling:
            assert heard(handling).startswith("waiting")
            plain.terminate()
            assert plain.wait(PATIENCE_S) == -signal.SIGTERM
            assert heard(handling) == "held"
            handling.terminate()
            assert heard(handling) == "struck None"


def test_a_forked_child_neither_frees_it_nor_keeps_it(gate: Gate, database_url: SecretStr) -> None:
    with gate_process(database_url, "fork", RUN) as parent:
        error, child = heard(parent).split()
        assert error == "GateLostError"
        holder = gate.holder()
        assert holder is not None
        assert holder.run == RUN
        os.kill(parent.pid, signal.SIGKILL)
        with gate.hold("next", wait_s=PATIENCE_S):
            os.kill(int(child), 0)  # it is still there


# Losing it


def test_a_session_ended_by_the_server_is_a_lost_gate(gate: Gate, engine: Engine) -> None:
    with gate.hold(RUN, wait_s=0) as held:
        end_session(gate, engine)
        with gate.hold("next", wait_s=PATIENCE_S) as next_one:
            with pytest.raises(GateLostError, match="lost the connection to database"):
                held.verify()
            with pytest.raises(GateLostError, match="another run may hold it by now"):
                held.ensure()
            next_one.verify()


def test_the_loss_is_noticed_without_asking(gate: Gate, engine: Engine) -> None:
    with gate.hold(RUN, wait_s=0) as held:
        end_session(gate, engine)

        def noticed() -> bool:
            try:
                held.ensure()
            except GateLostError:
                return True
            return False

        eventually(noticed)


def test_a_gate_lost_amid_an_error_does_not_hide_the_error(gate: Gate, engine: Engine) -> None:
    def fail() -> None:
        with gate.hold(RUN, wait_s=0):
            end_session(gate, engine)
            raise ConfigError("bad suite")

    with pytest.raises(ConfigError, match="bad suite"):
        fail()
    assert gate.holder() is None


def test_a_restart_of_the_database_is_a_lost_gate_and_the_next_one_works(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    with guarded_server(tmp_path) as started:
        gate = Gate(started.url)
        with gate.hold(RUN, wait_s=0) as held:
            assert server.stop()
            with pytest.raises(GateLostError):
                held.verify()
            assert server.start(keep=False).port == started.port
            with pytest.raises(GateLostError):
                held.ensure()
            with gate.hold("next", wait_s=PATIENCE_S) as next_one:
                next_one.verify()


def test_a_clock_that_goes_back_is_no_lost_gate(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    with gate.hold(RUN, wait_s=0) as held:
        read = time.time
        monkeypatch.setattr(time, "time", lambda: read() - 3600)
        held.ensure()
        monkeypatch.undo()
        held.ensure()
