"""What the tables share: the schema, how constraints are named, and the columns that many of them have.

What belongs here: what more than one table uses. What does not: tables.
"""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, Column, DateTime, Double, ForeignKey, Identity, MetaData, Numeric, func

SCHEMA = "evalops"
METADATA = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    },
)
VIEWS = MetaData(schema=SCHEMA)  # apart, so that nothing tries to create or compare them as tables

INSTANT = DateTime(timezone=True)
NUMBER: Double[float] = Double()
MONEY: Numeric[Decimal] = Numeric()  # US dollars, to whatever fraction of a cent a price comes to
SCORE: Numeric[Decimal] = Numeric(6, 3)  # of a run, or a difference of two
ERROR: Numeric[Decimal] = Numeric(6, 4)  # the standard error of a run's score


def id_column() -> Column[int]:
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def created_at() -> Column[datetime]:
    return Column("created_at", INSTANT, nullable=False, server_default=func.now())


def run_id(
    name: str = "eval_run_id", *, ondelete: str = "CASCADE", primary_key: bool = False, nullable: bool = True
) -> Column[int]:
    key = ForeignKey("evalops.eval_runs.id", ondelete=ondelete)
    return Column(name, BigInteger, key, primary_key=primary_key, nullable=nullable and not primary_key)
