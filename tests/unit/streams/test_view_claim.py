"""The claim of a view's partition: what it takes of a topic that holds rows of many kinds."""

from types import SimpleNamespace

from app.streams.claims import Source
from app.streams.view_worker import Stock, ViewClaim, ViewOptions

OPTIONS = ViewOptions(bootstrap="", partitions=1, topic_ids={}, directory=None, instance="0")  # type: ignore[arg-type]  # no store


async def begin(partition: int) -> int:
    return 0


def a_record(key: bytes | None) -> SimpleNamespace:
    return SimpleNamespace(key=key, value=b"")


async def test_a_claim_sifts_out_rows_of_other_kinds_before_faust_sees_them() -> None:
    claim = ViewClaim(Source("argosy.state", 0), begin, Stock(OPTIONS), frozenset((b"q", b"\0")))
    records = [a_record(key) for key in (b"qfirst", b"jsome", b"\0position", None, b"rrun")]
    assert [record.key for record in claim.sift(records)] == [b"qfirst", b"\0position"]
    await claim.end()


async def test_a_claim_without_wanted_keys_takes_every_record() -> None:
    claim = ViewClaim(Source("argosy.events", 0), begin, Stock(OPTIONS), frozenset())
    records = [a_record(None), a_record(b"x")]
    assert claim.sift(records) == records
    await claim.end()
