"""What a validation error means in plain words, and where: what the field may hold, as a person would say it.

Example:
    >>> from pydantic import ValidationError
    >>> from viubench.schema.tasks import Protocol
    >>> try:
    ...     Protocol.model_validate({"protocol": "p", "resize": {"fixed": 448}})
    ... except ValidationError as error:
    ...     in_words(error.errors()[0], Protocol)
    (('resize', 'fixed'), 'must be a list of two whole numbers or null')
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from pydantic.errors import PydanticUserError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Place = tuple[str | int, ...]
Schema = Mapping[str, Any]

KINDS = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "a text"}
KINDS |= {"array": "a list", "object": "a mapping", "null": "null"}
MANY = {"integer": "whole numbers", "number": "numbers", "string": "texts", "array": "lists", "object": "mappings"}
BOUNDS = {"exclusiveMinimum": "more than", "minimum": "at least", "exclusiveMaximum": "less than", "maximum": "at most"}
COUNTS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}

OWN = ("value_error", "assertion_error")
"""Errors whose message is ours already."""

_TERMS = {"tuple": "list", "dictionary": "mapping", "string": "text", "integer": "whole number"}


def first_in_words(error: ValidationError, model: type[BaseModel]) -> str:
    """The first fault of an error, with the name of its field."""
    place, said = in_words(error.errors()[0], model)
    return f"{'.'.join(map(str, place))} {said}".strip()


def in_words(fault: ErrorDetails, model: type[BaseModel]) -> tuple[Place, str]:
    """The field that a fault of `model` is about, without what the loader adds to its place, and what is wrong with it:
    "must be a number, at most 1"."""
    kind, loc = fault["type"], fault["loc"]
    if kind in ("missing", "extra_forbidden"):
        place, schema = _at(model, loc[:-1])
        if kind == "extra_forbidden" or not isinstance(loc[-1], int):
            return (*place, loc[-1]), "is missing" if kind == "missing" else "is an unknown key"
    else:
        place, schema = _at(model, loc)
    if kind in OWN:
        return place, fault["msg"].split(", ", 1)[-1]
    if kind.startswith("union_tag"):
        name, known = (fault["ctx"].get(key, "").replace("'", "") for key in ("discriminator", "expected_tags"))
        return (*place, name), f"must be one of {known}" if known else "is missing"
    if schema is not None and (words := described(schema)) != "a value":
        return place, f"must be {words}"
    return place, _plain(fault["msg"])


def known_keys(model: type[BaseModel], place: Place) -> list[str]:
    """The keys that the mapping at a place of `model` may have, where that says which."""
    root, (_, node) = _schema(model), _at(model, place)
    choices = () if root is None or node is None else _choices(node, root)
    return [key for one in choices for key in one.get("properties", {})]


def described(schema: Schema) -> str:
    """What a JSON schema allows: "a whole number, at least 1 or null"."""
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return " or ".join(dict.fromkeys(map(described, choices)))
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    kind = KINDS.get(schema.get("type", ""), "a mapping" if "$ref" in schema else "a value")
    if kind == "a list":
        kind = _list(schema)
    return ", ".join([kind, *(f"{word} {schema[key]:g}" for key, word in BOUNDS.items() if key in schema)])


def _list(schema: Schema) -> str:
    items: Sequence[Schema] = schema.get("prefixItems") or [schema.get("items") or {}]
    kinds = {item.get("type", "") for item in items}
    of = MANY.get(kinds.pop(), "values") if len(kinds) == 1 else "values"
    if "prefixItems" in schema:
        return f"a list of {COUNTS.get(len(items), len(items))} {of}"
    kind = "a list" if of == "values" else f"a list of {of}"
    return f"{kind}, at least {schema['minItems']}" if "minItems" in schema else kind


def _at(model: type[BaseModel], loc: Place) -> tuple[Place, Schema | None]:
    """A place of `model` without the names of unions' members, and its schema, None where it has none."""
    root = _schema(model)
    if root is None:
        return loc, None
    node: Schema | None = root
    place: list[str | int] = []
    for part in loc:
        if node is None:
            place.append(part)
            continue
        inner = next(_inner(node, part, root), None)
        if isinstance(part, str) and len(_choices(node, root)) > 1 and (inner is None or _tagged(node, part, root)):
            node = _tagged(node, part, root) or node  # the name or the tag of a union's member
            continue
        place.append(part)
        node = inner
    return tuple(place), node


@cache
def _schema(model: type[BaseModel]) -> Schema | None:
    """None for a model of types that JSON does not have."""
    try:
        return model.model_json_schema()
    except (PydanticUserError, ValueError):
        return None


def _inner(node: Schema, part: str | int, root: Schema) -> Iterator[Schema]:
    for one in _choices(node, root):
        if isinstance(part, int):
            listed = one.get("prefixItems", [])
            found = listed[part] if part < len(listed) else one.get("items")
        else:
            found = one.get("properties", {}).get(part, one.get("additionalProperties"))
        if isinstance(found, Mapping):
            yield found


def _tagged(node: Schema, tag: str, root: Schema) -> Schema | None:
    node = _resolved(node, root)
    mapping = node.get("discriminator", {}).get("mapping", {})
    if tag in mapping:
        return {"$ref": mapping[tag]}
    members = (*node.get("anyOf", ()), *node.get("oneOf", ()))
    return next(filter(None, (_tagged(one, tag, root) for one in members)), None)


def _choices(node: Schema, root: Schema) -> list[Schema]:
    """The members of a union, also of one in a union; else the schema itself."""
    node = _resolved(node, root)
    members = node.get("anyOf") or node.get("oneOf") or ()
    return [choice for one in members for choice in _choices(one, root)] or [node]


def _resolved(node: Schema, root: Schema) -> Schema:
    name = node.get("$ref", "").removeprefix("#/$defs/")
    return root["$defs"][name] if name else node


def _plain(message: str) -> str:
    """Another message of the loader, without its terms."""
    said = re.sub(r"^Input should be (a valid |an? )?", "must be a ", message)
    for term, word in _TERMS.items():
        said = re.sub(rf"\b{term}\b", word, said)
    return said[0].lower() + said[1:]
