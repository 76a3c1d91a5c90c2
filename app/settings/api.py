"""The API process: where it listens, who may ask, what it accepts."""

import ipaddress

from pydantic import Field, model_validator

from app.settings.section import KIB, MIB, Port, Section, Sha256

# features.md Q5: what a principal may do beside what a queue grants.
GLOBAL_VERBS = (
    "submit_any_jobs",
    "cancel_any_jobs",
    "preempt_any_jobs",
    "reprioritize_any_jobs",
    "watch_all_events",
    "create_queue",
    "delete_queue",
    "cordon_queue",
    "cordon_nodes",
    "execute_jobs",
    "update_executor_settings",
    "create_retry_policy",
    "update_retry_policy",
    "delete_retry_policy",
)


class TokenSettings(Section):
    """A bearer token of a person or a program."""

    sha256: Sha256
    """SHA-256 of the token, so that this file betrays no token."""
    user: str = Field(min_length=1, max_length=253)
    """Who asks when this token is shown."""
    groups: tuple[str, ...] = ()
    """Groups of that user."""
    verbs: tuple[str, ...] = ()
    """Global verbs (app.settings.api.GLOBAL_VERBS) beside those that queues grant; "*" = all."""

    @model_validator(mode="after")
    def _known_verbs(self) -> "TokenSettings":
        unknown = [verb for verb in self.verbs if verb != "*" and verb not in GLOBAL_VERBS]
        if unknown:
            raise ValueError(f"unknown verb {unknown[0]!r}; known: *, {', '.join(GLOBAL_VERBS)}")
        return self

    def granted_verbs(self) -> tuple[str, ...]:
        """`verbs` with "*" written out."""
        return GLOBAL_VERBS if "*" in self.verbs else self.verbs


class ApiSettings(Section):
    """The GraphQL API and the API of the executors, on one port."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Port = 8080
    """`argosy-admin dev up` takes a free one instead when this one is taken and was not asked for."""
    anonymous: bool = True
    """Whether a request without token is the user `anonymous_user` with all global verbs. Only on loopback."""
    anonymous_user: str = Field(default="anonymous", min_length=1, max_length=253)
    """Its name."""
    tokens: tuple[TokenSettings, ...] = ()
    """Bearer tokens of people and programs."""
    body_bytes_max: int = Field(default=24 * MIB, ge=64 * KIB, le=24 * MIB)
    """A larger HTTP body is refused with 413."""
    wait_timeout_ms: int = Field(default=10_000, ge=100, le=120_000)
    """A mutation that waits for APPLIED or VISIBLE gives up after this."""
    subscriptions_max: int = Field(default=5_000, ge=1, le=100_000)
    """Open subscriptions of one process; further ones are refused."""

    @model_validator(mode="after")
    def _anonymous_only_on_loopback(self) -> "ApiSettings":
        if self.anonymous and not is_loopback(self.host):
            raise ValueError("anonymous must be false when host is not a loopback address")
        return self


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address. A name other than localhost does not count: it may change."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
