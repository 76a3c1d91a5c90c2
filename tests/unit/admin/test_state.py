"""The state directory: ports, secrets, the lock, and files that are whole or absent."""

import hashlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.admin.errors import AlreadyRunningError, PortTakenError
from app.admin.processes import LOOPBACK, ProcessRecord, free_port, last_lines, port_taken
from app.admin.state import ProcessState, StackState, StateDirectory


@pytest.fixture
def directory(tmp_path: Path) -> StateDirectory:
    directory = StateDirectory(tmp_path / ".dev")
    directory.create()
    return directory


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_is_remembered_and_used_again(directory: StateDirectory) -> None:
    first = directory.port("kafka", 0, setting="dev.kafka_port")
    assert not port_taken(first)
    assert StateDirectory(directory.path).port("kafka", 0, setting="dev.kafka_port") == first
    assert directory.port("postgres", 0, setting="dev.postgres_port") != first


def test_a_remembered_port_that_somebody_took_meanwhile_is_replaced(directory: StateDirectory, taken_port: int) -> None:
    (directory.path / "ports.json").write_text(f'{{"kafka": {taken_port}}}')
    assert directory.port("kafka", 0, setting="dev.kafka_port") != taken_port


def test_a_configured_port_that_is_taken_is_one_line_that_says_which_by_whom_and_what_to_do(
    directory: StateDirectory, taken_port: int
) -> None:
    with pytest.raises(PortTakenError) as caught:
        directory.port("kafka", taken_port, setting="dev.kafka_port")
    message = str(caught.value)
    assert message.startswith(f"port {taken_port} (dev.kafka_port) is in use")
    assert f"(pid {os.getpid()})" in message
    assert message.endswith("stop that process or choose another port")


def test_a_default_port_that_is_taken_gives_way_to_a_free_one(directory: StateDirectory, taken_port: int) -> None:
    chosen = directory.port("api", taken_port, setting="api.port", insist=False)
    assert chosen != taken_port
    assert not port_taken(chosen)


def test_a_configured_port_is_used(directory: StateDirectory) -> None:
    wanted = free_port()
    assert directory.port("kafka", wanted, setting="dev.kafka_port") == wanted


def test_a_cluster_keeps_its_token_which_only_the_owner_may_read(directory: StateDirectory) -> None:
    path, sha256 = directory.token("alpha")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert directory.token("alpha") == (path, sha256)
    assert directory.token("bravo")[1] != sha256


def test_only_one_process_owns_the_directory(directory: StateDirectory) -> None:
    with (
        directory.locked(),
        pytest.raises(AlreadyRunningError, match="argosy-admin dev status"),
        StateDirectory(directory.path).locked(),
    ):
        pass
    with directory.locked():
        pass


def test_the_state_survives_the_file_and_a_foreign_file_counts_as_none(directory: StateDirectory) -> None:
    record = ProcessRecord(name="supervisor", pid=os.getpid(), started=1.5, marker="x")
    state = StackState(phase="up", supervisor=record, processes=(ProcessState(name="kafka", state="ready"),))
    directory.write(state)
    assert directory.read() == state
    assert directory.supervisor() is None, "another start time: not this process"
    for text in ("", "[]", '{"phase": 3}', "\x00"):
        directory.state_file.write_text(text)
        assert directory.read() is None
        assert directory.left_over() == []


def test_the_end_of_a_log_leaves_out_frames_of_stack_traces(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("one\ntwo\njava.lang.Exception: bad\n\tat a.b(C.java:1)\n\t... 3 more\n")
    assert last_lines(log, 2) == "two | java.lang.Exception: bad"
    assert last_lines(tmp_path / "absent") == ""


def test_the_port_that_a_process_uses_is_found_while_it_uses_it(directory: StateDirectory) -> None:
    assert directory.port_in_use("scheduler-health") is None
    port = directory.port("scheduler-health", 0, setting="")
    with socket.create_server(("127.0.0.1", port)):
        assert directory.port_in_use("scheduler-health") == port
