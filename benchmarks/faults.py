"""What a run loses to an endpoint that fails, and to being killed: calls that are paid without need.

What belongs here: faults, kills, and counting what was paid twice. What does not: speed without them (compare).
"""

import sys
import time
from collections import Counter
from collections.abc import Sequence

from benchmarks.bench_site import Site
from benchmarks.compare import ENGINE, Run, run_ours, run_peer
from benchmarks.ledger import Ledger, Value
from benchmarks.peers.catalogue import Peer
from benchmarks.runner import Watch, run_process
from benchmarks.work import FEATURE, Work
from evalops_core.store.engine import make_engine
from evalops_core.store.results import CaseResults
from evalops_core.store.runs import EvalRuns

_FAULTS = {"rate_429": 0.05, "rate_500": 0.02, "rate_reset": 0.01}
_SLACK = 0.02  # calls beyond the faults, as a share of all that are needed


def under_faults(site: Site, ledger: Ledger, work: Work, peers: Sequence[Peer] = ()) -> None:
    """5 % 429 with Retry-After 1, 2 % 500, 1 % connection resets."""
    rows: list[dict[str, Value]] = []
    for name, peer in [(ENGINE, None), *((peer.name, peer) for peer in peers)]:
        site.prepare(work, **_FAULTS)
        run = run_ours(site, work) if peer is None else run_peer(site, work, peer)
        injected = sum(count for outcome, count in site.mock.outcomes().items() if outcome != "ok")
        extra = run.calls - 2 * work.cases
        result = run.usage.result
        scored = result.scored if result else 0
        rows.append({"tool": name, "scored": scored, "faults": injected, "extra calls": extra,
                     "wall s": run.usage.wall_s, "paid twice": run.paid_again})  # fmt: skip
    ledger.table(f"5 % 429, 2 % 500, 1 % resets; {work}", rows)
    ours = rows[0]
    scored, extra, injected = (int(ours[name] or 0) for name in ("scored", "extra calls", "faults"))
    ledger.goal("cases scored under faults", scored, floor=work.cases)
    ledger.goal(
        "calls beyond the faults, % of those needed", 100 * (extra - injected) / 2 / work.cases, limit=100 * _SLACK
    )


def killed(site: Site, ledger: Ledger, work: Work, shares: Sequence[float]) -> None:
    """kill -9 when this share of the calls was made, then the same command again; the worst of all moments counts."""
    rows: list[dict[str, Value]] = []
    for share in shares:
        site.prepare(work)
        run_process(
            [sys.executable, "-m", "benchmarks.ours"],
            site.environment(work),
            site.folder / "killed.log",
            watch=Watch(kill_when=lambda at=share: site.mock.stats()["requests"] >= at * 2 * work.cases),
        )
        _await_silence(site)
        before = len(site.mock.requests())
        stored = _stored(site)
        run = run_ours(site, work)
        again = Counter((entry["kind"], entry["key"]) for entry in site.mock.requests()[before:])
        result = run.usage.result
        rows.append({"killed after": f"{share:.0%}", "stored": len(stored), "stored paid twice": sum(
            again[call] for call in stored), "in all paid twice": run.paid_again, "calls": run.calls,
            "scored": result and result.scored})  # fmt: skip
    ledger.table(f"kill -9, then again; {work}", rows)
    ledger.goal("finished calls paid twice", max(int(row["stored paid twice"] or 0) for row in rows), limit=0)
    ledger.goal("calls lost to a kill", max(int(row["in all paid twice"] or 0) for row in rows), limit=work.in_flight)


def peers_killed(site: Site, ledger: Ledger, work: Work, peers: Sequence[Peer], share: float = 0.5) -> None:
    """The same of the peers, as far as each can go on."""
    rows: list[dict[str, Value]] = []
    for peer in peers:
        site.prepare(work)
        out = _killed_peer(site, work, peer, share)
        result = out.usage.result
        rows.append({"tool": peer.name, "paid twice": out.paid_again, "calls": out.calls,
                     "needed": 2 * work.cases, "scored": result and result.scored})  # fmt: skip
    if rows:
        ledger.table(f"peers, kill -9 after {share:.0%}, then again; {work}", rows)


def _killed_peer(site: Site, work: Work, peer: Peer, share: float) -> Run:
    run_peer(site, work, peer, kill_when=lambda: site.mock.stats()["requests"] >= share * 2 * work.cases)
    _await_silence(site)
    return run_peer(site, work, peer, resume=True)


def _await_silence(site: Site) -> None:
    """Until the mock has noticed that nobody listens any more."""
    deadline = time.monotonic() + 10
    while site.mock.stats()["in_flight"] and time.monotonic() < deadline:
        time.sleep(0.05)


def _stored(site: Site) -> set[tuple[str, str]]:
    """The calls whose results lie in the database, by kind and case."""
    engine = make_engine(site.url)
    try:
        (newest, *_) = EvalRuns(engine).recent(FEATURE, 1)
        results = CaseResults(engine)
        answers = {("generate", row.case_id) for row in results.responses(newest.id)}
        return answers | {("judge", row.case_id) for row in results.scores(newest.id)}
    finally:
        engine.dispose()
