"""Claims: which partitions may be read, and how much of them is in hand."""

from types import SimpleNamespace

import pytest

from app.streams.claims import IN_HAND_BYTES_MAX, IN_HAND_RECORDS_MAX, Claims, Source
from tests.unit.streams.plain_claim import Plain

TOPIC = "commands"


def a_record(offset: int, size: int = 10) -> SimpleNamespace:
    return SimpleNamespace(offset=offset, value=bytes(size))


def an_event(offset: int, size: int = 10) -> SimpleNamespace:
    return SimpleNamespace(message=SimpleNamespace(offset=offset, value=bytes(size)))


def a_working_claim() -> Plain:
    claim = Plain(Source(TOPIC, 0))
    claim.ready = claim.sought = True
    return claim


def hungry(claim: Plain) -> bool:
    """As it is now: a type checker takes a property for constant."""
    return claim.hungry


async def test_a_claim_is_hungry_only_between_its_seek_and_its_end() -> None:
    claim = Plain(Source(TOPIC, 0))
    assert not hungry(claim)
    claim.ready = claim.sought = True
    assert hungry(claim)
    await claim.end()
    assert not hungry(claim)


async def test_a_full_hand_stops_fetching_by_records_and_by_bytes() -> None:
    claim = a_working_claim()
    claim.given([a_record(n) for n in range(IN_HAND_RECORDS_MAX)])
    assert not hungry(claim)
    claim.took(an_event(0))
    assert hungry(claim)
    claim.given([a_record(IN_HAND_RECORDS_MAX, IN_HAND_BYTES_MAX)])
    claim.took(an_event(1))
    assert not hungry(claim)


async def test_records_that_come_after_the_end_are_not_kept() -> None:
    claim = a_working_claim()
    claim.received(an_event(0))
    assert len(claim.backlog) == 1
    await claim.end()
    claim.received(an_event(1))
    assert len(claim.backlog) == 1


async def test_quarantine_empties_the_hand_and_says_why() -> None:
    claims = Claims()
    claims.make_with(TOPIC, Plain)
    await claims.on_assigned([(TOPIC, 4), (TOPIC, 5)])
    for claim in claims.values():
        claim.ready = claim.sought = True
        claim.received(an_event(0))
    claims[Source(TOPIC, 4)].quarantine("command 17: KeyError: 'x'")
    assert not claims[Source(TOPIC, 4)].backlog
    assert not claims[Source(TOPIC, 4)].hungry
    assert claims[Source(TOPIC, 5)].hungry
    assert claims.troubles() == ["commands partition 4 is quarantined: command 17: KeyError: 'x'"]


async def test_an_assignment_ends_what_was_claimed_and_claims_only_known_topics() -> None:
    claims = Claims()
    claims.make_with(TOPIC, Plain)
    assert claims.troubles() == ["the group has not assigned partitions yet"]
    await claims.on_assigned([(TOPIC, 0), ("other", 0)])
    first = claims[Source(TOPIC, 0)]
    assert list(claims) == [Source(TOPIC, 0)]
    assert claims.troubles() == ["commands partition 0 is being restored"]
    await claims.on_assigned([(TOPIC, 0)])
    assert first.ended
    assert claims[Source(TOPIC, 0)] is not first
    await claims.end()
    assert claims.troubles() == []


async def test_a_topic_has_one_maker() -> None:
    claims = Claims()
    claims.make_with(TOPIC, Plain)
    with pytest.raises(ValueError, match="claimed twice"):
        claims.make_with(TOPIC, Plain)
