"""Runs migrations on the connection that app.db.migrations hands over; there is no other way to run them."""

from alembic import context

from app.db.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table="platform_migrations",
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
