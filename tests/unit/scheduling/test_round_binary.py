"""A round as compact bytes: read back as the same round, and damage is an error with its place."""

import json

import msgspec
import pytest

from app.scheduling.errors import RoundError
from app.scheduling.round_binary import pack_round, unpack_round
from app.scheduling.round_file import parse_round
from app.scheduling.round_print import print_round
from tests.property.scheduling_pressed import pressed_document
from tests.property.scheduling_rounds import random_document


@pytest.mark.parametrize("seed", range(40))
def test_a_round_survives_its_bytes(seed: int) -> None:
    document = (random_document, pressed_document)[seed % 2](seed)
    round_ = parse_round(json.dumps(document))
    packed = pack_round(round_)
    again = unpack_round(packed)
    assert print_round(again) == print_round(round_)
    assert pack_round(again) == packed


def test_an_empty_round_survives_its_bytes() -> None:
    round_ = parse_round('{"format": "argosy-round/1"}')
    assert print_round(unpack_round(pack_round(round_))) == print_round(round_)


def complaint(packed: bytes) -> str | None:
    try:
        unpack_round(packed)
    except RoundError as error:
        return str(error)
    return None


def test_every_cut_is_an_error() -> None:
    packed = pack_round(parse_round(json.dumps(random_document(3))))
    assert all(complaint(packed[:cut]) for cut in range(0, len(packed), 7))


def test_damage_anywhere_is_an_error_with_a_text_or_another_round() -> None:
    packed = pack_round(parse_round(json.dumps(random_document(3))))
    complaints = []
    for place in range(0, len(packed), 5):
        damaged = bytearray(packed)
        damaged[place] ^= 0x55
        complaints.append(complaint(bytes(damaged)))
    assert "" not in complaints
    assert any(complaints)


def test_a_column_of_the_wrong_length_is_named() -> None:
    fields = msgspec.msgpack.decode(pack_round(parse_round(json.dumps(random_document(3)))))
    fields["columns"]["jobs"]["priority"][0] = [1]
    with pytest.raises(RoundError, match=r"columns\.jobs\.priority"):
        unpack_round(msgspec.msgpack.encode(fields))
