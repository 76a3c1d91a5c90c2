"""`argosy-admin topics` and `migrate` against a new broker and a new database."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.admin.postgres_node import run_sql
from app.admin.processes import LOOPBACK, free_port
from tests.stack.server import KafkaBroker

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[3]


def admin(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.admin.main", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "ARGOSY_KAFKA__PARTITIONS": "3", "ARGOSY_KAFKA__REPLICATION": "1", **settings},
        check=False,
    )


def test_topics_are_created_once_and_differences_are_shown_line_by_line(fresh_kafka: KafkaBroker) -> None:
    where = {"ARGOSY_KAFKA__BOOTSTRAP": fresh_kafka.bootstrap}
    before = admin("topics", "diff", **where)
    assert before.returncode == 1
    assert "argosy.commands: missing" in before.stdout.splitlines()
    applied = admin("topics", "apply", **where)
    assert applied.returncode == 0, applied.stderr
    assert "argosy.commands: created with 3 partitions" in applied.stdout
    assert admin("topics", "diff", **where).stdout == "no difference\n"
    again = admin("topics", "apply", **where)
    assert again.returncode == 0
    assert "created" not in again.stdout


def test_another_number_of_partitions_is_refused_in_one_line_that_says_what_to_do(fresh_kafka: KafkaBroker) -> None:
    where = {"ARGOSY_KAFKA__BOOTSTRAP": fresh_kafka.bootstrap}
    assert admin("topics", "apply", **where).returncode == 0
    refused = admin("topics", "apply", **{**where, "ARGOSY_KAFKA__PARTITIONS": "4"})
    assert refused.returncode == 1
    assert refused.stderr.startswith("argosy-admin: ")
    assert "3 partitions, the settings say 4" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_migrate_brings_an_empty_database_to_the_newest_revision_and_repeats_harmlessly(database: str) -> None:
    for _attempt in range(2):
        answer = admin("migrate", ARGOSY_POSTGRES__URL=database)
        assert answer.returncode == 0, answer.stderr
        assert answer.stdout.startswith("the platform's tables are at revision ")
    assert run_sql(database, "SELECT count(*) FROM platform_migrations") == "1"


def test_a_database_that_is_away_is_one_line_without_its_password() -> None:
    answer = admin("migrate", ARGOSY_POSTGRES__URL=f"postgresql://argosy:hunter2@{LOOPBACK}:{free_port()}/argosy")
    assert answer.returncode == 1
    assert answer.stderr.count("\n") == 1
    assert "hunter2" not in answer.stderr
