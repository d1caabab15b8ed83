"""Run by Alembic for every command, on the connection that `evalops_core.store.schema` hands over.

It configures no logging and makes no connection of its own.
"""

from alembic import context

from evalops_core.store.tables import METADATA, SCHEMA

context.configure(
    connection=context.config.attributes["connection"],
    on_version_apply=context.config.attributes["on_version_apply"],
    target_metadata=METADATA,
    version_table_schema=SCHEMA,
)
with context.begin_transaction():
    context.run_migrations()
