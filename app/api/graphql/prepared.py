"""What is known about a query text: its document, that it is valid, and how its variables are decoded without GraphQL.

A variable that is a whole argument of a typed input goes from the bytes of the request to the struct in one call.
Validation sees the client's document; execution sees one in which that variable is declared JSON, so graphql-core hands
the struct on untouched. What msgspec refuses takes the ordinary way, whose words and paths clients know. Contract
checks: tests/unit/api/test_typed_variables.py.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from graphql import (
    ArgumentNode,
    ASTValidationRule,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    NamedTypeNode,
    NameNode,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    get_nullable_type,
    is_input_object_type,
    parse,
    visit,
)
from msgspec import Raw
from strawberry.extensions import SchemaExtension

from app.api.graphql.typed_inputs import Decode, TypedInputs

DOCUMENTS_MAX = 256
REMEMBERED_CHARS_MAX = 8_192
TOKENS_MAX = 2_000
"""of a query text; 1,000 inline jobs would cost 0.7 s of parsing"""

_decode = msgspec.json.Decoder().decode
_BAD_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Prepared:
    """One query text."""

    __slots__ = ("decoders", "document", "executable", "is_valid")

    def __init__(self, document: DocumentNode) -> None:
        self.document = document
        self.is_valid = False
        self.executable: DocumentNode | None = None
        self.decoders: dict[str, Decode] = {}

    def bind(self, schema: GraphQLSchema, inputs: TypedInputs) -> None:
        """Finds the variables that can be typed, once."""
        if self.executable is None:
            self.executable, self.decoders = _with_json_variables(self.document, schema, inputs)


class PreparedOperations:
    """The latest query texts of one schema; long ones are not kept, a document takes 100-280 bytes a character."""

    def __init__(self, inputs: TypedInputs, rules: Sequence[type[ASTValidationRule]] = ()) -> None:
        self.inputs = inputs
        self.rules = tuple(rules)
        """validation rules beside those of GraphQL: the same for every request, so a valid text stays valid"""
        self._known: OrderedDict[str, Prepared] = OrderedDict()

    def get(self, query: str) -> Prepared:
        """Raises GraphQLError for what cannot be parsed."""
        known = self._known.get(query)
        if known is not None:
            self._known.move_to_end(query)
            return known
        made = Prepared(parse(query, max_tokens=TOKENS_MAX))
        if len(query) <= REMEMBERED_CHARS_MAX:
            self._known[query] = made
            if len(self._known) > DOCUMENTS_MAX:
                self._known.popitem(last=False)
        return made

    def extension(self) -> "PreparedOperationExtension":
        """A factory for `Schema(extensions=[...])`. First in the list: later ones see plain variables."""
        return PreparedOperationExtension(self)


class PreparedOperationExtension(SchemaExtension):
    """Parses and validates each text once, and decodes typed variables."""

    def __init__(self, operations: PreparedOperations) -> None:
        super().__init__()
        self._operations = operations
        self._prepared: Prepared | None = None

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        if context.query and context.graphql_document is None:
            # A text that cannot be parsed is parsed again by Strawberry, which reports the error.
            context.parse_options["max_tokens"] = TOKENS_MAX
            try:
                self._prepared = self._operations.get(context.query)
                context.graphql_document = self._prepared.document
            except GraphQLError:
                self._prepared = None
        yield

    def on_validate(self) -> Iterator[None]:
        prepared, context = self._prepared, self.execution_context
        if prepared is not None and prepared.is_valid:
            context.pre_execution_errors = []  # an empty list means: was validated
        else:
            context.validation_rules = (*context.validation_rules, *self._operations.rules)
        yield
        if prepared is not None:
            prepared.is_valid = not context.pre_execution_errors

    def on_execute(self) -> Iterator[None]:
        context = self.execution_context
        if context.variables:
            context.graphql_document, context.variables = self._bound(context.graphql_document, context.variables)
        yield

    def _bound(
        self, document: DocumentNode | None, variables: dict[str, Any]
    ) -> tuple[DocumentNode | None, dict[str, Any]]:
        prepared = self._prepared
        if prepared is not None:
            prepared.bind(self.execution_context.schema._schema, self._operations.inputs)
            decoders = prepared.decoders
            if decoders and all(type(variables.get(name)) is Raw for name in decoders):
                try:
                    typed = {name: decode(variables[name]) for name, decode in decoders.items()}
                    return prepared.executable, _plain({**variables, **typed})
                except _BAD_JSON:
                    pass  # graphql-core decides and words the error
        return document, _plain(variables)


def _plain(variables: dict[str, Any]) -> dict[str, Any]:
    """The variables with those that are still bytes decoded."""
    try:
        return {name: _decode(value) if type(value) is Raw else value for name, value in variables.items()}
    except _BAD_JSON as error:
        raise GraphQLError(f"The variables are not valid JSON: {error}") from None


class _Uses(Visitor):
    """Which variables are whole arguments of typed inputs and nothing else."""

    def __init__(self, info: TypeInfo, inputs: TypedInputs) -> None:
        super().__init__()
        self._info = info
        self._inputs = inputs
        self.typed: dict[str, str] = {}
        self.others: set[str] = set()

    def enter_variable(self, node: VariableNode, _key: Any, parent: Any, *_: Any) -> None:
        if isinstance(parent, VariableDefinitionNode):
            return
        expected = get_nullable_type(self._info.get_input_type())
        if (
            isinstance(parent, ArgumentNode)
            and is_input_object_type(expected)
            and expected.name in self._inputs.decoders
        ):
            self.typed[node.name.value] = expected.name
        else:
            self.others.add(node.name.value)


class _DeclareJson(Visitor):
    """Declares variables as JSON."""

    def __init__(self, names: set[str]) -> None:
        super().__init__()
        self._names = names
        self._inside = False

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: Any) -> None:
        self._inside = node.variable.name.value in self._names

    def leave_variable_definition(self, *_: Any) -> None:
        self._inside = False

    def enter_named_type(self, *_: Any) -> NamedTypeNode | None:
        return NamedTypeNode(name=NameNode(value="JSON")) if self._inside else None


def _with_json_variables(
    document: DocumentNode, schema: GraphQLSchema, inputs: TypedInputs
) -> tuple[DocumentNode, dict[str, Decode]]:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if len(operations) != 1:
        return document, {}
    info = TypeInfo(schema)
    uses = _Uses(info, inputs)
    visit(document, TypeInfoVisitor(info, uses))
    typed = {name: type_name for name, type_name in uses.typed.items() if name not in uses.others}
    if not typed:
        return document, {}
    rewritten: DocumentNode = visit(document, _DeclareJson(set(typed)))
    return rewritten, {name: inputs.decoders[type_name] for name, type_name in typed.items()}
