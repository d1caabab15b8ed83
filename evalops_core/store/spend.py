"""The ledger of paid calls, and the reservations of those in flight.

What belongs here: adding to the ledger, reading it, and the one transaction in which a call is admitted under the hard
caps. What does not: the decision itself (domain), what a call may cost, who waits for whom (run).

A ledger row is a run's, for one purpose, model and UTC day. What is settled goes with the reservation that it releases
in a single statement, so that a reader sees a call's worst case or its cost, never neither.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

import orjson
from sqlalchemy import Connection, Engine, func, insert, select, text

from evalops_core.domain.budget import Admission, Admitted, Caps, Charge, Entry, Purpose, Spent, admit, entries
from evalops_core.store.storable import storable
from evalops_core.store.tables import SPEND

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who reserves for an eval run: `name` is one process's stage, `ttl` how long after its last sign of life what it
    holds counts as reserved. It has to be longer than any call may take."""

    run_id: int
    feature: str
    name: str
    ttl: timedelta


@dataclass(frozen=True, slots=True)
class Settlement:
    """What ended since the last one: charges, and reservations by day that came to nothing."""

    charges: Sequence[Charge] = ()
    released: Mapping[date, Decimal] | None = None

    def __bool__(self) -> bool:
        return bool(self.charges or self.released)


@dataclass(frozen=True, slots=True)
class DaySpend:
    """`usd` is what is known; `unpriced_calls`, some of which may not be billed at all, come on top of it."""

    usd: Decimal
    unpriced_calls: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """Means over earlier calls, of those whose tokens were counted."""

    calls: int
    prompt: float
    completion: float


class SpendLedger:
    """The tables `spend` and `spend_holds`. May be called from any thread; a method without a connection is a
    transaction of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # A snapshot taken before the lock was granted would not show what the holder before has reserved.
        self._reserving = engine.execution_options(isolation_level="READ COMMITTED")

    def settle(self, holder: Holder, settlement: Settlement, connection: Connection | None = None) -> None:
        """Add to the ledger and release what was reserved, within the transaction of `connection` if it is given."""
        if connection is None:
            with self._engine.begin() as own:
                self.settle(holder, settlement, own)
            return
        if settlement:
            parameters = {**_of(holder), **_settled(settlement)}
            connection.execute(_SETTLE, parameters)

    def reserve(
        self, holder: Holder, caps: Caps, day: date, worst_usd: Sequence[Decimal], settlement: Settlement = Settlement()
    ) -> list[Admission]:
        """For each amount in turn, whether it fits under the caps; those that do are reserved for `day`.

        Whoever reserves under the same cap waits for this transaction, so the answers hold whatever others do.
        `settlement` is settled first.
        """
        with self._reserving.begin() as connection:
            for scope in _scopes(holder, caps, day):  # the day's before the run's, in every process
                connection.execute(_LOCK, {"scope": scope})
            self.settle(holder, settlement, connection)
            run, of_day = self._totals(connection, holder.run_id, day)
            answers: list[Admission] = []
            reserved = _ZERO
            for amount in worst_usd:
                answer = admit(amount, caps, run, of_day)
                if isinstance(answer, Admitted):
                    run, of_day = run.with_reserved(amount), of_day.with_reserved(amount)
                    reserved += amount
                answers.append(answer)
            if reserved:
                connection.execute(_HOLD, {**_of(holder), "day": day, "usd": reserved})
        return answers

    def release_stale(self, holder: Holder) -> None:
        """Free what other processes reserved for this run: whoever is allowed to continue a run knows them gone.

        What they had in flight may be on the bill and is not counted.
        """
        with self._engine.begin() as connection:
            connection.execute(_RELEASE_OTHERS, _of(holder))

    def close(self, holder: Holder, settlement: Settlement) -> None:
        """Settle what is left and give back everything that `holder` reserved."""
        with self._engine.begin() as connection:
            self.settle(holder, settlement, connection)
            connection.execute(_RELEASE_OWN, _of(holder))

    def add(self, feature: str, charges: Sequence[Charge]) -> None:
        """Add calls that belong to no eval run; nothing was reserved for them."""
        if not charges:
            return
        columns = Entry.__dataclass_fields__
        rows = [{name: getattr(entry, name) for name in columns} for entry in entries(map(_storable, charges))]
        with self._engine.begin() as connection:
            connection.execute(insert(SPEND), [{"feature": feature, **row} for row in rows])

    def of_day(self, day: date) -> Spent:
        """What the day's hard cap counts."""
        return self.totals(0, day)[1]  # no run has that id

    def totals(self, run_id: int, day: date) -> tuple[Spent, Spent]:
        """What the hard caps count: of the run in all its days, and of the day in all its runs."""
        with self._engine.connect() as connection:
            return self._totals(connection, run_id, day)

    def spent(self, day: date, *, feature: str | None = None, purpose: Purpose | None = None) -> DaySpend:
        """Of a UTC day: everything, or a feature's, or a purpose's."""
        query = select(
            func.coalesce(func.sum(SPEND.c.settled_usd), 0),
            func.coalesce(func.sum(SPEND.c.unpriced_calls + SPEND.c.lost_calls), 0),
        ).where(SPEND.c.day == day)
        if feature is not None:
            query = query.where(SPEND.c.feature == feature)
        if purpose is not None:
            query = query.where(SPEND.c.purpose == purpose)
        with self._engine.connect() as connection:
            usd, unpriced = connection.execute(query).one()
        return DaySpend(Decimal(usd), int(unpriced))

    def of_run(self, run_id: int) -> list[Entry]:
        """The run's part of the ledger, by purpose, model and day."""
        columns = [SPEND.c[name] for name in Entry.__dataclass_fields__]
        query = select(*columns).where(SPEND.c.eval_run_id == run_id)
        with self._engine.connect() as connection:
            rows = [Entry(**row) for row in connection.execute(query).mappings()]
        return sorted(rows, key=lambda entry: (entry.purpose, entry.model, entry.day))

    def tokens(self, feature: str, purpose: Purpose, runs: int = 10, *, embeddings: bool = False) -> Tokens | None:
        """Of the feature's latest `runs` that paid for calls with counted tokens; None where there is none.

        Counted are chats, or `embeddings` alone, which are the calls without a completion.
        """
        asked = {"feature": feature, "purpose": purpose, "runs": runs, "embeddings": embeddings}
        with self._engine.connect() as connection:
            row = connection.execute(_TOKENS, asked).one()
        if not row.calls:
            return None
        return Tokens(int(row.calls), float(row.prompt / row.calls), float(row.completion / row.calls))

    @staticmethod
    def _totals(connection: Connection, run_id: int, day: date) -> tuple[Spent, Spent]:
        row = connection.execute(_TOTALS, {"run": run_id, "day": day}).one()
        return Spent(row.run_spent, row.run_reserved), Spent(row.day_spent, row.day_reserved)


def _scopes(holder: Holder, caps: Caps, day: date) -> list[str]:
    scopes = [f"evalops spend day {day}"] if caps.day_usd is not None else []
    return [*scopes, f"evalops spend run {holder.run_id}"] if caps.run_usd is not None else scopes


def _of(holder: Holder) -> dict[str, object]:
    return {"run": holder.run_id, "feature": holder.feature, "holder": holder.name, "ttl": holder.ttl}


def _settled(settlement: Settlement) -> dict[str, str]:
    free = dict(settlement.released or {})
    for charge in settlement.charges:
        if charge.released_usd:
            free[charge.day] = free.get(charge.day, _ZERO) + charge.released_usd
    rows = [
        {
            "purpose": entry.purpose,
            "model": entry.model,
            "day": entry.day,
            "calls": entry.calls,
            "lost_calls": entry.lost_calls,
            "unpriced_calls": entry.unpriced_calls,
            "prompt_tokens": entry.prompt_tokens,
            "completion_tokens": entry.completion_tokens,
            "settled_usd": None if entry.settled_usd is None else str(entry.settled_usd),
            "assumed_usd": str(entry.assumed_usd),
        }
        for entry in entries(map(_storable, settlement.charges))
    ]
    released = [{"day": day, "usd": str(usd)} for day, usd in free.items()]
    return {"rows": orjson.dumps(rows).decode(), "released": orjson.dumps(released).decode()}


def _storable(charge: Charge) -> Charge:
    model = storable(charge.model)
    return charge if model == charge.model else replace(charge, model=model)


_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:scope, 0))")

_SETTLE = text("""
    WITH released AS (
        UPDATE evalops.spend_holds AS held
        SET reserved_usd = greatest(held.reserved_usd - free.usd, 0),
            expires_at = now() + CAST(:ttl AS interval)
        FROM jsonb_to_recordset(CAST(:released AS jsonb)) AS free (day date, usd numeric)
        WHERE held.eval_run_id = :run AND held.holder = :holder AND held.day = free.day
    )
    INSERT INTO evalops.spend AS old (feature, eval_run_id, purpose, model, day, calls, lost_calls, unpriced_calls,
        prompt_tokens, completion_tokens, settled_usd, assumed_usd)
    SELECT :feature, :run, purpose, model, day, calls, lost_calls, unpriced_calls, prompt_tokens, completion_tokens,
        settled_usd, assumed_usd
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS new (purpose text, model text, day date, calls bigint,
        lost_calls bigint, unpriced_calls bigint, prompt_tokens bigint, completion_tokens bigint, settled_usd numeric,
        assumed_usd numeric)
    ORDER BY purpose, model, day
    ON CONFLICT (eval_run_id, purpose, model, day) DO UPDATE SET
        calls = old.calls + excluded.calls,
        lost_calls = old.lost_calls + excluded.lost_calls,
        unpriced_calls = old.unpriced_calls + excluded.unpriced_calls,
        prompt_tokens = coalesce(old.prompt_tokens + excluded.prompt_tokens, old.prompt_tokens,
            excluded.prompt_tokens),
        completion_tokens = coalesce(old.completion_tokens + excluded.completion_tokens, old.completion_tokens,
            excluded.completion_tokens),
        settled_usd = coalesce(old.settled_usd + excluded.settled_usd, old.settled_usd, excluded.settled_usd),
        assumed_usd = old.assumed_usd + excluded.assumed_usd
""")

_HOLD = text("""
    INSERT INTO evalops.spend_holds AS held (eval_run_id, holder, day, reserved_usd, expires_at)
    VALUES (:run, :holder, :day, :usd, now() + CAST(:ttl AS interval))
    ON CONFLICT (eval_run_id, holder, day) DO UPDATE SET
        reserved_usd = held.reserved_usd + excluded.reserved_usd, expires_at = excluded.expires_at
""")

_RELEASE_OTHERS = text("DELETE FROM evalops.spend_holds WHERE eval_run_id = :run AND holder <> :holder")
_RELEASE_OWN = text("DELETE FROM evalops.spend_holds WHERE eval_run_id = :run AND holder = :holder")

# clock_timestamp(), not now(): the transaction may have waited long for its lock
_TOTALS = text("""
    SELECT
        (SELECT coalesce(sum(coalesce(settled_usd, 0) + assumed_usd), 0) FROM evalops.spend
            WHERE eval_run_id = :run) AS run_spent,
        (SELECT coalesce(sum(coalesce(settled_usd, 0) + assumed_usd), 0) FROM evalops.spend
            WHERE day = :day) AS day_spent,
        (SELECT coalesce(sum(reserved_usd), 0) FROM evalops.spend_holds
            WHERE eval_run_id = :run AND expires_at > clock_timestamp()) AS run_reserved,
        (SELECT coalesce(sum(reserved_usd), 0) FROM evalops.spend_holds
            WHERE day = :day AND expires_at > clock_timestamp()) AS day_reserved
""")

_TOKENS = text("""
    SELECT sum(calls) AS calls, sum(prompt_tokens) AS prompt, sum(completion_tokens) AS completion
    FROM evalops.spend
    WHERE feature = :feature AND purpose = :purpose AND calls > 0
        AND prompt_tokens IS NOT NULL AND (completion_tokens = 0) = :embeddings
        AND eval_run_id IN (
            SELECT DISTINCT eval_run_id FROM evalops.spend
            WHERE feature = :feature AND purpose = :purpose AND prompt_tokens IS NOT NULL
                AND (completion_tokens = 0) = :embeddings
            ORDER BY eval_run_id DESC LIMIT :runs
        )
""")
