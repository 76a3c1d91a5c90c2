"""viewer."""

from app.api.graphql.context import RequestInfo
from app.api.graphql.types.viewer import Viewer


async def viewer(info: RequestInfo) -> Viewer:
    """Who asks."""
    principal = info.context.principal
    return Viewer(user=principal.user, groups=list(principal.groups), verbs=sorted(principal.verbs))
