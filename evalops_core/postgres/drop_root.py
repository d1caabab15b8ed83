"""Run as a program: be another user, then become the program named in the arguments.

What belongs here: the system calls between two programs. What does not: which way is taken (privileges). It runs under
`python -I -S`, so it imports the standard library only.

    drop_root.py namespace PROGRAM [ARGUMENT …]       nobody, in a user namespace; the caller's own uid outside (Linux)
    drop_root.py UID:GID PROGRAM [ARGUMENT …]         that user
    drop_root.py UID:GID:enter PROGRAM [ARGUMENT …]   that user, who may still enter every folder (Linux)
"""

import ctypes
import os
import pwd
import sys
from pathlib import Path

_CLONE_NEWUSER = 0x10000000
_NOBODY = 65534
_PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 8, 47, 2
_CAPABILITY_VERSION_3, _CAP_DAC_OVERRIDE = 0x20080522, 1


def enter_namespace() -> None:
    """Seem to be nobody: PostgreSQL sees a user with a name who is not root; what it writes is the caller's own."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        inside = pwd.getpwnam("nobody").pw_uid
    except KeyError:
        inside = _NOBODY
    _call("unshare", _CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{inside} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{inside} {gid} 1")


def become(uid: int, gid: int) -> None:
    """Become that user for good, without root's groups."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def become_and_enter(uid: int, gid: int) -> None:
    """Become that user but keep, over `exec` too, the one capability that opens folders which are root's alone."""
    _call("prctl", _PR_SET_KEEPCAPS, 1, 0, 0, 0)
    become(uid, gid)
    kept = 1 << _CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    effective_permitted_inheritable = (ctypes.c_uint32 * 6)(kept, kept, kept, 0, 0, 0)
    _call("capset", header, effective_permitted_inheritable)
    _call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def _call(name: str, *arguments: object) -> None:
    if ctypes.CDLL(None, use_errno=True)[name](*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def main(way: str, command: list[str]) -> None:
    """Go that way, then be `command`."""
    if way == "namespace":
        enter_namespace()
    elif way.endswith(":enter"):
        become_and_enter(*map(int, way.split(":")[:2]))
    else:
        become(*map(int, way.split(":")))
    os.execv(command[0], command)  # noqa: S606 (the programs are our own caller's)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
