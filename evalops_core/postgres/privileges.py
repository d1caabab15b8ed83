"""As whom the server runs: PostgreSQL refuses root, and refuses data that is not its own user's.

What belongs here: choosing between oneself, a user namespace and another user, and handing files over. What does not:
the system calls (drop_root).
"""

import os
import pwd
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from evalops_core.errors import ConfigError

_DROP_ROOT = (sys.executable, "-I", "-S", str(Path(__file__).with_name("drop_root.py")))
_PROBE_TIMEOUT_S = 60.0
_NOBODY = 65534  # where the system has no user of that name


@dataclass(frozen=True, slots=True)
class Privileges:
    """What goes before a program's name, and the (uid, gid) that must own its files; None where it is one's own."""

    prefix: tuple[str, ...] = ()
    owner: tuple[int, int] | None = None

    def give(self, path: Path) -> None:
        """Hand `path`, and everything in it, to the user that the server runs as."""
        if self.owner is None or path.stat().st_uid == self.owner[0]:
            return
        for folder, _, files in os.walk(path):
            for name in files:
                os.chown(Path(folder, name), *self.owner, follow_symlinks=False)
            os.chown(folder, *self.owner)
        os.chown(path, *self.owner)


ONESELF = Privileges()
NAMESPACE = Privileges((*_DROP_ROOT, "namespace"))


def as_user(uid: int, gid: int, *, entering: bool = False) -> Privileges:
    """To be that user, which only root can; with `entering`, one who may enter folders that are root's alone."""
    return Privileges((*_DROP_ROOT, f"{uid}:{gid}:enter" if entering else f"{uid}:{gid}"), (uid, gid))


def nobody() -> tuple[int, int]:
    """The uid and gid of the user that owns nothing else."""
    try:
        found = pwd.getpwnam("nobody")
    except KeyError:
        return _NOBODY, _NOBODY
    return found.pw_uid, found.pw_gid


def choose_privileges(root: Path, data: Path, binaries: Path) -> Privileges:
    """As whom to run the server on `data`, which need not exist yet, in the existing folder `root`.

    An ordinary user is oneself, in a user namespace if that user has no name. Root is oneself in a user namespace too,
    so that files stay root's; where the kernel allows none (as in most containers) it is `nobody`, to whom `data` is
    then given. Data that is another user's is served as that user. ConfigError where none of these can work.
    """
    owner = data.stat() if data.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise ConfigError(
                f"this database belongs to user id {owner.st_uid}; run as that user, or set EVALOPS_HOME to a folder "
                "of your own",
                file=data,
            )
        return ONESELF if _has_name(os.geteuid()) else _in_namespace(root, binaries)
    rootly = owner is None or owner.st_uid == 0
    if rootly and sys.platform == "linux" and reaches(NAMESPACE, root, binaries):
        return NAMESPACE
    uid, gid = nobody() if owner is None or rootly else (owner.st_uid, owner.st_gid)
    if root.stat().st_uid == 0:
        root.chmod(0o711)  # the server passes through on its way to `data`; what it need not read is 0600
    for candidate in (as_user(uid, gid), as_user(uid, gid, entering=True)):
        if reaches(candidate, root, binaries):
            return candidate
    raise ConfigError(
        f"PostgreSQL does not run as root, and user id {uid} cannot enter this folder, or {binaries}; run as an "
        "ordinary user, or let others enter each folder above (chmod o+x), or set EVALOPS_DATABASE_URL to a server of "
        "your own",
        file=root,
    )


def _in_namespace(root: Path, binaries: Path) -> Privileges:
    if sys.platform == "linux" and reaches(NAMESPACE, root, binaries):
        return NAMESPACE
    raise ConfigError(
        f"PostgreSQL needs a user with a name, and user id {os.geteuid()} has none; add it to /etc/passwd, or set "
        "EVALOPS_DATABASE_URL to a server of your own"
    )


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def reaches(privileges: Privileges, *folders: Path) -> bool:
    """Whether a program can be run under these privileges, and can enter `folders`: tried, for nothing foretells it."""
    return all(
        subprocess.run(
            [*privileges.prefix, "/bin/sh", "-c", 'cd "$1"', "sh", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        ).returncode
        == 0
        for folder in folders
    )
