"""What is wrong with a call or an item of it."""

import strawberry

from app.api.errors import Fault
from app.api.graphql.enums import ErrorCode
from app.api.service.job_answers import NotAffected


@strawberry.type(description="one thing that is wrong; path names the field, index the item of the call")
class FieldError:
    code: ErrorCode
    rule: str | None
    index: int | None
    path: str
    message: str


@strawberry.type(description="why the item with this id was not changed")
class ItemError:
    id: strawberry.ID
    code: ErrorCode
    message: str


def field_error(fault: Fault) -> FieldError:
    return FieldError(code=fault.code, rule=fault.rule, index=fault.index, path=fault.path, message=fault.message)


def item_error(item: NotAffected) -> ItemError:
    return ItemError(id=strawberry.ID(item.id), code=item.code, message=item.message)
