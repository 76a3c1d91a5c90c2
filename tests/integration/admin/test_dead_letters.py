"""`argosy-admin dead-letters` on a real topic."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Producer

from app.domain.clusters import DeadLetter
from app.log.codec import encode
from app.log.topics import DEAD_LETTERS
from tests.stack.server import KafkaBroker

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[3]


def admin(bootstrap: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.admin.main", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "ARGOSY_KAFKA__BOOTSTRAP": bootstrap, "ARGOSY_KAFKA__REPLICATION": "1"},
        check=False,
    )


def a_letter(offset: int, message: str) -> DeadLetter:
    return DeadLetter(
        topic="argosy.commands",
        partition=2,
        offset=offset,
        item=-1,
        component="queue-agent",
        reason="UNDECODABLE",
        message=message,
        log_time_ms=1_795_000_000_000,
        key=b"team-a",
        body=b"\x00nonsense",
    )


def test_dead_letters_are_listed_with_their_origin_and_shown_as_json(fresh_kafka: KafkaBroker) -> None:
    bootstrap = fresh_kafka.bootstrap
    assert admin(bootstrap, "topics", "apply").returncode == 0
    assert admin(bootstrap, "dead-letters", "list").stdout == "no dead letters\n"
    assert json.loads(admin(bootstrap, "dead-letters", "list", "--json").stdout) == []
    producer = Producer({"bootstrap.servers": bootstrap})
    for offset in (17, 18):
        producer.produce(DEAD_LETTERS, encode(a_letter(offset, f"bad\nmagic {offset}")), partition=0)
    assert producer.flush(30) == 0

    (first, second) = admin(bootstrap, "dead-letters", "list").stdout.splitlines()
    assert "argosy.commands/2@17  queue-agent  UNDECODABLE  bad magic 17" in first
    assert second.split()[0] == "1"
    assert admin(bootstrap, "dead-letters", "list", "--limit", "1").stdout.splitlines() == [second]

    listed = json.loads(admin(bootstrap, "dead-letters", "list", "--json").stdout)
    assert [(each["number"], each["offset"], each["message"]) for each in listed] == [
        (0, 17, "bad\nmagic 17"),
        (1, 18, "bad\nmagic 18"),
    ]

    shown = json.loads(admin(bootstrap, "dead-letters", "show", "1").stdout)
    assert shown.items() > listed[1].items()
    assert (shown["topic"], shown["partition"], shown["offset"], shown["item"]) == ("argosy.commands", 2, 18, None)
    assert shown["key"] == "team-a"
    assert shown["record"]["bytes"] == 9

    absent = admin(bootstrap, "dead-letters", "show", "2")
    assert absent.returncode == 1
    assert absent.stderr == "argosy-admin: there is no dead letter 2 (numbers that are kept: 0 to 1)\n"
