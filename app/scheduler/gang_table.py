"""Numbers for gangs, so that a column can say which gang a job belongs to; and who is in which gang.

Input: the gang of each job that has one, as its row says. Output: numbers (used again once nobody is in the gang any
more), the members of a gang, and the gang behind a number in the terms of a round.
"""

from app.domain.rows import JobGang
from app.scheduler.interning import NONE
from app.scheduling.jobs import Gang

Key = tuple[str, Gang]


class GangTable:
    """Gangs of one queue, id, generation, cardinality and label. Members that disagree are in gangs of their own."""

    def __init__(self) -> None:
        self._numbers: dict[Key, int] = {}
        self._keys: list[Key | None] = []
        self._members: list[set[int]] = []
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._numbers)

    def join(self, slot: int, queue: str, gang: JobGang) -> int:
        """The job in a slot is in this gang now; returns the number of the gang."""
        key = (
            queue,
            Gang(
                id=gang.gang_id,
                cardinality=gang.cardinality,
                uniformity_label=gang.uniformity_label,
                generation=gang.generation,
            ),
        )
        number = self._numbers.get(key)
        if number is None:
            if self._free:
                number = self._free.pop()
                self._keys[number], self._members[number] = key, set()
            else:
                number = len(self._keys)
                self._keys.append(key)
                self._members.append(set())
            self._numbers[key] = number
        self._members[number].add(slot)
        return number

    def leave(self, slot: int, number: int) -> None:
        """The job in a slot is in this gang no more. NONE does nothing."""
        if number == NONE:
            return
        members, key = self._members[number], self._keys[number]
        members.discard(slot)
        if not members and key is not None:
            del self._numbers[key]
            self._keys[number] = None
            self._free.append(number)

    def gang(self, number: int) -> Gang:
        """What the members of a gang say of it."""
        key = self._keys[number]
        assert key is not None, f"gang {number} has no members"
        return key[1]

    def members(self, number: int) -> frozenset[int]:
        """Slots of the live jobs of a gang; nobody for NONE."""
        return frozenset() if number == NONE else frozenset(self._members[number])
