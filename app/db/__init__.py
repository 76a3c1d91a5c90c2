"""Postgres: pools, migrations of the platform's own tables, view positions, typed queries over the views' stable SQL
views.

Does not know how a view is made or written: that is app.views. SQLAlchemy, asyncpg and alembic are spoken here and in
app.views only.
"""
