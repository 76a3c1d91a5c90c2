"""The supervisor: order, restarts, faults, over processes that do nothing and over the real Kafka and Postgres."""

import os
import signal
import socket
import time
from pathlib import Path

import psutil
import pytest

from app.admin.launch import stop_stack
from app.admin.postgres_node import run_sql
from app.admin.processes import LOOPBACK
from app.log.admin import broker_ready
from tests.stack.directory import stack_directory
from tests.stack.supervised import DEADLINE_S, SupervisedStack, running, until


def test_stages_start_in_order_and_stop_in_reverse_order(tmp_path: Path) -> None:
    with running(tmp_path, "kafka", "task:print('made')", "agent,view", "api") as stack:
        assert next(event for event in stack.events() if event.startswith("start")) == "start kafka"
        assert stack.events()[-1] == "start api"
        assert (tmp_path / "task.log").read_text() == "made\n"
        stack.process.send_signal(signal.SIGTERM)
        assert stack.process.wait(DEADLINE_S) == 0
        stops = [event for event in stack.events() if event.startswith("stop")]
        assert stops[0] == "stop api"
        assert stops[-1] == "stop kafka"
        assert set(stops[1:3]) == {"stop agent", "stop view"}
        assert stack.state().phase == "stopped"
        assert {process.state for process in stack.state().processes} == {"stopped"}


def test_a_killed_child_is_started_again_and_the_others_are_left_alone(tmp_path: Path) -> None:
    with running(tmp_path, "kafka", "agent") as stack:
        kafka, former = stack.pid("kafka"), stack.pid("agent")
        os.kill(former, signal.SIGKILL)
        until(
            lambda: stack.component("agent").restarts == 1 and stack.component("agent").state == "ready", "ready again"
        )
        assert stack.pid("agent") != former
        assert stack.pid("kafka") == kafka
        assert "agent ended by SIGKILL" in stack.output.read_text()


def test_a_fail_stop_code_is_followed_by_a_start_at_once(tmp_path: Path) -> None:
    with running(tmp_path, "agent") as stack:
        for restarts, code in enumerate((70, 71, 73, 74), start=1):
            begun_at = time.monotonic()
            stack.leave("agent", code)
            until(lambda n=restarts: stack.events().count("start agent") == n + 1, "started again")  # type: ignore[misc]
            assert time.monotonic() - begun_at < 5.0
            until(lambda: stack.component("agent").state == "ready", "ready again")


def test_a_code_that_needs_a_person_halts_that_process_only_and_says_so(tmp_path: Path) -> None:
    with running(tmp_path, "kafka", "agent") as stack:
        stack.leave("agent", 72)
        until(lambda: stack.component("agent").state == "halted", "halted")
        assert "agent ended with code 72" in stack.output.read_text()
        assert "NOT started again" in stack.output.read_text()
        assert stack.component("kafka").state == "ready"
        assert not stack.ended()


def test_a_start_that_needs_a_person_ends_with_one_line_and_stops_what_was_started(tmp_path: Path) -> None:
    (tmp_path / "agent.exit").write_text("75")
    with running(tmp_path, "kafka", "agent", "api") as stack:
        assert stack.process.wait(DEADLINE_S) == 5
        assert stack.state().phase == "failed"
        assert stack.state().failure.startswith("agent ended with code 75 and needs a person: agent leaves with 75")
        assert stack.events().count("stop kafka") == 1
        assert "start api" not in stack.events()


def test_a_task_that_fails_ends_the_start_with_what_it_said(tmp_path: Path) -> None:
    with running(tmp_path, "kafka", "task:raise SystemExit('topics: partitions differ')", "agent") as stack:
        assert stack.process.wait(DEADLINE_S) == 5
        assert stack.state().failure.startswith("task ended with code 1: topics: partitions differ (log: ")
        assert "start agent" not in stack.events()


def test_a_child_that_ignores_the_signal_is_killed_after_the_deadline(tmp_path: Path) -> None:
    with running(tmp_path, "kafka", "agent!") as stack:
        pid = stack.pid("agent")
        stack.process.send_signal(signal.SIGINT)
        assert stack.process.wait(DEADLINE_S) == 0
        assert not psutil.pid_exists(pid)
        assert "agent had to be killed" in stack.output.read_text()
        assert "kafka stopped" in stack.output.read_text()


def test_a_second_supervisor_of_the_same_directory_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, "kafka") as stack:
        second = SupervisedStack(tmp_path, "kafka")
        assert second.process.wait(DEADLINE_S) == 6
        assert "a stack runs already in" in stack.output.read_text()
        assert stack.events() == ["start kafka"]


def test_what_a_killed_supervisor_left_is_found_by_pid_start_time_and_command_and_stopped_in_reverse(
    tmp_path: Path,
) -> None:
    with running(tmp_path, "kafka", "agent") as stack:
        stack.process.kill()
        stack.process.wait()
        assert stack.state_directory.supervisor() is None
        assert [process.name for process in stack.state_directory.left_over()] == ["kafka", "agent"]
        said: list[str] = []
        assert stop_stack(stack.state_directory, 5.0, said.append)
        assert said[1:] == ["agent stopped", "kafka stopped"]
        assert stack.events()[-2:] == ["stop agent", "stop kafka"]
        assert not stop_stack(stack.state_directory, 5.0, said.append)


def test_a_pid_that_belongs_to_somebody_else_now_is_never_signalled(tmp_path: Path) -> None:
    with running(tmp_path, "kafka") as stack:
        record = stack.component("kafka").record
        assert record is not None
        assert record.find() is not None
        other = type(record)(name="kafka", pid=record.pid, started=record.started - 60.0, marker=record.marker)
        assert other.find() is None
        assert other.stop(deadline_s=0.1)
        foreign = type(record)(name="kafka", pid=record.pid, started=record.started, marker="another command")
        assert foreign.find() is None
        assert record.find() is not None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_the_start_stops_everything(tmp_path: Path, number: signal.Signals) -> None:
    stack = SupervisedStack(tmp_path, "kafka", "task:import time; time.sleep(60)", "agent")
    try:
        until(lambda: (tmp_path / "task.log").exists(), "the task runs")
        stack.process.send_signal(number)
        assert stack.process.wait(DEADLINE_S) == 0
        assert stack.events() == ["start kafka", "stop kafka"]
    finally:
        stack.close()


SERVERS = "tests.stack.server_supervisor"


def test_kafka_and_postgres_come_up_survive_a_kill_with_their_data_and_stop_in_order() -> None:
    with stack_directory("supervised") as directory:
        stack = SupervisedStack(directory, module=SERVERS)
        try:
            until(lambda: stack.ended() or stack.is_up(), "up")
            urls = {process.name: process.url for process in stack.state().processes}
            password = (directory / "state" / "data" / "postgres" / "password").read_text()
            database = f"postgresql://argosy:{password}@{urls['postgres']}/argosy"
            run_sql(database, "CREATE TABLE kept AS SELECT 7 AS x")
            for name in ("kafka", "postgres"):
                os.kill(stack.pid(name), signal.SIGKILL)
            for name in ("kafka", "postgres"):
                until(lambda n=name: stack.component(n).restarts == 1 and stack.component(n).state == "ready", name)  # type: ignore[misc]
            assert broker_ready(urls["kafka"], 1.0)
            assert run_sql(database, "SELECT x FROM kept") == "7"
            pids = [stack.pid(name) for name in ("kafka", "postgres")]
            stack.process.send_signal(signal.SIGINT)
            assert stack.process.wait(DEADLINE_S) == 0
            assert not any(psutil.pid_exists(pid) for pid in pids)
            assert "had to be killed" not in stack.output.read_text()
        finally:
            stack.close()


def test_a_configured_port_that_is_taken_ends_the_start_with_one_line(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen()
        port = listener.getsockname()[1]
        stack = SupervisedStack(
            tmp_path, module=SERVERS, environment={**os.environ, "ARGOSY_DEV__KAFKA_PORT": str(port)}
        )
        assert stack.process.wait(DEADLINE_S) == 4
    said = stack.output.read_text()
    assert said.startswith(f"port {port} (dev.kafka_port) is in use by ")
    assert said.count("\n") == 1
