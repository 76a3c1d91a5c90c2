"""The committed schemas: each equals its class, every place has a doc text, ids and versions are as the lock says."""

import copy
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.domain.commands import JobItem
from app.domain.events import Event
from app.domain.rows import JOB_HEAD, JobRow
from app.log.compatibility import check
from app.log.errors import SchemaError
from app.log.schemas import CLASSES, LOCK_NAME, SCHEMA_DIR, fingerprint_of, load_schemas, read_lock, read_source
from app.log.struct_types import type_of

by_name = pytest.mark.parametrize("name", CLASSES)


def records_in(node: Any) -> list[dict[str, Any]]:
    """All records, enums and fixed types of a schema."""
    if isinstance(node, list):
        return [record for item in node for record in records_in(item)]
    if not isinstance(node, dict):
        return []
    found = [node] if node.get("type") in ("record", "enum", "fixed") else []
    for key in ("type", "fields", "items", "values"):
        found += records_in(node.get(key))
    return found


@by_name
def test_a_schema_has_the_fields_order_types_and_nullability_of_its_class(name: str) -> None:
    source = read_source(SCHEMA_DIR, name)
    fields = type_of(source, CLASSES[name], array=name == "Events")
    record = fields.inner if name == "Events" else fields
    assert [field.name for field in record.fields] == list(CLASSES[name].__struct_fields__)


@by_name
def test_a_default_in_a_schema_is_that_of_the_class(name: str) -> None:
    source = read_source(SCHEMA_DIR, name)
    record = source["items"] if name == "Events" else source
    for field, mine in zip(record["fields"], msgspec.structs.fields(CLASSES[name]), strict=True):
        if "default" in field:
            default = mine.default if mine.default is not msgspec.NODEFAULT else mine.default_factory()
            plain = default.decode("latin-1") if isinstance(default, bytes) else msgspec.to_builtins(default)
            assert field["default"] == (list(plain) if isinstance(plain, tuple) else plain), field["name"]


@by_name
def test_every_type_and_field_says_what_it_is(name: str) -> None:
    for record in records_in(read_source(SCHEMA_DIR, name)):
        assert len(record.get("doc", "")) > 5, record["name"]
        for field in record.get("fields", ()):
            assert len(field.get("doc", "")) > 5, f"{record['name']}.{field['name']}"


@by_name
def test_a_file_has_its_own_name_and_the_namespace_of_the_installation(name: str) -> None:
    source = read_source(SCHEMA_DIR, name)
    record = source["items"] if name == "Events" else source
    assert record["namespace"] == "argosy"
    assert record["name"] == CLASSES[name].__name__


def test_there_is_no_file_without_a_class() -> None:
    assert {path.stem for path in SCHEMA_DIR.glob("*.avsc")} == set(CLASSES)


def test_the_head_of_a_job_row_is_one_fixed_field_and_comes_first() -> None:
    first = type_of(read_source(SCHEMA_DIR, "JobRow"), JobRow).fields[0]
    assert (first.name, first.type.kind.value, first.type.size) == ("head", "fixed", JOB_HEAD.size)


def test_the_committed_lock_fits_the_files_and_all_versions_can_be_read() -> None:
    assert check() == []


def test_each_version_in_the_lock_has_an_id_of_its_own_and_its_own_fingerprint() -> None:
    versions = [version for versions in read_lock(SCHEMA_DIR).values() for version in versions]
    assert len({version.id for version in versions}) == len(versions)
    assert all(fingerprint_of(json.loads(version.text)) == version.fingerprint for version in versions)


def test_a_changed_file_without_a_new_lock_stops_the_program(tmp_path: Path) -> None:
    for path in SCHEMA_DIR.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    source = read_source(tmp_path, "Continue")
    source["fields"].append({"name": "why", "type": "string", "default": ""})
    (tmp_path / "Continue.avsc").write_text(json.dumps(source))
    with pytest.raises(SchemaError, match="make schemas"):
        load_schemas(tmp_path)


def test_a_missing_or_broken_file_or_lock_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"CreateQueues\.avsc"):
        load_schemas(tmp_path)
    (tmp_path / "CreateQueues.avsc").write_text("{")
    with pytest.raises(SchemaError, match="is not JSON"):
        load_schemas(tmp_path)
    (tmp_path / LOCK_NAME).write_text('{"Continue": 3}')
    with pytest.raises(SchemaError, match="is not a lock"):
        load_schemas(tmp_path)


def changed(name: str, change: Any) -> Any:
    """The file of a schema with `change` done to its first record."""
    source = copy.deepcopy(read_source(SCHEMA_DIR, name))
    change(source["items"] if name == "Events" else source)
    return source


def swap(record: Any) -> None:
    record["fields"][0], record["fields"][1] = record["fields"][1], record["fields"][0]


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("Events", lambda record: record["fields"].pop(), "gang_generation"),
        ("Events", swap, "ordinal|kind"),
        ("Events", lambda record: record["fields"][0].update(type=["null", "long"]), r"Event\.ordinal.*union"),
        ("Events", lambda record: record["fields"][7].update(type="bytes"), r"Event\.run_id"),
        ("Events", lambda record: record["fields"][0].update(type="string"), r"Event\.ordinal.*string"),
        ("Events", lambda record: record["fields"][6].pop("default"), r"Event\.terminal.*default"),
        ("Events", lambda record: record["fields"][1]["type"]["symbols"].pop(), r"Event\.kind.*symbols"),
        ("SubmitJobs", lambda record: record["fields"][0].update(type="string"), r"SubmitJobs\.principal"),
    ],
)
def test_a_schema_that_is_not_its_class_is_refused_with_the_place(name: str, change: Any, words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        type_of(changed(name, change), CLASSES[name], array=name == "Events")


def test_nested_records_are_compared_too() -> None:
    source = read_source(SCHEMA_DIR, "SubmitJobs")
    item = next(record for record in records_in(source) if record["name"] == "JobItem")
    assert [field["name"] for field in item["fields"]] == list(JobItem.__struct_fields__)
    item["fields"].pop()
    with pytest.raises(SchemaError, match=r"SubmitJobs\.jobs\[\].*gang"):
        type_of(source, CLASSES["SubmitJobs"])


def test_the_array_of_events_is_not_a_record() -> None:
    with pytest.raises(SchemaError, match="array"):
        type_of(read_source(SCHEMA_DIR, "Continue"), Event, array=True)
