"""How large values stand in rows: zstd made by the client (the server's build may have no compression), small ones as
they are.

The first byte says which: 0 plain, 1 zstd.
"""

import zstandard

PLAIN, ZSTD = b"\0", b"\1"
COMPRESS_FROM_BYTES = 120
UNPACKED_BYTES_MAX = 64 << 20

# For a body of some hundred bytes level -1 takes a third of the time of level 1 to 3, and 3 % more room.
_COMPRESSOR = zstandard.ZstdCompressor(level=-1, write_checksum=False, write_content_size=True)
_DECOMPRESSOR = zstandard.ZstdDecompressor()


def packed_body(body: bytes) -> bytes:
    """A value for a column. One thread at a time."""
    if len(body) >= COMPRESS_FROM_BYTES:
        small = _COMPRESSOR.compress(body)
        if len(small) < len(body):
            return ZSTD + small
    return PLAIN + body


def unpacked_body(value: bytes) -> bytes:
    """The value of a column. Raises ValueError for a form that is not known."""
    if value[:1] == PLAIN:
        return value[1:]
    if value[:1] == ZSTD:
        return _DECOMPRESSOR.decompress(value[1:], max_output_size=UNPACKED_BYTES_MAX)
    raise ValueError("a stored body begins with a byte that this program does not know")
