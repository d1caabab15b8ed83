"""What is wrong with this host: its environment, its disk, its clock, the suites that it holds.

What belongs here: deciding. What does not: measuring (wiring.doctor).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from evalops_core.run.doctor.finding import Finding, failed, ok, skipped, warning

LOW_BYTES, FULL_BYTES = 1_000_000_000, 200_000_000
OFF_S, WRONG_S = 5.0, 60.0
_PREFIX, _ALIKE = "EVALOPS_", 0.75


@dataclass(frozen=True, slots=True)
class Room:
    """A folder, what of it is free in bytes, and whether this user may write there. `what` names it for people."""

    what: str
    path: str
    free: int
    writable: bool


def settings(home: str, unread: Sequence[str], known: Sequence[str]) -> Finding:
    """`unread` are variables that no setting reads, `known` those that one does.

    Only what is nearly the name of a setting is warned of: a service called `evalops` makes Kubernetes set
    EVALOPS_PORT, EVALOPS_SERVICE_HOST and more in every container.
    """
    bare = {name.removeprefix(_PREFIX): name for name in known}
    meant = [(name, get_close_matches(name.removeprefix(_PREFIX), bare, n=1, cutoff=_ALIKE)) for name in unread]
    slips = [f"{name} is no setting, and {bare[near[0]]} is" for name, near in meant if near]
    if slips:
        return warning("settings", "; ".join(slips), "Correct the variable's name, or unset it.")
    return ok("settings", f"can be read; EVALOPS_HOME is {home}")


def disk(rooms: Sequence[Room]) -> Finding:
    said = "; ".join(f"{room.what} {room.path} has {room.free / 1e9:.1f} GB free" for room in rooms)
    shut = [room for room in rooms if not room.writable]
    if shut:
        names = " and ".join(f"{room.what} {room.path}" for room in shut)
        return failed(
            "disk", f"{names} may not be written to", "Give this user the right, or set EVALOPS_HOME or TMPDIR."
        )
    least = min(room.free for room in rooms)
    mend = "Make room, or set EVALOPS_HOME or TMPDIR to a larger disk."
    if least < FULL_BYTES:
        return failed("disk", f"{said}; {FULL_BYTES / 1e6:.0f} MB are needed", mend)
    if least < LOW_BYTES:
        return warning("disk", f"{said}, which is little", mend)
    return ok("disk", said)


def clock(ahead_s: Mapping[str, float]) -> Finding:
    """`ahead_s`: by how many seconds this host's clock is ahead of each other one, by name."""
    if not ahead_s:
        return skipped("clock", "nothing on another host told its time")
    worst = max(ahead_s, key=lambda who: abs(ahead_s[who]))
    off = ahead_s[worst]
    if abs(off) < 0.05:
        return ok("clock", f"this host's clock agrees with that of {', '.join(sorted(ahead_s))}")
    seen = f"this host's clock is {abs(off):.1f} s {'ahead of' if off >= 0 else 'behind'} that of {worst}"
    mend = "Set the clocks of both by NTP: windows, budgets and silences go by them."
    if abs(off) > WRONG_S:
        return failed("clock", seen, mend)
    if abs(off) > OFF_S:
        return warning("clock", seen, mend)
    return ok("clock", seen)


def suites(usable: Sequence[str], broken: Mapping[str, str]) -> list[Finding]:
    """A finding for each suite that cannot be read, or one for all."""
    if broken:
        mend = "Correct the file, then run `evalops suites check`; the other features go on."
        return [failed("suites", f"{feature}: {problem}", mend) for feature, problem in broken.items()]
    number = f"{len(usable)} suite{'' if len(usable) == 1 else 's'}"
    return [ok("suites", f"{number} can be read: {', '.join(usable)}")]


def no_suites(problem: str) -> list[Finding]:
    return [failed("suites", problem, "Set EVALOPS_SUITES to folders with a sub-folder for each feature.")]
