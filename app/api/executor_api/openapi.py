"""The OpenAPI document of the executor API, made from the wire types: GET /executor/v1/openapi.json."""

from functools import cache
from typing import Any

import msgspec

from app.api.executor_api.sync import SYNC_PATH
from app.executor.cursor import Cursor
from app.executor.protocol import ErrorAnswer, SyncAnswer, SyncRequest

OPENAPI_PATH = "/executor/v1/openapi.json"
_REFUSALS = {
    "400": "the body is not what the protocol says; every wrong field with its path",
    "401": "the token is missing or not known",
    "403": "the token speaks for another cluster",
    "408": "the body did not arrive in time",
    "409": "code REPLACED: another instance speaks for the cluster",
    "413": "the body is too large",
    "429": "too many requests; Retry-After",
    "503": "the log cannot be written now; Retry-After; send the same request again",
}


@cache
def openapi() -> bytes:
    """The document as JSON."""
    types = [SyncRequest, SyncAnswer, ErrorAnswer]
    (request, answer, error), components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}", schema_hook=_schema_of
    )
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Argosy executor API", "version": "1"},
        "paths": {
            SYNC_PATH: {
                "post": {
                    "operationId": "sync",
                    "summary": "Nodes and reports up, leases and stops down",
                    "security": [{"executorToken": []}],
                    "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
                    "responses": {
                        "200": _response("what the executor has to do", answer),
                        **{status: _response(text, error) for status, text in _REFUSALS.items()},
                    },
                }
            }
        },
        "components": {
            "schemas": components,
            "securitySchemes": {"executorToken": {"type": "http", "scheme": "bearer"}},
        },
    }
    return msgspec.json.encode(document)


def _response(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _schema_of(kind: type) -> dict[str, Any]:
    """The wire's own types: a cursor, and JSON that is passed through."""
    if kind is Cursor:
        return {
            "type": "object",
            "properties": {"log": {"type": "string", "maxLength": 200}},
            "required": ["log"],
            "patternProperties": {
                r"^\d{1,3}$": {
                    "type": "array",
                    "prefixItems": [{"type": "integer"}, {"type": "integer"}],
                    "minItems": 2,
                    "maxItems": 2,
                }
            },
            "additionalProperties": False,
            "description": "partition -> [offset, ordinal] up to which leases and stops were taken",
        }
    if kind is msgspec.Raw:
        return {"description": "any JSON"}
    raise NotImplementedError(kind)
