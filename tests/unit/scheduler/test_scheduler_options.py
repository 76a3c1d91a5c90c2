"""The scheduler takes its part of the settings."""

from app.scheduler.options import options_of
from app.settings import load_settings


def test_options_come_from_the_settings() -> None:
    settings = load_settings(
        None,
        {
            "ARGOSY_KAFKA__BOOTSTRAP": "broker:1",
            "ARGOSY_KAFKA__PARTITIONS": "7",
            "ARGOSY_KAFKA__DELIVERY_TIMEOUT_MS": "2500",
            "ARGOSY_HEALTH__PORT": "8123",
            "ARGOSY_SCHEDULER__FAULT_STOP_BEFORE_SEND": "true",
            "ARGOSY_SCHEDULER__MAX_ATTEMPTS": "9",
        },
    )
    options = options_of(settings)
    assert (options.bootstrap, options.partitions, options.health_port) == ("broker:1", 7, 8123)
    assert options.delivery_timeout_s == 2.5
    assert options.fault_stop_before_send
    assert options.scheduler.max_attempts == 9
    assert options.candidate
    assert not options_of(load_settings(None, {})).fault_stop_before_send
