"""Names as 64-bit numbers: the rows of the history carry numbers, one table holds the names.

The number of a name is a hash of it, so a writer needs no table to give it out, several writers agree, and a rebuild
gives the same rows.
A query turns the names of its filter into numbers without asking, and the numbers of its rows into names by a bounded
cache.
"""

from collections import OrderedDict
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b

from app.db.engine import Connection

QUEUE, NODE, CLUSTER, POOL, OWNER, NAMESPACE, CLASS = "queue", "node", "cluster", "pool", "owner", "namespace", "class"
CATEGORY, CODE = "category", "code"

CACHED_MAX = 300_000

# The names of some numbers.
FETCH = "SELECT id, name FROM history_names WHERE id = ANY($1::bigint[])"


@lru_cache(maxsize=CACHED_MAX)
def name_id(kind: str, name: str) -> int:
    """The number of a name; kind keeps a queue and an owner of the same name apart. Never 0 in practice, signed
    (bigint)."""
    return _hash(f"{kind}\0{name}")


@lru_cache(maxsize=CACHED_MAX)
def node_id(cluster: str, node: str) -> int:
    """The number of a node: node names are unique in their cluster only."""
    return _hash(f"{NODE}\0{cluster}\0{node}")


@lru_cache(maxsize=CACHED_MAX)
def job_set_id(queue: str, incarnation: int, job_set: str) -> int:
    """The number of a job set of one incarnation of a queue."""
    return _hash(f"job set\0{queue}\0{incarnation}\0{job_set}")


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)


class Names:
    """The names of numbers, asked for once. A name never changes, so what is cached is true for ever."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, str] = OrderedDict()

    async def fetch(self, connection: Connection, wanted: Iterable[int | None]) -> dict[int, str]:
        """The names of all of them (None is skipped, an unknown number is missing in the answer)."""
        found: dict[int, str] = {}
        missing: set[int] = set()
        for number in wanted:
            if number is None or number in found:
                continue
            name = self._known.get(number)
            if name is None:
                missing.add(number)
            else:
                found[number] = name
        if missing:
            for row in await connection.fetch(FETCH, list(missing)):
                found[row["id"]] = self._known[row["id"]] = row["name"]
            while len(self._known) > CACHED_MAX:
                self._known.popitem(last=False)
        return found
