"""Changes of schemas: what older records need is refused, what only adds gets a new version, old records are read."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import pytest

from app.domain.commands import BeginEpoch
from app.log import codec
from app.log.compatibility import IncompatibleSchema, check, incompatibilities, main, update_lock
from app.log.schemas import SCHEMA_DIR, SchemaVersion, frame_of, load_schemas, read_lock, read_source

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A copy of the committed schemas and their lock."""
    for path in SCHEMA_DIR.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def edit(directory: Path, name: str, change: Change) -> None:
    source = read_source(directory, name)
    change(source)
    (directory / f"{name}.avsc").write_text(json.dumps(source))


def field_of(source: Any, name: str) -> Any:
    return next(field for field in source["fields"] if field["name"] == name)


def add_with_default(source: Any) -> None:
    source["fields"].append({"name": "zone", "doc": "Zone of the leader.", "type": ["null", "string"], "default": None})


def add_without_default(source: Any) -> None:
    source["fields"].append({"name": "zone", "type": "string"})


def remove_epoch(source: Any) -> None:
    source["fields"] = [field for field in source["fields"] if field["name"] != "epoch"]


def epoch_as_text(source: Any) -> None:
    field_of(source, "epoch")["type"] = "string"


def leader_as_null(source: Any) -> None:
    field_of(source, "leader")["type"] = "null"


def rename_record(source: Any) -> None:
    source["name"] = "Epoch"


def rename_field(source: Any) -> None:
    field_of(source, "leader")["name"] = "chief"


@pytest.mark.parametrize(
    "change", [add_without_default, remove_epoch, epoch_as_text, leader_as_null, rename_record, rename_field]
)
def test_a_change_that_breaks_readers_is_refused_and_nothing_is_written(directory: Path, change: Change) -> None:
    lock = (directory / "registry.lock").read_bytes()
    edit(directory, "BeginEpoch", change)
    with pytest.raises(IncompatibleSchema, match="BeginEpoch"):
        update_lock(directory)
    assert (directory / "registry.lock").read_bytes() == lock
    assert any("BeginEpoch" in problem for problem in check(directory))


def test_a_symbol_taken_out_of_an_enum_is_refused(directory: Path) -> None:
    def change(source: Any) -> None:
        source["items"]["fields"][1]["type"]["symbols"].remove("UTILISATION")

    edit(directory, "Events", change)
    with pytest.raises(IncompatibleSchema, match="Events"):
        update_lock(directory)


def test_a_field_added_with_a_default_gets_the_next_version_and_a_new_id(directory: Path) -> None:
    before = read_lock(directory)
    edit(directory, "BeginEpoch", add_with_default)
    assert check(directory) == ["BeginEpoch.avsc was changed and registry.lock was not: run make schemas"]
    last_id = max(version.id for versions in before.values() for version in versions)
    version = len(before["BeginEpoch"]) + 1
    assert update_lock(directory) == [f"BeginEpoch version {version}: id {last_id + 1}"]
    assert check(directory) == []
    after = read_lock(directory)
    assert after["BeginEpoch"][:-1] == before["BeginEpoch"]
    assert {name: versions for name, versions in after.items() if name != "BeginEpoch"} == {
        name: versions for name, versions in before.items() if name != "BeginEpoch"
    }


def test_every_earlier_version_counts_and_not_only_the_last_one(directory: Path) -> None:
    edit(directory, "BeginEpoch", add_with_default)
    update_lock(directory)

    def zone_as_number(source: Any) -> None:
        # The first version has no zone at all, the second has a text.
        field_of(source, "zone").update(type=["null", "long"])

    edit(directory, "BeginEpoch", zone_as_number)
    versions = read_lock(directory)["BeginEpoch"]
    source = read_source(directory, "BeginEpoch")
    assert incompatibilities("BeginEpoch", source, versions[:1]) == []
    assert incompatibilities("BeginEpoch", source, versions[1:]) != []
    with pytest.raises(IncompatibleSchema, match="version 2"):
        update_lock(directory)


def test_a_new_doc_text_changes_nothing_in_the_lock(directory: Path) -> None:
    lock = (directory / "registry.lock").read_bytes()
    edit(directory, "BeginEpoch", lambda source: source.update(doc="Another text."))
    assert check(directory) == []
    assert update_lock(directory) == []
    assert (directory / "registry.lock").read_bytes() == lock


def test_a_new_default_of_an_old_field_keeps_its_id(directory: Path) -> None:
    before = read_lock(directory)["RoundRecord"]
    edit(directory, "SubmitJobs", lambda source: field_of(source, "all_or_nothing").update(default=False))
    assert len(check(directory)) == 1
    assert update_lock(directory) == []
    assert check(directory) == []
    assert read_lock(directory)["RoundRecord"] == before


def test_one_id_for_two_schemas_and_a_schema_without_file_are_found(directory: Path) -> None:
    lock = json.loads((directory / "registry.lock").read_text())
    lock["Settings"][0]["id"] = lock["Continue"][0]["id"]
    lock["Forgotten"] = [{"version": 1, "id": 999, "fingerprint": "", "text": "{}"}]
    (directory / "registry.lock").write_text(json.dumps(lock))
    problems = check(directory)
    assert any("Continue" in problem and "Settings" in problem for problem in problems)
    assert any("Forgotten" in problem for problem in problems)


def test_what_is_no_avro_is_a_problem_and_no_crash(directory: Path) -> None:
    edit(directory, "BeginEpoch", lambda source: source.update(type="recrod"))
    assert any("BeginEpoch.avsc is not an Avro schema" in problem for problem in check(directory))


def test_the_command_line_checks_the_committed_schemas(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().err == ""


def test_records_of_an_earlier_version_are_read_with_the_defaults_of_new_fields(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if BeginEpoch had once been without `leader`, and Event without `containers`."""
    lock = json.loads((directory / "registry.lock").read_text())
    events = read_source(directory, "Events")
    events["items"]["fields"] = [field for field in events["items"]["fields"] if field["name"] != "containers"]
    old = SchemaVersion(version=0, id=7_001, fingerprint="", text=json.dumps(events))
    lock["Events"].insert(0, {"version": old.version, "id": old.id, "fingerprint": "", "text": old.text})
    (directory / "registry.lock").write_text(json.dumps(lock))
    monkeypatch.setattr(codec, "SCHEMAS", load_schemas(directory))
    plain = {"ordinal": 1, "kind": "SUBMITTED", "job_id": bytes(16), "after": "QUEUED", "attempt": 0}
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(events), [plain])
    (event,) = codec.decode_events(frame_of(old.id) + stream.getvalue())
    assert (event.ordinal, event.kind, event.containers) == (1, "SUBMITTED", "")
    with pytest.raises(codec.Undecodable):
        codec.decode_events(frame_of(old.id) + stream.getvalue()[:-3])
    with pytest.raises(codec.Undecodable):
        codec.decode(frame_of(old.id) + stream.getvalue())
    assert codec.decode(codec.encode(BeginEpoch(epoch=1, leader="x"))) == BeginEpoch(epoch=1, leader="x")
