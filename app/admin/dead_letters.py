"""`argosy-admin dead-letters list|show`: records, or items of records, that an agent could not take.

Input: argosy.dead-letters. Output: one line each, or JSON. Nothing is changed: a dead letter is never sent again
from here.
"""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from app.admin.invocation import settings_of
from app.log.dead_letters import Letter, describe_body, list_dead_letters, read_dead_letter

LISTED_DEFAULT = 50
LISTED_MAX = 10_000
MESSAGE_CHARS_MAX = 120

app = typer.Typer(no_args_is_help=True, help="Records that could not be taken.")


@app.command("list")
def list_(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=LISTED_MAX, help="At most so many, the newest.")] = LISTED_DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array; the records only with `show`.")] = False,
) -> None:
    """List the newest dead letters, oldest first."""
    letters = list_dead_letters(settings_of(context).kafka.bootstrap, limit)
    if as_json:
        typer.echo(json.dumps([head_of(letter) for letter in letters], indent=2, ensure_ascii=False))
        return
    for letter in letters:
        typer.echo(line_of(letter))
    if not letters:
        typer.echo("no dead letters")


@app.command("show")
def show(
    context: typer.Context, number: Annotated[int, typer.Argument(min=0, help="The number that `list` shows first.")]
) -> None:
    """Show one dead letter as JSON: its origin, the reason, and the record as far as it can be read."""
    found = read_dead_letter(settings_of(context).kafka.bootstrap, number)
    whole = head_of(found) | {"record": describe_body(found.letter)}
    typer.echo(json.dumps(whole, indent=2, ensure_ascii=False))


def head_of(found: Letter) -> dict[str, object]:
    """What `list --json` and `show` say of a letter, but for the record itself."""
    letter = found.letter
    return {
        "number": found.number,
        "written": time_of(found.written_ms),
        "component": letter.component,
        "reason": letter.reason,
        "message": letter.message,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "item": letter.item if letter.item >= 0 else None,
        "logTime": time_of(letter.log_time_ms),
        "key": letter.key.decode(errors="backslashreplace"),
    }


def line_of(found: Letter) -> str:
    """Number, time, origin, reason and message in one line."""
    letter = found.letter
    item = f"[{letter.item}]" if letter.item >= 0 else ""
    message = " ".join(letter.message.split())[:MESSAGE_CHARS_MAX]
    origin = f"{letter.topic}/{letter.partition}@{letter.offset}{item}"
    return f"{found.number:>8}  {time_of(found.written_ms)}  {origin}  {letter.component}  {letter.reason}  {message}"


def time_of(time_ms: int) -> str:
    """UTC, with milliseconds."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
