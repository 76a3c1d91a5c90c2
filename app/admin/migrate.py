"""`argosy-admin migrate`: the platform's own tables in Postgres. Tables of views are made by the views."""

import asyncio

import typer

from app.admin.invocation import settings_of

app = typer.Typer()


@app.command()
def migrate(context: typer.Context) -> None:
    """Bring the platform's tables to the newest revision."""
    from app.db.migrations import migrate as upgrade

    revision = asyncio.run(upgrade(settings_of(context).postgres.url))
    typer.echo(f"the platform's tables are at revision {revision}")
