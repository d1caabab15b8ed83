import os
import signal
import subprocess
import sys

import pytest

from evalops_dagster.cli.waiting import deaf, interruptible, say

WITHOUT_A_READER = """
import sys
from evalops_dagster.cli.waiting import say
sys.stdin.read()
for _ in range(3):
    say("nobody reads this")
print("went on", file=sys.stderr)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_way_of_ending_a_command_interrupts_it(number: signal.Signals) -> None:
    outside = signal.signal(number, signal.SIG_DFL)  # these tests may have been started by nohup
    try:
        with pytest.raises(KeyboardInterrupt), interruptible():
            signal.raise_signal(number)
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, outside)


def test_a_second_signal_at_once_does_not_cut_the_clean_up_short() -> None:
    cleaned: list[str] = []

    def interrupted_twice() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGTERM)
            cleaned.append("all of it")

    with pytest.raises(KeyboardInterrupt), interruptible():
        interrupted_twice()
    assert cleaned == ["all of it"]


def test_deaf_is_deaf_until_the_end_of_the_block() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with interruptible():
        deaf()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.raise_signal(number)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_background_job_is_interrupted_and_what_nohup_started_stays() -> None:
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGHUP)}
    try:
        with interruptible():
            signal.raise_signal(signal.SIGHUP)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_say_outlives_whoever_reads_it(capfd: pytest.CaptureFixture[str]) -> None:
    say("heard")
    assert capfd.readouterr().out == "heard\n"
    reading, writing = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", WITHOUT_A_READER], stdin=subprocess.PIPE, stdout=writing, stderr=subprocess.PIPE
    ) as process:
        os.close(writing)
        os.close(reading)
        assert process.communicate(timeout=60)[1] == b"went on\n"
    assert process.returncode == 0
