"""Every waiting time of the executor's rules in one place, in ms, with the relations that must hold between them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Defaults are those of executor-api.md; tests and fake clusters shorten them. Raises ValueError when a relation
    is broken."""

    create_timeout_ms: int = 10_000
    """server-side time limit of a create"""
    create_retry_ms: int = 1_000
    """a create whose outcome is unknown is sent again under the same name after this"""
    last_words_ms: int = 30_000
    """after any create that may have been sent; only then does "there is no such pod" mean anything (rule 4)"""
    read_retry_ms: int = 2_000
    """a read by name that found a pod, or failed, is repeated after this"""
    unseen_ms: int = 60_000
    """a created pod that the watch does not show is read by name after this"""
    finished_keep_ms: int = 180_000
    """a finished pod is kept at least this long (rule 5)"""
    delete_retry_ms: int = 10_000
    force_delete_ms: int = 30_000
    """beyond its grace time, a pod on a ready or vanished node is deleted by force"""
    image_not_found_ms: int = 90_000
    """the registry says that there is no such image: the run fails"""
    image_unavailable_ms: int = 900_000
    """an image cannot be pulled for any other reason: the run is returned"""
    stuck_starting_ms: int = 300_000
    """a pod that has not begun by then is returned"""
    node_lost_ms: int = 60_000
    """a node that has pods and is not in the cluster any more may come back until then"""
    full_every_ms: int = 600_000
    """all held runs are sent, and a full answer asked for (rule 3)"""
    full_retry_ms: int = 10_000
    """the least time between two full requests"""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        if self.finished_keep_ms < self.last_words_ms:
            raise ValueError(
                "finished_keep_ms must be at least last_words_ms: a kept pod is what makes a late create harmless"
            )
        if self.last_words_ms and self.create_timeout_ms >= self.last_words_ms:
            raise ValueError("create_timeout_ms must be below last_words_ms: a create must have ended by then")


DEFAULT_TIMINGS = Timings()
