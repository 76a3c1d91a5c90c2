"""`argosy-admin dead-letters list|show`: what agents could not take, where it came from and why.

Input: argosy.dead-letters. Output: a table, or JSON (one object a line).
"""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer

from app.admin.errors import AdminError
from app.admin.invocation import settings_of
from app.log.dead_letters import (
    LIST_MAX,
    DeadLetterNotFound,
    Letter,
    describe_body,
    list_dead_letters,
    read_dead_letter,
)

MESSAGE_CHARS_SHOWN = 100

app = typer.Typer(no_args_is_help=True, help="Records that could not be taken.")

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@app.command("list")
def list_command(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=LIST_MAX, help="How many of the last ones.")] = 50,
    as_json: AsJson = False,
) -> None:
    """The last dead letters, oldest first."""
    letters = list_dead_letters(settings_of(context).kafka.bootstrap, limit)
    for letter in letters:
        typer.echo(_json(_summary(letter)) if as_json else _line(letter))
    if not letters and not as_json:
        typer.echo("no dead letters")


@app.command("show")
def show(
    context: typer.Context,
    number: Annotated[int, typer.Argument(min=0, help="The first column of `list`.")],
    as_json: AsJson = False,
) -> None:
    """One dead letter with its body."""
    try:
        letter = read_dead_letter(settings_of(context).kafka.bootstrap, number)
    except DeadLetterNotFound as error:
        raise AdminError(str(error)) from None
    whole = {**_summary(letter), "key": letter.letter.key.hex(), "body": describe_body(letter.letter)}
    if as_json:
        typer.echo(_json(whole))
        return
    for name, value in whole.items():
        text = (
            value
            if isinstance(value, str | int)
            else msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
        )
        typer.echo(f"{name}: {text}")


def _summary(letter: Letter) -> dict[str, Any]:
    dead = letter.letter
    return {
        "number": letter.number,
        "written": _time(letter.written_ms),
        "topic": dead.topic,
        "partition": dead.partition,
        "offset": dead.offset,
        "item": dead.item,
        "component": dead.component,
        "reason": dead.reason,
        "message": dead.message,
        "logTime": _time(dead.log_time_ms),
    }


def _line(letter: Letter) -> str:
    dead = letter.letter
    item = f" item {dead.item}" if dead.item >= 0 else ""
    message = " ".join(dead.message.split())
    if len(message) > MESSAGE_CHARS_SHOWN:
        message = message[: MESSAGE_CHARS_SHOWN - 1] + "…"
    where = f"{dead.topic}/{dead.partition}@{dead.offset}{item}"
    return f"{letter.number:>8}  {_time(letter.written_ms)}  {where}  {dead.component}  {dead.reason}  {message}"


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
