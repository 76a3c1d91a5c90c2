"""Avro's variable-length numbers (zigzag, base 128), by tables: most numbers in the log are small or milliseconds.

The tables are shared by the generated encoders and decoders (app.log.encoder_source, app.log.decoder_source).
"""

from app.log.errors import Undecodable

SMALL = 1 << 13
"""numbers and lengths below this have an entry in the tables"""

_GROUP = 1 << 14
_MASK = _GROUP - 1

LAST = [bytes((z,)) if z < 128 else bytes((z & 127 | 128, z >> 7)) for z in range(_GROUP)]
"""the last one or two bytes, by zigzagged value"""
GOES_ON = [bytes((z & 127 | 128, z >> 7 | 128)) for z in range(_GROUP)]
"""two bytes that are not the last, by the low 14 bits"""
NUMBER = [LAST[n << 1] for n in range(SMALL)]
"""small numbers and lengths"""
SOME_NUMBER = [b"\x02" + piece for piece in NUMBER]
"""the same as the second branch of a union with null"""
SIGNED = [z >> 1 ^ -(z & 1) for z in range(_GROUP)]
"""the numbers of one or two bytes, by their 14 bits"""


def long_bytes(n: int) -> bytes:
    """Any 64-bit number. Raises OverflowError beyond, TypeError for what is no int."""
    z = n << 1 if n >= 0 else ~(n << 1)
    if z < _GROUP:
        return LAST[z]
    if z < 1 << 28:
        return GOES_ON[z & _MASK] + LAST[z >> 14]
    if z < 1 << 42:
        return GOES_ON[z & _MASK] + GOES_ON[z >> 14 & _MASK] + LAST[z >> 28]
    if z < 1 << 56:
        return GOES_ON[z & _MASK] + GOES_ON[z >> 14 & _MASK] + GOES_ON[z >> 28 & _MASK] + LAST[z >> 42]
    if z >> 64:
        raise OverflowError(f"{n} does not fit 64 bits")
    return (
        GOES_ON[z & _MASK]
        + GOES_ON[z >> 14 & _MASK]
        + GOES_ON[z >> 28 & _MASK]
        + GOES_ON[z >> 42 & _MASK]
        + LAST[z >> 56]
    )


def long_rest(data: bytes, at: int, first: int) -> tuple[int, int]:
    """The number whose first byte (>= 128) was read already, and the place behind it. Raises IndexError,
    Undecodable."""
    z = first & 127
    shift = 7
    while True:
        byte = data[at]
        at += 1
        z |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
    if z >> 64:
        raise Undecodable(f"the number before byte {at} does not fit 64 bits")
    return z >> 1 ^ -(z & 1), at


def length_rest(data: bytes, at: int, first: int) -> tuple[int, int]:
    """A length whose first byte (>= 128 or odd) was read already, and the place behind it. Raises IndexError,
    Undecodable."""
    length, at = long_rest(data, at, first) if first >= 128 else (first >> 1 ^ -(first & 1), at)
    if not 0 <= length <= len(data) - at:
        raise Undecodable(f"a length of {length} before byte {at}, and {len(data) - at} bytes are left")
    return length, at
