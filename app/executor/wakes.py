"""When to look at runs again: the earliest time of each run, in order."""

import heapq
from collections.abc import Iterable, Mapping


class Wakes:
    """A heap of times; a run stands at its earliest one only."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []
        self._at_ms: dict[str, int] = {}

    def add(self, wakes: Mapping[str, int]) -> None:
        """Look at these runs then, unless they stand earlier already."""
        for run_id, at_ms in wakes.items():
            known = self._at_ms.get(run_id)
            if known is None or at_ms < known:
                self._at_ms[run_id] = at_ms
                heapq.heappush(self._heap, (at_ms, run_id))

    def due(self, now_ms: int) -> set[str]:
        """The runs whose time has come; they are taken off."""
        found: set[str] = set()
        while self._heap and self._heap[0][0] <= now_ms:
            at_ms, run_id = heapq.heappop(self._heap)
            if self._at_ms.get(run_id) == at_ms:
                del self._at_ms[run_id]
                found.add(run_id)
        return found

    def drop(self, run_ids: Iterable[str]) -> None:
        """These runs have just been looked at: what they wait for is said anew."""
        for run_id in run_ids:
            self._at_ms.pop(run_id, None)

    def next_ms(self) -> int | None:
        """When the next run is due."""
        while self._heap and self._at_ms.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
