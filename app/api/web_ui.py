"""The web UI: built files of ui/dist, served by the API's own process.

Input: a folder with index.html and assets/. Output: routes. A path that is no file and none of the API's gets
index.html, with 404 when the UI has no such page. Files are read from disk when asked for, never outside the folder.
Scripts come from this origin only (no inline script).
"""

from collections.abc import Sequence
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from app.api.errors import ApiError
from app.api.http_errors import error_response
from app.domain.errors import ErrorCode

BUILT = Path(__file__).parents[2] / "ui" / "dist"
API_PATHS = ("graphql", "executor")
PAGES = ("", "jobs", "sets", "queues", "clusters", "nodes", "rounds", "health", "explorer")
"""first segments of the addresses that the UI has pages for (ui/src/app/router.tsx); others say that they have none"""
IMMUTABLE = "public, max-age=31536000, immutable"
"""files under assets/ carry a hash of their content in their names"""
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self' data:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}
MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
NOT_BUILT = "The web UI is not built here: run `make ui`. GraphQL is at /graphql.\n"


def ui_routes(folder: Path = BUILT) -> Sequence[BaseRoute]:
    """To be added behind all other routes."""

    async def page(request: Request) -> Response:
        path = request.path_params["path"]
        if path.split("/", 1)[0] in API_PATHS:
            return error_response(ApiError(ErrorCode.INVALID, "this path takes POST only"), 405)
        return _answer(folder, path, accepts_gzip="gzip" in request.headers.get("accept-encoding", ""))

    return [Route("/{path:path}", page, methods=["GET"])]


def _answer(folder: Path, path: str, *, accepts_gzip: bool) -> Response:
    found = _file(folder, path)
    is_asset = path.startswith("assets/")
    if found is None and is_asset:
        return PlainTextResponse("there is no such file\n", 404, headers=HEADERS)
    status = 200 if found is not None or path.split("/", 1)[0] in PAGES else 404
    found = found or folder / "index.html"
    if not found.is_file():
        return PlainTextResponse(NOT_BUILT, 503 if status == 200 else status, headers=HEADERS)
    headers = {
        **HEADERS,
        "cache-control": IMMUTABLE if is_asset else "no-cache",
        "vary": "accept-encoding",
    }
    media_type = MEDIA_TYPES.get(found.suffix, "application/octet-stream")
    packed = found.with_name(f"{found.name}.gz")
    if accepts_gzip and packed.is_file():
        return FileResponse(packed, status, {**headers, "content-encoding": "gzip"}, media_type=media_type)
    return FileResponse(found, status, headers, media_type=media_type)


def _file(folder: Path, path: str) -> Path | None:
    """The file at a path, if it is one of the folder's."""
    if not path or "\0" in path or len(path) > 200:
        return None
    wanted = (folder / path).resolve()
    return wanted if wanted.is_relative_to(folder.resolve()) and wanted.is_file() else None
