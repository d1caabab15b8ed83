"""What EvalOps costs besides the model's calls: `make bench`, `make bench-peers`, or one part of either; and `week` and
`soak`, whole deployments for as long as that takes.

What belongs here: which measurements there are, and with how much work each is done. What does not: any of them.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.bench_site import Site, open_site
from benchmarks.compare import compare
from benchmarks.ledger import Ledger, machine
from benchmarks.peers.catalogue import PEERS, Peer, install, version
from benchmarks.work import Work

_SHORT, _USUAL, _LONG = Work(200, 50, 20), Work(1000, 20, 50), Work(5000, 20, 100)


def main() -> None:
    """Measure what was asked for; without a word, one eval run of the engine."""
    parts: dict[str, Callable[[Site, Ledger], None]] = {
        "ours": _ours,
        "run": _whole_run,
        "durable": _durable,
        "faults": _faults,
        "startup": _startup,
        "dev": _dev,
        "constant": _constant,
        "memory": _memory,
    }
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "part", nargs="?", default="engine", choices=["engine", "bench", "peers", "week", "soak", *parts]
    )
    parser.add_argument("--cases", type=int, default=_USUAL.cases)
    parser.add_argument("--latency-ms", type=float, default=_USUAL.latency_ms)
    parser.add_argument("--in-flight", type=int, default=_USUAL.in_flight)
    parser.add_argument("--profile", type=Path, help="engine: cProfile's figures go to this file")
    parser.add_argument("--times", type=int, default=1, help="ours, peers: runs of each")
    parser.add_argument("--peer", action="append", help="peers: this one only; may be repeated")
    parser.add_argument("--install", action="store_true", help="peers: install first what is not there")
    parser.add_argument("--windows", type=int, default=168, help="week: hours")
    parser.add_argument("--runs", type=int, default=500, help="soak: scheduled runs")
    parser.add_argument("--seed", type=int, default=9, help="week: of who is late and what is killed")
    parser.add_argument("--minutes", type=float, default=120, help="week, soak: given up after so many")
    parser.add_argument("-o", "--output", type=Path, help="soak: every figure as one document of JSON")
    parser.add_argument("--json", type=Path, help="append every figure to this file, a line of JSON each")
    chosen = parser.parse_args()
    ledger = Ledger(chosen.json)
    if chosen.part in ("week", "soak"):
        from benchmarks.soak.caller import forget_the_caller

        forget_the_caller()
    work = Work(chosen.cases, chosen.latency_ms, chosen.in_flight)
    with tempfile.TemporaryDirectory() as folder, open_site(Path(folder)) as site:
        if chosen.part == "engine":
            from benchmarks.engine import measure

            print(measure(site, work, chosen.profile))
            return
        ledger.say(machine())
        if chosen.part == "bench":
            for part in (_ours, _whole_run, _durable, _faults, _startup):
                part(site, ledger)
        elif chosen.part == "peers":
            _peers(site, ledger, work, chosen.times, chosen.peer, wanted=chosen.install)
        elif chosen.part == "week":
            from benchmarks.soak.week import week

            week(site, ledger, chosen.windows, chosen.seed, chosen.minutes)
        elif chosen.part == "soak":
            from benchmarks.soak.endurance import soak

            soak(site, ledger, chosen.runs, chosen.minutes, chosen.output)
        elif chosen.part == "ours":
            compare(site, ledger, work, (), chosen.times)
        else:
            parts[chosen.part](site, ledger)
    if ledger.missed:
        sys.exit(f"{ledger.missed} goals were missed")


def _ours(site: Site, ledger: Ledger) -> None:
    for work in (_SHORT, _USUAL, _LONG):
        compare(site, ledger, work, (), 1)


def _whole_run(site: Site, ledger: Ledger) -> None:
    from benchmarks.dagster_run import whole_runs

    whole_runs(site, ledger, (_USUAL,), 1)


def _durable(site: Site, ledger: Ledger) -> None:
    from benchmarks.durable import reply_to_disk, rows_a_second

    reply_to_disk(site, ledger, _USUAL)  # first, before the other's rows keep the disk busy
    rows_a_second(site, ledger)


def _faults(site: Site, ledger: Ledger) -> None:
    from benchmarks.faults import killed, under_faults

    under_faults(site, ledger, _SHORT)
    killed(site, ledger, _SHORT, (0.5,))


def _startup(site: Site, ledger: Ledger) -> None:
    from benchmarks.startup import definitions, help_text

    help_text(site, ledger, 5)
    definitions(site, ledger, 2)


def _dev(_: Site, ledger: Ledger) -> None:
    from benchmarks.startup import ui

    ui(ledger)


def _constant(site: Site, ledger: Ledger) -> None:
    from benchmarks.constant import constant

    constant(site, ledger)


def _memory(site: Site, ledger: Ledger) -> None:
    from benchmarks.memory import memory

    memory(site, ledger)


def _peers(site: Site, ledger: Ledger, work: Work, times: int, names: list[str] | None, *, wanted: bool) -> None:
    """Speed, faults and kills of ours and of those that are there."""
    from benchmarks.faults import peers_killed, under_faults

    there: list[Peer] = []
    for peer in PEERS:
        if names and peer.name not in names:
            continue
        problem = install(peer) if wanted else None
        if problem or not peer.is_there:
            ledger.say(f"{peer.name}: left out, {problem or 'not installed (--install)'}")
        else:
            ledger.say(f"{peer.name} {version(peer)}")
            there.append(peer)
    compare(site, ledger, work, there, times)
    under_faults(site, ledger, _SHORT, there)
    peers_killed(site, ledger, _SHORT, there)


if __name__ == "__main__":
    main()
