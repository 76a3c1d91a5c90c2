"""The wire types: what goes over, and what bad input is answered with."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.executor.cursor import Cursor, Position
from app.executor.protocol import (
    ErrorAnswer,
    FieldError,
    Node,
    Nodes,
    NodesComplete,
    ProtocolError,
    Report,
    ReportState,
    SyncAnswer,
    SyncRequest,
    decode_answer,
    decode_refusal,
    decode_request,
    decompress,
    encode_answer,
    encode_request,
    format_time,
    parse_time,
)
from tests.unit.executor.builders import a_lease, a_stop, an_id

TIME = "2026-11-24T07:00:00.000Z"
REQUEST: dict[str, Any] = {"cluster": "c0", "instance": an_id(1), "sequence": 17, "time": TIME}
REPORT: dict[str, Any] = {"jobId": an_id(1), "runId": an_id(2), "attempt": 0, "state": "RUNNING", "time": TIME}


def decoded(**fields: Any) -> SyncRequest:
    return decode_request(json.dumps({**REQUEST, **fields}).encode())


def test_the_example_of_the_reference_is_understood() -> None:
    node = {
        "name": "n0",
        "pool": "default",
        "type": "cpu-32",
        "labels": {},
        "taints": [],
        "allocatable": {"cpu": "32", "memory": "256Gi"},
        "foreign": {"0": {"cpu": "1", "memory": "2Gi"}},
        "unschedulable": False,
    }
    report = {
        **REPORT,
        "node": "n0",
        "pod": "argosy-x",
        "namespace": "default",
        "exitCode": None,
        "reason": None,
        "message": None,
        "category": None,
        "attempted": True,
        "containers": [],
        "usage": None,
        "ingress": None,
    }
    request = decoded(
        nodes={"generation": 3, "changed": [node], "removed": ["n7"], "complete": {"nodeCount": 600}},
        reports=[report],
        runs=None,
        leaseCursor={"log": "l", "0": [512, 3]},
        waitMs=0,
    )
    assert request.nodes is not None
    assert request.nodes.complete == NodesComplete(node_count=600)
    assert request.nodes.changed[0].foreign == {"0": {"cpu": "1", "memory": "2Gi"}}
    assert request.reports[0].state is ReportState.RUNNING
    assert request.lease_cursor == Cursor("l", {0: (512, 3)})


@pytest.mark.parametrize(
    ("fields", "want_path", "want_message"),
    [
        ({"cluster": None}, "cluster", "Expected `str`"),
        ({"cluster": ""}, "cluster", "length"),
        ({"instance": "short"}, "instance", "26"),
        ({"instance": "8" + "0" * 25}, "instance", "regex"),
        ({"sequence": 0}, "sequence", ">= 1"),
        ({"sequence": "17"}, "sequence", "Expected `int`"),
        ({"time": "yesterday"}, "time", "regex"),
        ({"waitMs": 10_001}, "waitMs", "<= 10000"),
        ({"extra": 1}, "extra", "unknown field"),
        ({"reports": [REPORT, {**REPORT, "attempt": -1}]}, "reports[1].attempt", ">= 0"),
        ({"reports": [{**REPORT, "state": "DONE"}]}, "reports[0].state", "Invalid enum value 'DONE'"),
        ({"reports": [{**REPORT, "color": "red"}]}, "reports[0].color", "unknown field"),
        ({"reports": [{**REPORT, "message": "x" * 5_000}]}, "reports[0].message", "length"),
        ({"reports": [{k: v for k, v in REPORT.items() if k != "runId"}]}, "reports[0].runId", "required field"),
        ({"reports": [REPORT] * 10_001}, "reports", "length"),
        ({"nodes": {"generation": 0}}, "nodes.generation", ">= 1"),
        (
            {"nodes": {"generation": 1, "changed": [{"name": "n", "foreign": {"high": {}}}]}},
            "nodes.changed[0].foreign",
            "regex",
        ),
        ({"leaseCursor": {"0": [1, 2]}}, "leaseCursor", "log"),
        ({"leaseCursor": {"log": "l", "x": [1, 2]}}, "leaseCursor", "`x` is not a partition"),
        ({"leaseCursor": {"log": "l", "0": [1]}}, "leaseCursor", "`0` must be [offset, ordinal]"),
        ({"leaseCursor": {"log": "l", "0": [-1, 0]}}, "leaseCursor", "out of range"),
        ({"leaseCursor": [1]}, "leaseCursor", "Expected `object`"),
        ({"waitMs": 5, "reports": [REPORT]}, "reports", "only the reports lane"),
    ],
)
def test_bad_input_is_refused_with_the_path_of_the_field(
    fields: dict[str, Any], want_path: str, want_message: str
) -> None:
    with pytest.raises(ProtocolError) as caught:
        decoded(**fields)
    [(path, message)] = caught.value.errors
    assert path == want_path
    assert want_message in message


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff\xfe", b"null", b"12", b'{"cluster": "\xff"}', b"[" * 100_000, b'{"a":' * 50_000]
)
def test_a_body_that_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_request(body)


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_decoders(body: bytes) -> None:
    for decode in (decode_request, decode_answer):
        with pytest.raises(ProtocolError):
            decode(body)
    assert decode_refusal(body).errors == ()


def test_all_fields_that_the_leases_lane_may_not_carry_are_named() -> None:
    with pytest.raises(ProtocolError) as caught:
        decoded(waitMs=1, reports=[REPORT], runs=[], nodes={"generation": 1})
    assert [path for path, _ in caught.value.errors] == ["nodes", "reports", "runs"]


def test_a_request_survives_the_wire_and_leaves_defaults_out() -> None:
    request = SyncRequest(
        cluster="c0",
        instance=an_id(1),
        sequence=1,
        time=TIME,
        nodes=Nodes(generation=1, changed=(Node(name="n0", allocatable={"cpu": "1"}),)),
        reports=(Report(run_id=an_id(1), job_id=an_id(2), attempt=3, state=ReportState.GONE, time=TIME),),
        lease_cursor=Cursor("l", {3: (1, 2)}),
    )
    body = encode_request(request)
    assert decode_request(body) == request
    assert b"waitMs" not in body
    assert b"exitCode" not in body


def test_an_answer_survives_the_wire() -> None:
    answer = SyncAnswer(
        sequence=5,
        leases=(a_lease(1, displaces=((7, 3),)),),
        stops=(a_stop(2, "finished"),),
        lease_cursor=Cursor("l", {0: (5, 1)}),
    )
    decoded_answer, unknown = decode_answer(encode_answer(answer))
    assert unknown == ()
    assert decoded_answer.leases[0].displaces[0].position == Position(0, 3, 0)
    assert json.loads(bytes(decoded_answer.leases[0].pod_spec))["containers"][0]["name"] == "main"
    assert decoded_answer.stops == answer.stops
    assert decoded_answer.lease_cursor == answer.lease_cursor


def test_unknown_fields_of_answers_are_tolerated_and_named() -> None:
    wire = json.loads(encode_answer(SyncAnswer(sequence=5, leases=(a_lease(1),), stops=(a_stop(2),))))
    wire["novelty"] = 1
    wire["leases"][0]["colour"] = "red"
    wire["stops"][0]["mood"] = None
    answer, unknown = decode_answer(json.dumps(wire).encode())
    assert answer.sequence == 5
    assert unknown == ("leases[].colour", "novelty", "stops[].mood")


def test_a_wrong_answer_names_its_path() -> None:
    with pytest.raises(ProtocolError, match=r"leases\[0\]\.jobId: .*required"):
        decode_answer(b'{"sequence": 1, "leases": [{}]}')


def test_reported_jobs_must_match_reported() -> None:
    wire = {"sequence": 1, "reported": [an_id(1)], "reportedJobs": []}
    with pytest.raises(ProtocolError, match="reportedJobs"):
        decode_answer(json.dumps(wire).encode())


def test_a_refusal_survives_the_wire() -> None:
    refusal = ErrorAnswer(errors=(FieldError(path="cluster", message="wrong"),), code="REPLACED")
    assert decode_refusal(encode_answer(refusal)) == refusal
    assert decode_refusal(b"<html>Bad gateway</html>") == ErrorAnswer()


def test_a_compressed_body_is_bounded() -> None:
    assert decompress(gzip.compress(b"x" * 100), 100) == b"x" * 100
    with pytest.raises(ProtocolError, match="longer than 100"):
        decompress(gzip.compress(b"x" * 101), 100)
    with pytest.raises(ProtocolError, match="longer than"):
        decompress(gzip.compress(bytes(50_000_000)))
    for broken in (b"no gzip", gzip.compress(b"abc")[:-3], gzip.compress(b"abc") + b"more"):
        with pytest.raises(ProtocolError, match="gzip"):
            decompress(broken)


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_times_keep_their_milliseconds(time_ms: int) -> None:
    assert parse_time(format_time(time_ms)) == time_ms


def test_times_of_other_precision_are_read() -> None:
    assert parse_time("2026-11-24T07:00:00Z") == parse_time(TIME)
    assert parse_time("2026-11-24T07:00:00.123456Z") == parse_time(TIME) + 123
    with pytest.raises(ValueError, match=r"does not match|out of range"):
        parse_time("2026-13-24T07:00:00Z")


@given(st.integers(0, 255), st.integers(0, 2**63 - 1), st.integers(0, 2**31 - 1))
def test_positions_survive_an_annotation(partition: int, offset: int, ordinal: int) -> None:
    position = Position(partition, offset, ordinal)
    assert Position.parse(position.text()) == position


@pytest.mark.parametrize(
    "text", ["", "1-2", "1-2-3-4", "a-b-c", "-1-2-3", "256-0-0", "0-99999999999999999999-0", "１-2-3"]
)
def test_what_is_no_position_is_none(text: str) -> None:
    assert Position.parse(text) is None
