"""`argosy-admin topics apply|diff`: the topics of infra/kafka/topics.yaml against those of the cluster."""

import typer

from app.admin.invocation import settings_of
from app.admin.toolchain import checkout_root

EXIT_DIFFERENT = 1

app = typer.Typer(no_args_is_help=True, help="Create and check the topics.")


@app.command("apply")
def apply(context: typer.Context) -> None:
    """Create what is missing and set what differs; never deletes anything."""
    from app.log.topics import apply_topics, load_topics

    settings = settings_of(context)
    specs = load_topics(checkout_root() / "infra" / "kafka" / "topics.yaml")
    for line in apply_topics(settings.kafka.bootstrap, specs, settings.kafka.partitions, settings.kafka.replication):
        typer.echo(line)
    typer.echo(f"{len(specs)} topics are as they must be")


@app.command("diff")
def diff(context: typer.Context) -> None:
    """Say what `apply` would change, one line each; exit code 1 when there is something."""
    from app.log.topics import diff_topics, load_topics

    settings = settings_of(context)
    specs = load_topics(checkout_root() / "infra" / "kafka" / "topics.yaml")
    lines = diff_topics(settings.kafka.bootstrap, specs, settings.kafka.partitions, settings.kafka.replication)
    for line in lines:
        typer.echo(line)
    if lines:
        raise typer.Exit(EXIT_DIFFERENT)
    typer.echo("no difference")
