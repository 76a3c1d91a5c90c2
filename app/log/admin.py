"""Is a broker there and does it speak Kafka?

Input: a bootstrap address. Output: yes or no. Readiness is asked by the protocol, because an open port says only
that a process listens, not that its controller leads and its metadata is loaded.
"""

import time

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

POLL_INTERVAL_S = 0.05
REQUEST_TIMEOUT_S = 1.0


def broker_ready(bootstrap: str, timeout_s: float) -> bool:
    """Whether a broker behind `bootstrap` ("host:port[,host:port]") answers a metadata request within `timeout_s`.

    Never raises for a broker that is absent or still starting; blocks at most `timeout_s` + 1 s.
    """
    # A named client: the request of a temporary one is dropped silently when it is collected.
    client = AdminClient(
        {
            "bootstrap.servers": bootstrap,
            "log_level": 0,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 200,
            "socket.connection.setup.timeout.ms": 2000,
        }
    )
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if client.list_topics(timeout=min(REQUEST_TIMEOUT_S, max(timeout_s, 0.1))).brokers:
                return True
        except KafkaException:
            pass
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_INTERVAL_S)
