"""Which partition a queue belongs to: murmur2 (Kafka's own default partitioner) of its UTF-8 name, modulo the
partition count.

Records always carry their partition explicitly; this function is the only place that computes one from a name.
"""

from functools import lru_cache

_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Kafka's murmur2 (seed 0x9747b28c), as an unsigned 32-bit number. Source: Austin Appleby's MurmurHash2, as in
    Kafka's Utils.murmur2."""
    length = len(data)
    h = (0x9747B28C ^ length) & _MASK
    whole = length & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    rest = data[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


@lru_cache(maxsize=100_000)
def partition_of_name(name: str, partitions: int) -> int:
    """The partition of a queue's (or, in argosy.clusters, a cluster's) name."""
    return (murmur2(name.encode()) & 0x7FFFFFFF) % partitions
