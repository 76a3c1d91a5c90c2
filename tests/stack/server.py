"""A server under test: a node of app.admin with a life that a test may end and begin as it likes.

Inputs: a KafkaNode or PostgresNode. Outputs: verbs of a fault test. Ports and data stay the same over restarts.
"""

import signal
from abc import ABC, abstractmethod
from pathlib import Path

from app.admin.kafka_node import KafkaNode
from app.admin.postgres_node import PostgresNode
from app.admin.processes import Child, free_port


class Server(ABC):
    """Not started by construction."""

    def __init__(self) -> None:
        self._child: Child | None = None

    @property
    def pid(self) -> int:
        return self._running().pid

    def start(self) -> None:
        """Starts and waits until it answers by its own protocol."""
        assert self._child is None, "already started"
        self._child = self._start()

    def stop(self) -> None:
        """An orderly end; does nothing when it does not run."""
        child, self._child = self._child, None
        if child is not None:
            self._stop(child)

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone."""
        child, self._child = self._running(), None
        child.kill()

    def restart(self) -> None:
        """An orderly end and a start."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: it holds its connections and answers nobody."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Ends it without ceremony, whatever its state; for fixtures."""
        if self._child is not None:
            self.kill()

    def _running(self) -> Child:
        assert self._child is not None, "not started"
        return self._child

    @abstractmethod
    def _start(self) -> Child: ...

    @abstractmethod
    def _stop(self, child: Child) -> None: ...


class KafkaBroker(Server):
    """One broker on free ports with its data in `directory`."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.node = KafkaNode(directory=directory, port=free_port(), controller_port=free_port(), quick_start=True)

    @property
    def bootstrap(self) -> str:
        return self.node.bootstrap

    def _start(self) -> Child:
        return self.node.start(die_with_parent=True)

    def _stop(self, child: Child) -> None:
        self.node.stop(child)


class PostgresServer(Server):
    """One Postgres server without fsync on a free port with its data in `directory`."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.node = PostgresNode(directory=directory, port=free_port(), fast=True)

    @property
    def url(self) -> str:
        return self.node.url

    def _start(self) -> Child:
        return self.node.start(die_with_parent=True)

    def _stop(self, child: Child) -> None:
        self.node.stop(child)
