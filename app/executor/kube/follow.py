"""Following one kind of objects by list and watch, as a state machine. Pure: no I/O, no clock.

It says what to do next (`step`), takes what came (a list, events, the end of a stream, a probe), and yields what
differs from what was known. Nothing is missed: an object that vanished between two lists is reported as gone, as last
seen; a watch goes on behind the last event that was taken, whatever ended it.

Resource versions are compared as numbers only to recognise a store that was reset (restored from a backup): its
versions begin below ours, and a watch from the future would stay silent for ever.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")


class Step(Enum):
    """What is to be done next."""

    LIST = "list"
    """everything, anew"""
    WATCH = "watch"
    """from `version` on"""
    PROBE = "probe"
    """ask for the store's current version: the connection was lost or silent"""


class EventType(Enum):
    """Of a watch."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"
    ERROR = "ERROR"


@dataclass(slots=True)
class Difference(Generic[T]):
    """What differs. gone: as last seen."""

    changed: list[T] = field(default_factory=list)
    gone: list[T] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.changed or self.gone)


class Follower(Generic[T]):
    """The state of following one kind. Objects are known by key: a uid, or a name where names are not used again."""

    def __init__(self) -> None:
        self.step = Step.LIST
        self.version = ""
        self.known: dict[str, T] = {}
        self.lists = 0

    def listed(self, objects: Iterable[tuple[str, T]], version: str) -> Difference[T]:
        """A whole list came: it is the truth, whatever was known before."""
        fresh = dict(objects)
        difference = Difference(
            changed=[value for key, value in fresh.items() if self.known.get(key) != value],
            gone=[value for key, value in self.known.items() if key not in fresh],
        )
        self.known, self.version, self.step = fresh, version, Step.WATCH
        self.lists += 1
        return difference

    def event(self, kind: EventType, key: str, value: T, version: str) -> Difference[T]:
        """An event of the watch came. One that repeats what is known makes no difference."""
        self.version = version or self.version
        if kind is EventType.DELETED:
            known = self.known.pop(key, None)
            return Difference() if known is None else Difference(gone=[value])
        if self.known.get(key) == value:
            return Difference()
        self.known[key] = value
        return Difference(changed=[value])

    def bookmark(self, version: str) -> None:
        """Nothing has happened up to this version."""
        self.version = version or self.version

    def expired(self) -> None:
        """The version is too old for the API server (410 Gone), or its answer cannot be understood."""
        self.step = Step.LIST

    def ended(self) -> None:
        """The stream ended in order, as API servers do now and then: go on behind the last event."""
        if self.step is not Step.LIST:
            self.step = Step.WATCH

    def lost(self) -> None:
        """The connection broke, or said nothing for too long, not even a bookmark: is it still the same store?"""
        if self.step is not Step.LIST:
            self.step = Step.PROBE

    def probed(self, version: str) -> None:
        """The store's current version: below ours, it was reset."""
        ours, theirs = _number(self.version), _number(version)
        self.step = Step.LIST if ours is None or theirs is None or theirs < ours else Step.WATCH


def _number(version: str) -> int | None:
    return int(version) if version.isascii() and version.isdigit() and len(version) <= 20 else None
