"""health."""

import time
from importlib.metadata import PackageNotFoundError, version

from app.api.graphql.context import RequestInfo
from app.api.graphql.scalars import DateTime
from app.api.graphql.types.health import Health, dead_letters_of, view_status_of


async def health(info: RequestInfo) -> Health:
    """How far every view has come, and whether the API reads the log."""
    insight = info.context.services.insight
    decided = insight.decided()
    letters = await insight.dead_letters()
    return Health(
        version=_version(),
        now=DateTime(int(time.time() * 1000)),
        reading=insight.tail_ready,
        views=[view_status_of(each, decided) for each in await insight.views()],
        dead_letters=dead_letters_of(letters) if letters is not None else None,
    )


def _version() -> str:
    try:
        return version("argosy-server")
    except PackageNotFoundError:
        return "unknown"
