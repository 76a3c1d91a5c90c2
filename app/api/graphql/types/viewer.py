"""Who asks."""

import strawberry


@strawberry.type(description="who asks; verbs: the global ones, such as create_queue")
class Viewer:
    user: str
    groups: list[str]
    verbs: list[str]
