"""What keeps Dagster from evaluating by itself: its storage, its daemon, the schedules.

What belongs here: deciding, of facts without any of Dagster's types. What does not: reading them (evalops_dagster).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evalops_core.run.doctor.finding import Finding, failed, ok, skipped, warning

DAGSTER_CHECKS = ("dagster", "daemon", "schedule")
SILENT_S = 300.0  # each daemon shows itself every 30 s; Dagster's own UI waits 1,800 s before it says so


@dataclass(frozen=True, slots=True)
class Background:
    """`pools` are missing ones; `silent_s` is for how long each daemon has not shown itself, in seconds, and `failing`
    those whose last round raised. `schedules` are the eval schedules that are switched on.
    """

    found: str
    needed: str
    pools: Sequence[str] = ()
    silent_s: Mapping[str, float] = field(default_factory=dict[str, float])
    failing: Sequence[str] = ()
    schedules: Sequence[str] = ()


def no_tables() -> list[Finding]:
    seen = "Dagster has no tables yet; the first of its processes makes them"
    return [skipped("dagster", seen), *(skipped(name, "Dagster has not run yet") for name in DAGSTER_CHECKS[1:])]


def out_of_reach(problem: str | None) -> list[Finding]:
    """`problem` is the error's sentence, None where the eval store's database, which holds its tables, failed."""
    others = [skipped(name, "Dagster's storage cannot be asked") for name in DAGSTER_CHECKS[1:]]
    if problem is None:
        return [skipped("dagster", "its tables are in the database, which cannot be asked"), *others]
    mend = "Correct EVALOPS_DAGSTER_DATABASE_URL (without it, EVALOPS_DATABASE_URL), or start that server."
    return [failed("dagster", problem, mend), *others]


def refused(problem: str) -> list[Finding]:
    """Where the role may not read Dagster's tables; `problem` is the server's sentence."""
    others = [skipped(name, "Dagster's storage cannot be asked") for name in DAGSTER_CHECKS[1:]]
    mend = "Give the role the rights on Dagster's schema that its tables' owner has."
    return [failed("dagster", f"its tables cannot be read: {problem}", mend), *others]


def background(seen: Background, *, enabled: bool) -> list[Finding]:
    """`enabled` is whether EVALOPS_SCHEDULED_ENABLED is on here."""
    daemon = _daemon(seen)
    return [_storage(seen), daemon, _schedule(seen, enabled=enabled, daemon_lives=daemon.status == "ok")]


def _storage(seen: Background) -> Finding:
    if seen.found != seen.needed:
        return warning(
            "dagster",
            f"Dagster's tables are at {seen.found}, and the installed version's are at {seen.needed}",
            "Stop Dagster, run `dagster instance migrate`, start it again.",
        )
    if seen.pools:
        orders = "; ".join(f"`dagster instance concurrency set {pool} 1`" for pool in seen.pools)
        return warning("dagster", f"there is no pool {', '.join(seen.pools)}, for which runs queue", f"Run {orders}.")
    return ok("dagster", "its storage answers, and has the pools that runs queue for")


def _daemon(seen: Background) -> Finding:
    mend = "Start `dagster-daemon run` (or `evalops dev`), one for each Dagster storage."
    if not seen.silent_s:
        return warning(
            "daemon", "no daemon has ever run on this storage: no schedule, sensor, queue or mail works", mend
        )
    longest = max(seen.silent_s, key=lambda name: seen.silent_s[name])
    silent_s = seen.silent_s[longest]
    if silent_s > SILENT_S:
        return warning("daemon", f"the daemon's {longest} has not shown itself for {_span(silent_s)}", mend)
    if seen.failing:
        return warning("daemon", f"the daemon's {', '.join(seen.failing)} failed in its last round", "Read its log.")
    return ok("daemon", f"every part of it showed itself in the last {_span(max(silent_s, 1.0))}")


def _schedule(seen: Background, *, enabled: bool, daemon_lives: bool) -> Finding:
    on = ", ".join(seen.schedules)
    enable = "Set EVALOPS_SCHEDULED_ENABLED=true where Dagster's code server runs"
    if not seen.schedules and not enabled:
        return skipped("schedule", "nothing is evaluated by itself: schedules are off, as they are by default")
    if not enabled:
        return warning(
            "schedule",
            f"{on} is switched on, but EVALOPS_SCHEDULED_ENABLED is off here, so no tick starts a run",
            f"{enable}, or switch the schedule off.",
        )
    if not seen.schedules:
        return warning(
            "schedule",
            "EVALOPS_SCHEDULED_ENABLED is on, but no eval schedule is switched on",
            "Switch on `eval_schedule` in the UI, under Automation.",
        )
    if not daemon_lives:
        return warning(
            "schedule", f"{on} is switched on, but the daemon that ticks is not well", "Mend the daemon first."
        )
    return ok("schedule", f"{on} is switched on, and EVALOPS_SCHEDULED_ENABLED is on here")


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
