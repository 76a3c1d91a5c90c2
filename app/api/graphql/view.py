"""GraphQL over HTTP POST, graphql-transport-ws and graphql-sse (distinct connections).

Inputs: requests whose body the limits of app.api.web have bounded. Outputs: `application/graphql-response+json` where
it is accepted (status 400 when nothing was executed), else `application/json` with 200; frames of text for sockets.
Variables of an HTTP body stay undecoded until it is known what they are (app.api.graphql.prepared).
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from datetime import timedelta
from typing import Any

import anyio
import msgspec
from cross_web import HTTPException
from msgspec import Raw
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http import GraphQLHTTPResponse
from strawberry.schema.base import BaseSchema
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionResult

from app.api.errors import ApiError
from app.api.graphql.coded_errors import coded
from app.api.graphql.context import GraphQLServices, RequestContext
from app.api.http_errors import error_response
from app.domain.errors import ErrorCode

RESPONSE_TYPE = "application/graphql-response+json"
PLAIN_TYPE = "application/json"
INIT_TIMEOUT = timedelta(seconds=10)
SUBSCRIPTIONS_PER_SOCKET_MAX = 100

_body = msgspec.json.Decoder(dict[str, Raw])
_any = msgspec.json.Decoder()
_accepts = "argosy_accepts_response_type"


class _ClosingStream(StreamingResponse):
    """Closes its stream with the answer, however that ends; Starlette leaves it to the garbage collector."""

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        finally:
            if isinstance(self.body_iterator, AsyncGenerator):
                with anyio.CancelScope(shield=True):
                    await self.body_iterator.aclose()


class GraphQLView(GraphQL[RequestContext, None]):
    """The ASGI application under /graphql."""

    def __init__(self, schema: BaseSchema, services: GraphQLServices) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            allow_queries_via_get=False,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL),
            connection_init_wait_timeout=INIT_TIMEOUT,
            max_subscriptions_per_connection=SUBSCRIPTIONS_PER_SOCKET_MAX,
        )
        self._services = services

    async def run(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Refusals of HTTP get the same form as all others."""
        try:
            return await super().run(request, *args, **kwargs)
        except HTTPException as refusal:
            if isinstance(request, WebSocket):
                raise
            is_media_type = "content type" in refusal.reason
            error = ApiError(ErrorCode.INVALID, refusal.reason)
            return error_response(error, 415 if is_media_type else refusal.status_code)

    async def get_root_value(self, request: Request | WebSocket) -> None:
        return None

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> RequestContext:
        """HTTP: the principal of the header, or ApiError. A socket says who it is in connection_init at the latest."""
        authorization = request.headers.get("authorization")
        principal = None
        if not isinstance(request, WebSocket):
            principal = self._services.authenticator.principal(authorization)
        return RequestContext(services=self._services, authorization=authorization, known_principal=principal)

    async def on_ws_connect(self, context: RequestContext) -> dict[str, object]:
        """Authenticates by connection_init's `authorization`, or else by the header of the handshake."""
        given = (context.connection_params or {}).get("authorization", context.authorization)
        try:
            if given is not None and not isinstance(given, str):
                raise ConnectionRejectionError
            context.known_principal = self._services.authenticator.principal(given)
        except ApiError as error:
            raise ConnectionRejectionError({"message": error.message}) from None
        return {}

    async def get_sub_response(self, request: Request | WebSocket) -> Response:
        response = await super().get_sub_response(request)
        response_type = RESPONSE_TYPE if RESPONSE_TYPE in request.headers.get("accept", "") else PLAIN_TYPE
        setattr(response, _accepts, response_type)
        return response

    def create_response(
        self, response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse], sub_response: Response
    ) -> Response:
        media_type = getattr(sub_response, _accepts, PLAIN_TYPE)
        nothing_executed = isinstance(response_data, dict) and "data" not in response_data
        status = 400 if nothing_executed and media_type == RESPONSE_TYPE else 200
        return Response(msgspec.json.encode(response_data), status_code=status, media_type=media_type)

    async def create_streaming_response(
        self,
        request: Request | WebSocket,
        stream: Callable[[], AsyncIterator[str]],
        sub_response: Response,
        headers: Mapping[str, str],
    ) -> Response:
        return _ClosingStream(stream(), headers={**sub_response.headers, **headers})

    async def process_result(self, request: Request, result: ExecutionResult) -> GraphQLHTTPResponse:
        """The answer. Without `data` when the request failed before execution, as the specification says."""
        errors = [coded(error) for error in result.errors or ()]
        answer: dict[str, Any] = {}
        if errors:
            answer["errors"] = [error.formatted for error in errors]
        if result.data is not None or not errors or any(error.path for error in errors):
            answer["data"] = result.data
        return answer  # type: ignore[return-value]

    def decode_json(self, data: str | bytes) -> object:
        """An HTTP body arrives as bytes, a message of a socket as text."""
        try:
            if isinstance(data, bytes) and data.lstrip()[:1] == b"{":
                return {name: self._member(name, raw) for name, raw in _body.decode(data).items()}
            value = _any.decode(data)
            if isinstance(data, bytes) and not isinstance(value, list):
                raise msgspec.DecodeError("a request is an object")
            return value
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise json.JSONDecodeError(str(error), "", 0) from error  # what Strawberry expects

    def _member(self, name: str, raw: Raw) -> object:
        if name == "variables" and bytes(memoryview(raw)[:1]) == b"{":
            return _body.decode(raw)
        return _any.decode(raw)

    def encode_json(self, data: object) -> str:
        """Text: a socket would send bytes as a binary frame."""
        return msgspec.json.encode(data).decode()
