"""`argosy-admin reference`: the pages of docs/reference that are made from the code: lifecycle, settings, topics.

Inputs: the transition table, the settings tree, infra/kafka/topics.yaml. Output: Markdown files; a test asserts that
the committed ones are what would be written.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import typer
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from app.admin.toolchain import checkout_root
from app.domain.lifecycle import ENDED, TRANSITIONS, EventKind, JobState
from app.settings import Settings

app = typer.Typer()
MADE = "This page is made from the code by `argosy-admin reference`; do not edit it.\n"


@app.command()
def reference(directory: Annotated[Path, typer.Argument()] = Path("docs/reference")) -> None:
    """Write the generated pages of the reference."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (directory / name).write_text(page(), encoding="utf-8")
        typer.echo(directory / name)


def lifecycle_page() -> str:
    """The states of a job and what leads from one to the other."""
    arrows: dict[tuple[JobState | None, JobState], list[EventKind]] = {}
    for kind, row in TRANSITIONS.items():
        for before, after in row.items():
            if before is not after:
                arrows.setdefault((before, after), []).append(kind)
    diagram = [f"    {before or '[*]'} --> {after}: {', '.join(kinds)}" for (before, after), kinds in arrows.items()]
    diagram += [f"    {state} --> [*]" for state in JobState if state in ENDED]
    table = ["| event | may come in | leads to |", "|---|---|---|"]
    for kind, row in TRANSITIONS.items():
        befores = ", ".join(before or "(no job yet)" for before in row)
        afters = ", ".join(dict.fromkeys(row.values())) if set(row) != set(row.values()) else "the same state"
        table.append(f"| {kind} | {befores} | {afters} |")
    return "\n".join(
        [
            "# The life of a job",
            "",
            MADE,
            "```mermaid",
            "stateDiagram-v2",
            *diagram,
            "```",
            "",
            *table,
            "",
            "An event that does not stand here for a state is refused and changes nothing. After LEASE_RETURNED and",
            "LEASE_EXPIRED, the event QUEUED or FAILED in the same step says whether the job waits again or has ended.",
            "",
        ]
    )


def settings_page() -> str:
    """Every key of the settings with its default and text."""
    lines = ["# Settings", "", MADE]
    lines.append(
        "One YAML file (`argosy-admin --settings FILE`); a variable such as `ARGOSY_KAFKA__BOOTSTRAP` wins over it."
    )
    lines.append("An unknown key is an error.")
    lines += ["", "| key | default | meaning |", "|---|---|---|"]
    lines += [f"| `{key}` | {default} | {text} |" for key, default, text in _keys(Settings, "")]
    return "\n".join([*lines, ""])


def topics_page() -> str:
    """The topics as infra/kafka/topics.yaml lists them."""
    listed = yaml.safe_load((checkout_root() / "infra" / "kafka" / "topics.yaml").read_text(encoding="utf-8"))
    lines = ["# Topics", "", MADE, "P is `kafka.partitions`, fixed at installation.", ""]
    lines += [
        "| topic | partitions | cleanup | retention | configuration | what it holds |",
        "|---|---|---|---|---|---|",
    ]
    for name, topic in listed["topics"].items():
        config = "<br>".join(f"{key}={value}" for key, value in (topic.get("config") or {}).items())
        kept = f"{topic['cleanup']} | {topic.get('retention', '')}"
        lines.append(f"| {name} | {topic['partitions']} | {kept} | {config} | {topic['doc']} |")
    return "\n".join([*lines, ""])


PAGES: dict[str, Callable[[], str]] = {
    "lifecycle.md": lifecycle_page,
    "settings.md": settings_page,
    "topics.md": topics_page,
}


def _keys(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    """(key, default, text) of a section and those below it."""
    for name, field in model.model_fields.items():
        text = " ".join((field.description or "").split()).replace("|", "\\|")
        inner = _section_of(field.annotation)
        if inner is None:
            yield f"{prefix}{name}", _default(field), text
            continue
        section, key = inner
        yield f"{prefix}{name}", "", text
        yield from _keys(section, f"{prefix}{name}.{key}")


def _section_of(annotation: Any) -> tuple[type[BaseModel], str] | None:
    """The section that an annotation holds, and how its keys continue: "" for itself, "NAME." in a mapping, "[]."."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType, Annotated):
        found = [inner for argument in arguments if (inner := _section_of(argument)) is not None]
        return found[0] if found else None
    if arguments and isinstance(origin, type):
        inner = _section_of(arguments[-1] if origin is not tuple else arguments[0])
        if inner is not None:
            return inner[0], "[]." if origin is tuple else "NAME."
    return None


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return f"`{field.get_default(call_default_factory=True)!s}`".replace("|", "\\|").replace("``", '`""`')
