"""What is wrong with the eval store: whether it is reached, its schema, the role's rights, the gate.

What belongs here: deciding. What does not: reading it (store.condition, store.schema), taking the gate (store.gate).
"""

from evalops_core.run.doctor.finding import Finding, failed, ok, skipped, warning
from evalops_core.store.condition import Condition

DATABASE_CHECKS = ("database", "schema", "rights", "lock")
_URL = "EVALOPS_DATABASE_URL"
_HINTS = (  # libpq's and the server's words, and what they ask for
    ("authentication failed", f"Correct user and password in {_URL}."),
    ("no password supplied", f"Put the password into {_URL}, or into ~/.pgpass."),
    ("no pg_hba.conf entry", "Allow this host and role in the server's pg_hba.conf, or connect with sslmode=require."),
    (': role "', f"Create the role, or correct the user in {_URL}."),
    (': database "', f"Create the database, or correct its name in {_URL}."),
    ("too many clients", "Raise max_connections of the server, or end what keeps connections open."),
    ("remaining connection slots", "Raise max_connections of the server, or end what keeps connections open."),
    ("translate host name", f"Correct the host in {_URL}."),
)
_DIRECT = (
    "Give the address of the server itself, or of a pool in session mode, in EVALOPS_LOCK_DATABASE_URL, or in "
    f"{_URL} for everything."
)


def unreachable(problem: str, *, embedded: bool) -> list[Finding]:
    """Findings of all checks of the database where it cannot be asked; `problem` is the error's sentence."""
    if embedded:
        mend = f"Read postgres/server.log in EVALOPS_HOME, or set {_URL} to a server of your own."
    else:
        known = (mend for words, mend in _HINTS if words in problem)
        mend = next(known, f"Start the server, or correct host and port in {_URL}.")
    others = [skipped(name, "the database cannot be asked") for name in DATABASE_CHECKS[1:]]
    return [failed("database", problem, mend), *others]


def reached(seen: Condition, *, embedded: bool) -> Finding:
    what = f"PostgreSQL {seen.version}, database {seen.database} at {seen.host}, as role {seen.role}"
    what = f"the embedded {what}" if embedded else what
    if seen.read_only:
        mend = f"Let {_URL} lead to the primary server, and the role write there."
        return failed("database", f"{what}, takes no writes: a standby, or read-only", mend)
    return ok("database", what)


def schema(found: str | None, needed: str, *, embedded: bool) -> Finding:
    """`found` is the schema's revision, None where there are no tables. Revisions sort by their numbers."""
    if found == needed:
        return ok("schema", f"at {needed}, as this version needs it")
    if found is not None and found > needed:
        return failed(
            "schema",
            f"at {found}, which is newer than this version of EvalOps, which needs {needed}",
            "Install the version of EvalOps that ran `evalops db upgrade`, or a later one.",
        )
    state = "there are no EvalOps tables yet" if found is None else f"at {found}, and {needed} is needed"
    if embedded:
        return ok("schema", f"{state}; whatever uses the embedded database next brings it to {needed}")
    return failed("schema", state, "Run `evalops db upgrade`.")


def unreadable_schema(problem: str) -> Finding:
    """Where the server refuses to say which revision it is at; `problem` is its sentence."""
    return failed("schema", f"its revision cannot be read: {problem}", "Give the role its rights: see the next check.")


def rights(seen: Condition, *, embedded: bool) -> Finding:
    if seen.usage is None:
        return skipped("rights", "there is no schema evalops yet")
    if not seen.usage:
        return failed(
            "rights",
            f"role {seen.role} may not look into schema evalops",
            f"As the schema's owner: GRANT USAGE ON SCHEMA evalops TO {seen.role};",
        )
    if seen.lacking:
        missing = "; ".join(f"{right} on {tables}" for right, tables in seen.lacking.items())
        return failed(
            "rights",
            f"role {seen.role} lacks {missing}",
            f"As the schema's owner: GRANT {', '.join(seen.lacking)} ON ALL TABLES IN SCHEMA evalops TO {seen.role};",
        )
    if seen.superuser and not embedded:
        return warning(
            "rights",
            f"role {seen.role} is a superuser, who may do anything to every database of this server",
            "Use a role of its own that owns, or may only use, the schema evalops.",
        )
    return ok("rights", f"role {seen.role} may read and write every table of schema evalops")


def lock(holder: str | None) -> Finding:
    """The gate can be held; `holder` says who holds that of the eval runs now, None where nobody does."""
    now = "free" if holder is None else f"held by {holder}"
    return ok("lock", f"a gate was taken and let go of; that of the eval runs is {now}")


def lock_taken(holder: str) -> Finding:
    """The doctor's own gate is taken, which another doctor alone does."""
    return ok("lock", f"gates exclude: the doctor's own is held by {holder}")


def no_lock(problem: str) -> Finding:
    """Where the database cannot serve as a gate, or could not be asked for it."""
    return failed("lock", problem, _DIRECT)
