"""The API's inputs as msgspec structs, and Strawberry's input types made of them: the structs are the single source of
the SDL.

Strawberry converts inputs field by field, which costs more than everything else that a submit call needs; a struct is
decoded from the bytes of the request in one call. What cannot be decoded takes the ordinary way of GraphQL, which words
the error.
"""

import types
import typing
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import strawberry
from msgspec import Raw, Struct
from strawberry.scalars import JSON

from app.api.service.inputs import Json, TypedInput

_JSON_TYPES = frozenset(typing.get_args(Json))
Decode = Callable[[bytes | Raw], Struct]


class TypedInputs:
    """Strawberry input types by struct, and the decoder of each by its GraphQL name."""

    def __init__(self) -> None:
        self.decoders: dict[str, Decode] = {}
        self._types: dict[type[Struct], type] = {}

    def add(self, struct: type[TypedInput], name: str) -> type:
        """The input type `name`; inputs that the struct contains are added before it."""
        annotations: dict[str, Any] = {}
        namespace: dict[str, Any] = {"__annotations__": annotations, "__doc__": struct.__doc__}
        for field in msgspec.structs.fields(struct):
            annotations[field.name] = self._annotation(field.type)
            if not field.required:
                namespace[field.name] = _default(field)
        description = (struct.__doc__ or "").strip().split("\n")[0]
        made = strawberry.input(type(name, (), namespace), name=name, description=description)
        decode: Decode = msgspec.json.Decoder(struct).decode
        vars(made)["__strawberry_definition__"].from_input = _converter(struct, decode)
        self._types[struct] = made
        self.decoders[name] = decode
        return made

    def _annotation(self, hint: Any) -> Any:
        """What Strawberry prints as the SDL type of a field with this hint."""
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if hint is Any or hint is Raw:
            return JSON | None
        if set(args) >= _JSON_TYPES:
            return JSON | None if type(None) in args else JSON
        if origin is Annotated:
            return self._annotation(args[0])
        if origin in (list, tuple):
            item = args[0]
            return list[JSON if item is Raw else self._annotation(item)]  # type: ignore[misc]
        if origin in (typing.Union, types.UnionType):
            (inner,) = (arg for arg in args if arg is not type(None))
            return self._annotation(inner) | None
        return self._types.get(hint, hint)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    """The default in the SDL; null is none."""
    if field.default_factory is not msgspec.NODEFAULT:
        return strawberry.field(default_factory=list)
    if field.default is None or isinstance(field.default, Raw):
        return strawberry.UNSET
    if field.default == ():
        return strawberry.field(default_factory=list)
    return field.default


def _converter(struct: type[Struct], decode: Decode) -> Callable[..., Struct]:
    def from_input(_cls: type, value: Any, _context: Any) -> Struct:
        """A variable that was decoded already is passed through; a literal arrives as a coerced dict."""
        return value if isinstance(value, struct) else decode(msgspec.json.encode(value))

    return from_input
