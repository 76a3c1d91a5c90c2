"""Identifiers: 16 bytes inside, lower-case Crockford base 32 (26 characters) outside.

A job id is a ULID laid out as 48 bits time | 8 bits partition | 56 bits random | 16 bits index in the call, so a
job id alone finds its partition and its time is the job's `submitted`; the jobs of one call share the first 14
bytes. Run and instance ids are plain ULIDs.
"""

from typing import NewType

JobId = NewType("JobId", bytes)
RunId = NewType("RunId", bytes)
SpecId = NewType("SpecId", bytes)
ShapeHash = NewType("ShapeHash", bytes)
QueueName = NewType("QueueName", str)

ID_BYTES = 16
ID_CHARS = 26
CALL_PREFIX_BYTES = 14
PARTITIONS_MAX = 256

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {c: i for i, c in enumerate(_ALPHABET)}


class InvalidId(ValueError):
    """not an id: 26 characters of lower-case Crockford base 32 were expected"""


def format_id(value: bytes) -> str:
    """The 26 characters of a 16-byte id."""
    number = int.from_bytes(value, "big")
    chars = [""] * ID_CHARS
    for at in range(ID_CHARS - 1, -1, -1):
        chars[at] = _ALPHABET[number & 31]
        number >>= 5
    return "".join(chars)


def parse_id(text: str) -> bytes:
    """The 16 bytes of an id's text; upper case is understood. Raises InvalidId."""
    if len(text) != ID_CHARS:
        raise InvalidId(f"{text[:40]!r} is not an id: {ID_CHARS} characters expected, {len(text)} given")
    number = 0
    for char in text.lower():
        value = _VALUES.get(char)
        if value is None:
            raise InvalidId(f"{text!r} is not an id: {char!r} is not a character of Crockford base 32")
        number = number << 5 | value
    if number >> 128:
        raise InvalidId(f"{text!r} is not an id: its first character must be 0 to 7")
    return number.to_bytes(ID_BYTES, "big")


def call_prefix(time_ms: int, partition: int, random56: int) -> bytes:
    """The 14 bytes that all job ids of one submit call share. `random56` holds 56 random bits."""
    if not 0 <= time_ms < 1 << 48 or not 0 <= partition < PARTITIONS_MAX or not 0 <= random56 < 1 << 56:
        raise ValueError(f"out of range: time {time_ms}, partition {partition}, random {random56}")
    return time_ms.to_bytes(6, "big") + bytes((partition,)) + random56.to_bytes(7, "big")


def job_id(prefix: bytes, index: int) -> JobId:
    """The id of the job at `index` of the call with this prefix."""
    return JobId(prefix + index.to_bytes(2, "big"))


def ulid(time_ms: int, random80: int) -> bytes:
    """A plain ULID (run ids, instance ids)."""
    return time_ms.to_bytes(6, "big") + random80.to_bytes(10, "big")


def partition_of_job(job: bytes) -> int:
    """The partition that decides this job."""
    return job[6]


def time_ms_of(value: bytes) -> int:
    """The time in an id, in ms since 1970."""
    return int.from_bytes(value[:6], "big")
