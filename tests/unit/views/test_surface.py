"""The surface of views: what a view may be called, how it is found, what records become before it sees them."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table

from app.domain.commands import QueueSpec
from app.domain.events import EventsRecord
from app.domain.rows import POSITION_KEY, PositionRow, QueueRow
from app.log.codec import encode
from app.log.topics import CLUSTERS, EVENTS, STATE
from app.views import discovery
from app.views.discovery import ViewsNotFound, find_views, views_of
from app.views.source import EventsSource, PlainSource, PoisonRecord, RawRecord, StateSource, source_of
from app.views.view import WEEK_MS, View, week_of
from app.views.writer import Stand
from tests.unit.views.event_log import EventLog


def view(name: str = "depth", table: str = "depth_v1", version: int = 1, app: str = "") -> View:
    metadata = MetaData()
    Table(table, metadata, Column("id", Integer, primary_key=True))
    return View(name=name, version=version, app=app, topic=EVENTS, metadata=metadata, rows=lambda batch: [])


@pytest.mark.parametrize("name", ["", "Depth", "1depth", "de-pth", "d" * 31, 'd"; drop'])
def test_a_name_that_is_no_identifier_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a name is a-z"):
        view(name=name)


def test_an_app_is_named_like_a_view() -> None:
    with pytest.raises(ValueError, match="app 'Hi story' must be named like a view"):
        view(app="Hi story")


def test_tables_must_carry_name_and_version() -> None:
    with pytest.raises(ValueError, match="must be called depth_v1 or depth_v1_"):
        view(table="jobs")
    with pytest.raises(ValueError, match="must be called"):
        view(table="depth_v10")
    with pytest.raises(ValueError, match="versions begin at 1"):
        view(version=0)


def test_queries_see_tables_without_their_version() -> None:
    assert view().stable_name("depth_v1") == "depth"
    assert view().stable_name("depth_v1_by_queue") == "depth_by_queue"
    assert (view().app_name, view(app="history").app_name) == ("depth", "history")


def test_weeks_begin_on_monday() -> None:
    monday_ms = 1_795_392_000_000  # 2026-11-23
    assert week_of(monday_ms) == monday_ms
    assert week_of(monday_ms + WEEK_MS - 1) == monday_ms
    assert week_of(monday_ms - 1) == monday_ms - WEEK_MS


def test_our_views_are_found_by_their_modules() -> None:
    assert [(found.name, found.app_name, found.topic) for found in find_views()] == [
        ("history", "history", EVENTS),
        ("leases", "leases", EVENTS),
        ("nodes", "nodes", CLUSTERS),
        ("queues", "queues", STATE),
        ("rounds", "rounds", "argosy.rounds"),
        ("share_history", "rounds", "argosy.rounds"),
        ("throughput", "rollups", EVENTS),
    ]
    assert [found.name for found in views_of("leases")] == ["leases"]


def test_an_app_that_nobody_has_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ViewsNotFound, match="no view of app 'lease'; there are: history, leases"):
        views_of("lease")


def foreign_views(monkeypatch: pytest.MonkeyPatch, directory: Path, **modules: str) -> None:
    """Distributions that offer views: name of the module -> its source."""
    for name, source in modules.items():
        (directory / f"{name}.py").write_text(source)
        sys.modules.pop(name, None)
    monkeypatch.syspath_prepend(str(directory))
    points = [EntryPoint(name=name, value=f"{name}:VIEW", group=discovery.GROUP) for name in modules]
    monkeypatch.setattr(discovery, "entry_points", lambda group: points)


FOREIGN = """
from sqlalchemy import Column, Integer, MetaData, Table
from app.views.view import View
METADATA = MetaData()
Table("{name}_v1", METADATA, Column("id", Integer, primary_key=True))
VIEW = View(name="{name}", version=1, topic="argosy.events", metadata=METADATA, rows=lambda batch: [])
"""


def test_foreign_views_come_by_entry_point(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    foreign_views(monkeypatch, tmp_path, foreign_depth=FOREIGN.format(name="depth"))
    assert [found.name for found in views_of("depth")] == ["depth"]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("VIEW = 7", "must offer a View, not int"),
        ("x = 1", "AttributeError"),
        (FOREIGN.format(name="history"), "there is a view 'history' already"),
    ],
)
def test_a_foreign_view_that_is_broken_stops_the_worker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, why: str
) -> None:
    foreign_views(monkeypatch, tmp_path, foreign_broken=source)
    with pytest.raises(ViewsNotFound, match=why):
        find_views()


def test_events_are_cut_by_command_and_know_the_middle_of_one() -> None:
    record = EventsRecord(offset=7, first_ordinal=0, count=3, last=False, log_time_ms=50, command="SubmitJobs")
    rest = EventsRecord(offset=7, first_ordinal=3, count=2, last=True, log_time_ms=50, command="SubmitJobs")
    source = EventsSource()
    first = source.cut([RawRecord(0, 90, None, encode(record), 1)])
    assert first.stands == {0: Stand(position=6, next_ordinal=3, source_offset=90, first_offset=7, log_time_ms=50)}
    second = source.cut([RawRecord(0, 91, None, encode(rest), 1)])
    assert second.stands == {0: Stand(position=7, next_ordinal=0, source_offset=91, first_offset=7, log_time_ms=50)}


@pytest.mark.parametrize(
    ("offset", "first"), [(9, 0), (7, 0), (8, 1)], ids=["a command later", "the same again", "its middle"]
)
def test_what_does_not_follow_is_a_hole_and_moves_nothing(offset: int, first: int) -> None:
    source = EventsSource()
    source.reset(0, Stand(position=7, source_offset=20, first_offset=0))
    before = source.stand(0)
    good = EventsRecord(offset=3, first_ordinal=0, count=0, last=True, log_time_ms=1, command="Continue")
    bad = EventsRecord(offset=offset, first_ordinal=first, count=1, last=True, log_time_ms=1, command="Continue")
    with pytest.raises(PoisonRecord, match="a hole in the log: command 8 from event 0"):
        source.cut([RawRecord(1, 0, None, encode(good), 1), RawRecord(0, 21, None, encode(bad), 1)])
    assert source.stand(0) == before
    assert source.stand(1) == Stand()


def test_a_partition_that_goes_back_leaves_the_others() -> None:
    log = EventLog(seed=1)
    source = EventsSource()
    saved = source.save({0})
    source.cut([*log.partitions[0].events, *log.partitions[1].events])
    source.restore(saved)
    assert source.stand(0) == Stand()
    assert source.stand(1).source_offset == log.partitions[1].events[-1].offset


def test_rows_of_state_wait_for_their_position_and_other_keys_are_not_even_decoded() -> None:
    row = QueueRow(incarnation=3, created_ms=1, spec=QueueSpec(name="a"))
    position = PositionRow(offset=5, epoch=1, log_time_ms=777, settings_version=0)
    source = StateSource(b"q")
    assert source.cut([RawRecord(0, 1, b"qa", encode(row), 1), RawRecord(0, 2, b"jxx", b"no avro", 1)]).records == []
    cut = source.cut([RawRecord(0, 3, b"qb", None, 1), RawRecord(0, 4, POSITION_KEY, encode(position), 1)])
    assert [(record.key, record.value, record.log_time_ms) for record in cut.records] == [
        (b"qa", row, 777),
        (b"qb", None, 777),
    ]
    assert cut.stands[0] == Stand(position=5, source_offset=4, first_offset=5, log_time_ms=777)
    saved = source.save({0})
    source.cut([RawRecord(0, 5, b"qa", None, 1)])
    source.restore(saved)
    assert source.cut([RawRecord(0, 6, POSITION_KEY, encode(position), 1)]).records == []


def test_bytes_that_are_no_value_are_poison_with_their_place() -> None:
    for source in (EventsSource(), PlainSource(), StateSource(b"q")):
        with pytest.raises(PoisonRecord, match="partition 2 offset 9: Undecodable"):
            source.cut([RawRecord(2, 9, b"q", b"\1garbage", 1)])


def test_each_topic_has_its_kind_of_source() -> None:
    assert isinstance(source_of(EVENTS, b""), EventsSource)
    assert isinstance(source_of(STATE, b"q"), StateSource)
    assert isinstance(source_of(CLUSTERS, b""), PlainSource)
