"""What a scheduler process needs to know, apart from the settings tree, so that tests can say it plainly."""

import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.settings.scheduler import SchedulerSettings

if TYPE_CHECKING:
    from app.settings import Settings

CLUSTERS_WINDOW_S = 25 * 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerOptions:
    """candidate names the process for people. health_port 0 = any free one. clusters_window_s: so far back node data is
    read at the start (clusters send a whole generation every 10 min). fault_stop_before_...: see FaultSwitch."""

    bootstrap: str
    partitions: int
    candidate: str = field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}")
    health_host: str = "127.0.0.1"
    health_port: int = 0
    delivery_timeout_s: float = 10.0
    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    clusters_window_s: float = CLUSTERS_WINDOW_S
    fault_stop_before_send: bool = False
    fault_stop_before_preempt: bool = False


def options_of(settings: "Settings") -> SchedulerOptions:
    """The options of a process that runs by the settings."""
    return SchedulerOptions(
        bootstrap=settings.kafka.bootstrap,
        partitions=settings.kafka.partitions,
        health_host=settings.health.host,
        health_port=settings.health.port,
        delivery_timeout_s=settings.kafka.delivery_timeout_ms / 1000,
        scheduler=settings.scheduler,
        fault_stop_before_send=settings.scheduler.fault_stop_before_send,
        fault_stop_before_preempt=settings.scheduler.fault_stop_before_preempt,
    )
