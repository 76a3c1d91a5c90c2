"""The platform's own tables, as migrations leave them: how far views have come, which version of a view is in force,
which log they show.

Owner: alembic (app/db/alembic). Tables of views belong to the views' workers.
"""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Integer, MetaData, Table, Text, func

METADATA = MetaData()

view_positions = Table(
    "view_positions",
    METADATA,
    Column("view", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("app", Text, nullable=False),
    # The offset of the last command that is wholly included; -1 = none.
    Column("position", BigInteger, nullable=False),
    # The first ordinal missing of the command after it; 0 = none of it is included.
    Column("next_ordinal", Integer, nullable=False),
    # The offset of the last record included, in the topic of the view.
    Column("source_offset", BigInteger, nullable=False),
    # The command with which the view begins; -1 = nothing yet.
    Column("first_offset", BigInteger, nullable=False),
    # Log time of the last record included.
    Column("log_time_ms", BigInteger, nullable=False),
    Column("written_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    postgresql_with={"fillfactor": "10"},
)

view_registry = Table(
    "view_registry",
    METADATA,
    Column("view", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("app", Text, nullable=False),
    Column("topic", Text, nullable=False),
    # The stable SQL views show this version.
    Column("active", Boolean, nullable=False),
    Column("installed_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
)

log_identity = Table(
    "log_identity",
    METADATA,
    Column("topic", Text, primary_key=True),
    # The id that Kafka gave to the topic from which the views were filled.
    Column("topic_id", Text, nullable=False),
)
