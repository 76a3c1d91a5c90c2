"""Completing large results cheaply, and subscription batches once for everybody who selects the same.

Lists of objects whose selected fields are plain attributes are projected in one loop instead of field by field (130 ->
4 us a job); a `Shared` object that a subscription yields to many is executed and encoded once per query text.
Everything else, and everything unusual in the data, takes graphql-core's ordinary way. Contract checks:
tests/unit/api/test_lean_executor.py.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
from graphql import (
    SKIP,
    ExecutionResult,
    FieldNode,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    Node,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    is_leaf_type,
    is_object_type,
    visit,
)
from msgspec import Raw
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

FRAMES_MAX = 32
"""kept per batch: different query texts must not multiply its memory"""

Complete = Callable[[Any], Any]


class Encoded(NamedTuple):
    """Stands where the executor of one event would stand, with its work done."""

    operation: OperationDefinitionNode
    """kept, so that its id stays taken"""
    result: ExecutionResult

    def execute_operation(self, _serially: bool | None = None) -> ExecutionResult:
        return self.result


class Shared:
    """Base of a type whose instances go unchanged to many subscribers; who may see it is decided before."""

    @cached_property
    def frames(self) -> dict[int, Encoded]:
        """Results by id of the operation; clients that send the same text share one document."""
        return {}


class LeanExecutor(StrawberryGraphQLCoreExecutionContext):
    """The schema's execution context."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sharing: dict[str, bool] = {}
        """one dict for all copies of this executor"""

    def complete_list_value(  # type: ignore[no-untyped-def]
        self, return_type: Any, field_details_list: Any, info: Any, path: Any, result: Any, *rest
    ) -> Any:
        if isinstance(result, list | tuple) and len(result) > 1 and is_object_type(get_named_type(return_type)):
            try:
                project = self.projection(return_type, field_details_list)
                if project is not None:
                    return project(result)
            except Exception:  # noqa: S110  # the ordinary way meets the same problem, and words and places it
                pass
        return super().complete_list_value(return_type, field_details_list, info, path, result, *rest)

    def build_per_event_executor(self, payload: Any) -> Any:
        if isinstance(payload, Shared):
            encoded = payload.frames.get(id(self.operation))
            if encoded is not None and encoded.operation is self.operation:
                return encoded
        return super().build_per_event_executor(payload)

    def execute_operation(self, serially: bool | None = None) -> Any:
        result, event = super().execute_operation(serially), self.root_value
        if (
            isinstance(event, Shared)
            and type(result) is ExecutionResult
            and not result.errors
            and len(event.frames) < FRAMES_MAX
            and self._is_shareable()
        ):
            result = ExecutionResult(Raw(msgspec.json.encode(result.data)), None)  # type: ignore[arg-type]
            event.frames[id(self.operation)] = Encoded(self.operation, result)
        return result

    def _is_shareable(self) -> bool:
        if "answer" not in self._sharing:
            definitions = [self.operation, *self.fragment_definitions.values()]
            self._sharing["answer"] = not self._has_middleware() and reads_only_the_event(self.schema, definitions)
        return self._sharing["answer"]

    def _has_middleware(self) -> bool:
        return self.middleware_manager is not None and bool(self.middleware_manager.middlewares)

    def projection(self, type_: Any, field_details_list: Any) -> Complete | None:
        """A function from a value that is not null to its completed form; None unless only attributes are read."""
        if self._has_middleware():
            return None
        if isinstance(type_, GraphQLNonNull):
            type_ = type_.of_type
        if is_leaf_type(type_):
            complete: Complete = type_.coerce_output_value
            return complete
        if isinstance(type_, GraphQLList):
            item = self.projection(type_.of_type, field_details_list)
            if item is None or any(detail.node.directives for detail in field_details_list):
                return None
            return _for_each(item, required=isinstance(type_.of_type, GraphQLNonNull))
        if is_object_type(type_) and not type_.is_type_of:
            return self._object_projection(type_, field_details_list)
        return None

    def _object_projection(self, type_: Any, field_details_list: Any) -> Complete | None:
        collected = self.collect_subfields(type_, field_details_list)
        if collected.new_defer_usages:
            return None
        fields: list[tuple[str, Any, str, bool, Complete]] = []
        for response_name, details in collected.grouped_field_set.items():
            name = details[0].node.name.value
            if name == "__typename":
                fields.append((response_name, getattr, "__class__", True, _constant(type_.name)))
                continue
            definition = type_.fields[name]
            own = definition.extensions.get("strawberry-definition")
            complete = self.projection(definition.type, details)
            if complete is None or definition.args or own is None or not own.is_basic_field:
                return None
            is_required = isinstance(definition.type, GraphQLNonNull)
            fields.append((response_name, own.default_resolver, own.python_name, is_required, complete))
        return _object(fields)


def _constant(value: str) -> Complete:
    return lambda _ignored: value


def _object(fields: list[tuple[str, Any, str, bool, Complete]]) -> Complete:
    def project(item: Any) -> dict[str, Any]:
        completed = {}
        for response_name, get, attribute, is_required, complete in fields:
            value = get(item, attribute)
            if value is not None:
                value = complete(value)
            if value is None and is_required:
                raise TypeError(response_name)
            completed[response_name] = value
        return completed

    return project


def _for_each(complete: Complete, *, required: bool) -> Complete:
    def project(items: Any) -> list[Any]:
        if not required:
            return [None if item is None else complete(item) for item in items]
        completed = [complete(item) for item in items]
        if None in completed:
            raise TypeError("null in a list of values that are not null")
        return completed

    return project


class _Look(Visitor):
    """Collects what reads more than attributes of the event."""

    def __init__(self, info: TypeInfo, root: Any) -> None:
        super().__init__()
        self._info = info
        self._root = root
        self.others: list[Node] = []

    def _is_at_root(self) -> bool:
        return self._info.get_parent_type() is self._root

    def enter_variable_definition(self, *_: Any) -> Any:
        return SKIP

    def enter_argument(self, *_: Any) -> Any:
        """Arguments of the root field chose the stream, not the frame."""
        return SKIP if self._is_at_root() and self._info.get_directive() is None else None

    def enter_variable(self, node: Node, *_: Any) -> None:
        self.others.append(node)

    def enter_directive(self, node: Any, *_: Any) -> None:
        if node.name.value not in ("skip", "include"):
            self.others.append(node)

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        if node.name.value == "__typename" or self._is_at_root():
            return
        definition = self._info.get_field_def()
        own = definition.extensions.get("strawberry-definition") if definition is not None else None
        if own is None or not own.is_basic_field or (definition is not None and definition.args):
            self.others.append(node)


def reads_only_the_event(schema: GraphQLSchema, definitions: list[Any]) -> bool:
    """Whether below the root field there is no resolver, argument, permission, variable or directive of ours."""
    info = TypeInfo(schema)
    look = _Look(info, schema.subscription_type)
    for definition in definitions:
        visit(definition, TypeInfoVisitor(info, look))
    return not look.others
