"""The texts of many ids at once: what app.domain.ids.format_id does, by columns."""

import numpy as np
import numpy.typing as npt

from app.domain.ids import ID_BYTES, ID_CHARS

_ALPHABET = np.frombuffer(b"0123456789abcdefghjkmnpqrstvwxyz", np.uint8)
_WORD_BITS = 64
_CHAR_BITS = 5


def id_texts(ids: bytes) -> npt.NDArray[np.bytes_]:
    """S26 (n,): the lower-case Crockford base 32 of n ids of 16 bytes that stand one behind the other."""
    words = np.frombuffer(ids, ">u8").reshape(-1, ID_BYTES // 8).astype(np.uint64)
    high, low = words[:, 0], words[:, 1]
    chars = np.empty((len(words), ID_CHARS), np.uint8)
    for at in range(ID_CHARS):
        shift = _CHAR_BITS * (ID_CHARS - 1 - at)
        if shift >= _WORD_BITS:
            value = high >> np.uint64(shift - _WORD_BITS)
        elif shift > _WORD_BITS - _CHAR_BITS:
            value = (low >> np.uint64(shift)) | (high << np.uint64(_WORD_BITS - shift))
        else:
            value = low >> np.uint64(shift)
        chars[:, at] = _ALPHABET[(value & np.uint64(31)).astype(np.intp)]
    return chars.view(f"S{ID_CHARS}").reshape(len(words))
