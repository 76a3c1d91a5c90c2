"""The lock of the schemas: gives each version of a schema its id and refuses what older or newer programs could not
read.

Inputs: schemas/avro/*.avsc and registry.lock. Outputs: what is wrong, one line each (`check`), or a new lock
(`update_lock`). Rule: BACKWARD_TRANSITIVE, as Confluent's registry defines it: the new schema reads what was written
with any earlier version; an added field needs a default, and none may change its type. Judged by the `avro` package's
own reader/writer resolution.
"""

import json
import sys
from pathlib import Path
from typing import Any

import avro.compatibility
import avro.errors
import avro.schema
import msgspec

from app.log.errors import SchemaError
from app.log.schemas import CLASSES, LOCK_NAME, SCHEMA_DIR, Lock, SchemaVersion, fingerprint_of, read_lock, read_source

_DOC = "doc"


class IncompatibleSchema(SchemaError):
    """A schema was changed so that it cannot read what stands in the log."""


def check(directory: Path = SCHEMA_DIR) -> list[str]:
    """What is wrong with the files of this directory against its lock; empty when nothing is."""
    problems = []
    lock = read_lock(directory)
    for name in CLASSES:
        try:
            source = read_source(directory, name)
            versions = lock.get(name, ())
            problems.extend(incompatibilities(name, source, versions))
            if not versions or versions[-1].text != plain_text(source):
                problems.append(f"{name}.avsc was changed and {LOCK_NAME} was not: run make schemas")
        except SchemaError as error:
            problems.append(str(error))
    problems.extend(f"{name} is in {LOCK_NAME} and has no schema any more" for name in lock if name not in CLASSES)
    problems.extend(_ids_taken_twice(lock))
    return problems


def update_lock(directory: Path = SCHEMA_DIR) -> list[str]:
    """Writes the lock anew and returns what was added, one line each.

    A schema whose canonical form is new gets the next version and the next free id; earlier versions and ids stay for
    ever. Raises IncompatibleSchema; then nothing is written."""
    lock = dict(read_lock(directory))
    next_id = 1 + max((version.id for versions in lock.values() for version in versions), default=0)
    added = []
    for name in CLASSES:
        source = read_source(directory, name)
        versions = lock.get(name, ())
        problems = incompatibilities(name, source, versions)
        if problems:
            raise IncompatibleSchema("\n".join(problems))
        mark, text = fingerprint_of(source), plain_text(source)
        if versions and versions[-1].fingerprint == mark:
            # The same bytes on the wire; a default may have changed.
            now = SchemaVersion(version=versions[-1].version, id=versions[-1].id, fingerprint=mark, text=text)
            lock[name] = (*versions[:-1], now)
            continue
        lock[name] = (*versions, SchemaVersion(version=len(versions) + 1, id=next_id, fingerprint=mark, text=text))
        added.append(f"{name} version {len(versions) + 1}: id {next_id}")
        next_id += 1
    _write_lock(directory, lock)
    return added


def incompatibilities(name: str, source: Any, versions: tuple[SchemaVersion, ...]) -> list[str]:
    """Why the schema `source` cannot read values of one of these versions; empty when it reads all of them."""
    try:
        reader = avro.schema.parse(json.dumps(source))
    except avro.errors.AvroException as error:
        raise SchemaError(f"{name}.avsc is not an Avro schema: {error}") from error
    problems = []
    for version in versions:
        writer = avro.schema.parse(version.text)
        result = avro.compatibility.ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)
        if result.compatibility is not avro.compatibility.SchemaCompatibilityType.compatible:
            why = "; ".join(sorted(result.messages)) or "incompatible"
            where = ", ".join(sorted(result.locations)) or "/"
            problems.append(f"{name}.avsc cannot read its version {version.version}: {why} (at {where})")
        problems.extend(
            f"{name}.avsc dropped the field {field} of version {version.version}: deprecate it in its doc and keep it"
            for field in _fields_dropped(json.loads(version.text), source)
        )
    return problems


def plain_text(source: Any) -> str:
    """A schema without docs, as compact JSON: what the lock keeps of each version (names, types, symbols, defaults)."""
    return json.dumps(_without_docs(source), separators=(",", ":"), ensure_ascii=False)


def _without_docs(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_docs(item) for item in node]
    if not isinstance(node, dict):
        return node
    # A default is data: it may hold a key "doc" of its own.
    return {key: value if key == "default" else _without_docs(value) for key, value in node.items() if key != _DOC}


def _fields_dropped(before: Any, now: Any) -> list[str]:
    """Fields that `before` has and `now` has not, as record.field.

    Avro itself lets a reader skip them; but programs that were not upgraded yet read the new records too, and need
    them."""
    kept = _record_fields(now)
    return [name for name, default in _record_fields(before).items() if name not in kept and not default]


def _record_fields(node: Any) -> dict[str, bool]:
    """record.field -> whether it has a default, for all records of a schema."""
    found: dict[str, bool] = {}
    if isinstance(node, list):
        for item in node:
            found.update(_record_fields(item))
    elif isinstance(node, dict):
        if node.get("type") == "record":
            found.update({f"{node['name']}.{field['name']}": "default" in field for field in node["fields"]})
        for key in ("fields", "type", "items", "values"):
            found.update(_record_fields(node.get(key)))
    return found


def _ids_taken_twice(lock: Lock) -> list[str]:
    owners: dict[int, str] = {}
    problems = []
    for name, versions in lock.items():
        for version in versions:
            other = owners.setdefault(version.id, f"{name} version {version.version}")
            if other != f"{name} version {version.version}":
                problems.append(f"{LOCK_NAME} gives id {version.id} to {other} and to {name} version {version.version}")
    return problems


def _write_lock(directory: Path, lock: Lock) -> None:
    text = msgspec.json.format(msgspec.json.encode(lock), indent=1)
    path = directory / LOCK_NAME
    aside = path.with_suffix(".new")
    aside.write_bytes(text + b"\n")
    aside.replace(path)


def main(arguments: list[str]) -> int:
    """`python -m app.log.compatibility` checks, with `--update` it writes the lock (make schemas). Returns the exit
    code."""
    try:
        if "--update" in arguments:
            print("\n".join(update_lock()) or f"{LOCK_NAME} is up to date")
            return 0
        problems = check()
    except SchemaError as error:
        problems = [str(error)]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
