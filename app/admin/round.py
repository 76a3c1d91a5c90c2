"""`argosy-admin round`: runs a scheduling round that stands in a file, for tests, post-mortems and what-if; takes such
a file from the live leader.

Input: `argosy-round/1` (reference round-file.md) or its binary form, in a file; or `-`. Output: `argosy-decisions/1`.
With `-` each line of standard input is a round as JSON and is answered at once by one line; a line that is no round is
answered by an object with `error` {path, message}, and the exit code is 1 when there was one.
"""

import sys
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import typer

from app.admin.invocation import settings_of
from app.admin.live_round import fetch_from_leader
from app.admin.state import StateDirectory
from app.scheduling.decisions_file import print_decisions
from app.scheduling.errors import RoundError
from app.scheduling.round_binary import unpack_round
from app.scheduling.round_file import parse_round
from app.scheduling.schedule import compile_kernels, kernels_are_kept, schedule

FILE_BYTES_MAX = 2 * 1024**3
LINE_BYTES_MAX = 256 * 1024**2
UNCOMPILED_BYTES_MAX = 4 * 1024**2
"""A longer round is decided sooner by compiling first."""
EXIT_BAD_ROUND = 1
EXIT_BAD_FILE = 2

app = typer.Typer(name="round", help="Scheduling rounds as files.", no_args_is_help=True)


@app.callback()
def rounds() -> None:
    """Scheduling rounds as files."""


@app.command("run")
def run(
    file: Annotated[
        str,
        typer.Argument(help="A round (argosy-round/1, or binary); - reads a JSON round a line from standard input."),
    ],
    output: Annotated[Path | None, typer.Option(help="Write the decisions here instead of to standard output.")] = None,
) -> None:
    """Decide a round and print the decisions as JSON."""
    try:
        sink = sys.stdout.buffer if output is None else output.open("wb")
        try:
            code = answer_lines(sys.stdin.buffer, sink) if file == "-" else answer_file(Path(file), sink)
        finally:
            if output is not None:
                sink.close()
    except BrokenPipeError:
        # The reader has what it wanted; a second complaint at exit is avoided by leaving nothing to flush.
        sys.stderr.close()
        raise typer.Exit(EXIT_BAD_FILE) from None
    except OSError as error:
        typer.echo(f"round run: {error.filename or file}: {error.strerror or error}", err=True)
        raise typer.Exit(EXIT_BAD_FILE) from None
    if code:
        raise typer.Exit(code)


@app.command("compile")
def compile_() -> None:
    """Compile what decides rounds and keep the code on disk (part of an installation; takes most of a minute)."""
    kept = kernels_are_kept()
    compile_kernels()
    typer.echo("the kernels of rounds were compiled before" if kept else "compiled the kernels of rounds")


@app.command("dump")
def dump(
    context: typer.Context,
    pool: Annotated[str, typer.Option(help="The pool whose round is wanted.")] = "default",
    url: Annotated[
        str | None,
        typer.Option(help="Health server of the leader, such as http://127.0.0.1:9102; default: the local stack's."),
    ] = None,
    binary: Annotated[
        bool,
        typer.Option("--binary", help="The compact form: a third of the JSON, and hardly any work for the leader."),
    ] = False,
    output: Annotated[Path | None, typer.Option(help="Write the round here instead of to standard output.")] = None,
) -> None:
    """Take the round that the live leader would decide now, as a file for `round run`."""
    urls = [url] if url is not None else _schedulers(context)
    try:
        if not urls:
            raise OSError("no scheduler of a local stack was found: name one with --url")
        document = fetch_from_leader(urls, pool, "binary" if binary else "json")
        if output is None:
            sys.stdout.buffer.write(document)
            sys.stdout.buffer.flush()
        else:
            output.write_bytes(document)
    except BrokenPipeError:
        sys.stderr.close()
        raise typer.Exit(EXIT_BAD_FILE) from None
    except OSError as error:
        said = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        typer.echo(f"round dump: {said}", err=True)
        raise typer.Exit(EXIT_BAD_FILE) from None


def _schedulers(context: typer.Context) -> list[str]:
    directory = StateDirectory(Path(settings_of(context).dev.state_dir))
    state = directory.read()
    names = [process.name for process in state.processes if process.name.startswith("scheduler")] if state else []
    ports = [port for name in names if (port := directory.port_in_use(f"{name}-health")) is not None]
    return [f"http://127.0.0.1:{port}" for port in ports]


def answer_file(path: Path, sink: BinaryIO) -> int:
    """Decides the round in a file. Returns the exit code; a bad round is one line on standard error."""
    with path.open("rb") as source:
        document = source.read(FILE_BYTES_MAX + 1)
    try:
        if len(document) > FILE_BYTES_MAX:
            raise RoundError("", f"is longer than {FILE_BYTES_MAX} bytes")
        if kernels_are_kept() or len(document) > UNCOMPILED_BYTES_MAX:
            compile_kernels()
        sink.write(decide(document) + b"\n")
    except RoundError as error:
        typer.echo(f"round run: {path}: {error}", err=True)
        return EXIT_BAD_ROUND
    return 0


def answer_lines(source: BinaryIO, sink: BinaryIO) -> int:
    """Answers each line with one line, at once, until the input ends. Returns the exit code."""
    code = 0
    number = 0
    if kernels_are_kept():
        compile_kernels()
    while line := source.readline(LINE_BYTES_MAX + 1):
        number += 1
        if not line.strip():
            continue
        try:
            if len(line) > LINE_BYTES_MAX:
                while line and not line.endswith(b"\n"):
                    line = source.readline(LINE_BYTES_MAX)
                raise RoundError("", f"is longer than {LINE_BYTES_MAX} bytes")
            answer = decide(line)
        except RoundError as error:
            code = EXIT_BAD_ROUND
            typer.echo(f"round run: line {number}: {error}", err=True)
            answer = msgspec.json.encode({"error": {"path": error.path, "message": error.message}})
        sink.write(answer + b"\n")
        sink.flush()
    return code


def decide(document: bytes) -> bytes:
    """A round document, of either form, to a decisions document. Raises RoundError."""
    # Packed rounds begin with the mark of a map, which no text does.
    round_ = unpack_round(document) if document[:1] >= b"\x80" else parse_round(document)
    return print_decisions(round_, schedule(round_))
