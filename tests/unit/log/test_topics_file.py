"""infra/kafka/topics.yaml: what it says, and every way to write it wrongly."""

from pathlib import Path

import pytest

from app.domain.limits import RECORD_BYTES_MAX
from app.log import topics
from app.log.topics import TopicsFileInvalid, load_topics

DAY_MS = 86_400_000


def test_the_committed_list_has_every_topic_that_the_code_names() -> None:
    named = {value for key, value in vars(topics).items() if key.isupper() and str(value).startswith("argosy.")}
    assert {spec.name for spec in load_topics()} == named


def test_co_partitioned_topics_have_p_partitions_and_the_others_a_number() -> None:
    counts = {spec.name: spec.partition_count(4) for spec in load_topics()}
    for name in (topics.COMMANDS, topics.EVENTS, topics.STATE, topics.CLIENT_IDS):
        assert counts[name] == 4
    assert (counts[topics.CLUSTERS], counts[topics.ROUNDS], counts[topics.LEADERSHIP]) == (12, 4, 1)


def test_what_the_protocol_relies_on_is_configured() -> None:
    config = {spec.name: spec.config for spec in load_topics()}
    assert config[topics.COMMANDS]["message.timestamp.type"] == "LogAppendTime"
    assert config[topics.COMMANDS]["cleanup.policy"] == "delete"
    assert config[topics.COMMANDS]["retention.ms"] == str(30 * DAY_MS)
    assert config[topics.LEADERSHIP]["retention.ms"] == "-1"
    for name in (topics.STATE, topics.CLIENT_IDS, topics.SHAPES):
        assert config[name]["cleanup.policy"] == "compact"
        assert config[name]["delete.retention.ms"] == str(15 * 60_000)
        assert config[name]["segment.ms"] == str(5 * 60_000)
        assert config[name]["segment.bytes"] == str(64 << 20)
    assert all(entry["max.message.bytes"] == str(RECORD_BYTES_MAX) for entry in config.values())


GOOD = """
defaults: {max.message.bytes: 1000}
compacted: {segment.ms: 5}
topics:
  argosy.a: {doc: A., partitions: P, cleanup: delete, retention: 2 h, segment: 5 min, config: {retention.bytes: 7}}
  argosy.b: {doc: B., partitions: 3, cleanup: compact, config: {flush: true}}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "topics.yaml"
    path.write_text(text)
    return path


def test_configs_of_a_topic_win_over_those_of_its_kind_and_those_over_the_defaults(tmp_path: Path) -> None:
    a, b = load_topics(written(tmp_path, GOOD))
    assert a.config == {
        "max.message.bytes": "1000",
        "cleanup.policy": "delete",
        "retention.ms": "7200000",
        "retention.bytes": "7",
        "segment.ms": "300000",
    }
    assert b.config == {"max.message.bytes": "1000", "cleanup.policy": "compact", "segment.ms": "5", "flush": "true"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("defaults:", "default:", "unknown key 'default'"),
        ("doc: A.,", "doc: A., colour: red,", "argosy.a: unknown key 'colour'"),
        ("doc: A.,", "", "argosy.a: doc"),
        ("doc: A.", "doc: 5", "argosy.a: doc"),
        ("partitions: P", "partitions: p", "argosy.a: partitions"),
        ("partitions: P", "partitions: 0", "argosy.a: partitions"),
        ("partitions: P", "partitions: true", "argosy.a: partitions"),
        ("partitions: P", "partitions: 257", "argosy.a: partitions"),
        ("cleanup: delete", "cleanup: remove", "argosy.a: cleanup"),
        ("cleanup: delete", "cleanup: [delete]", "argosy.a: cleanup"),
        ("retention: 2 h,", "", "argosy.a: retention"),
        ("cleanup: compact", "cleanup: compact, retention: 2 d", "argosy.b: retention"),
        ("retention: 2 h", "retention: 2 weeks", "argosy.a: retention: a number and d, h or min"),
        ("retention: 2 h", "retention: 7", "argosy.a: retention: a number and d, h or min"),
        ("segment: 5 min", "segment: -5 min", "argosy.a: segment"),
        ("{retention.bytes: 7}", "[7]", "argosy.a: config"),
        ("{retention.bytes: 7}", "{retention.bytes: [7]}", "argosy.a: config: retention.bytes"),
        ("argosy.a", "Argosy A", "no name of a topic"),
        ("topics:", "topics: 3\nx:", "unknown key 'x'"),
    ],
)
def test_what_is_wrong_is_named_by_topic_and_key(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(TopicsFileInvalid) as caught:
        load_topics(written(tmp_path, GOOD.replace(old, new, 1)))
    assert words in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "topics: {}", "topics: 3", "{", "a: &a [*a]", "\x00", "x" * (1 << 21)])
def test_what_is_no_list_of_topics_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(TopicsFileInvalid) as caught:
        load_topics(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TopicsFileInvalid, match="nowhere"):
        load_topics(tmp_path / "nowhere.yaml")
