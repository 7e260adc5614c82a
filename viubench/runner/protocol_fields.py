"""Any field of a protocol by its dotted path, as `--set decoding.top_p=0.8` names it.

Example:
    >>> value("decoding.top_p", "0.8"), value("decoding.stop", '["\\\\n"]'), value("chat.thinking", "off")
    (0.8, ['\\n'], 'off')
    >>> allowed("decoding.top_p")
    'a number, more than 0, at most 1'
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from viubench.errors import ViubenchError, did_you_mean
from viubench.schema import Protocol, wording

ABOUT = ("protocol", "description", "source", "commands")
"""Fields that say what a protocol is, and change nothing."""


def paths(model: type[BaseModel] = Protocol, above: str = "") -> Iterator[str]:
    """The dotted path of every field that changes a run."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from paths(inner, f"{above}{name}.")
        elif above or name not in ABOUT:
            yield above + name


def value(path: str, given: Any, where: str = "--set") -> Any:
    """What `given` says for the field at `path`; a text is YAML, unless the field itself holds text.

    Raises:
        ViubenchError: a protocol has no such field, or the value is no plain data.
    """
    field = _field(path, where)
    choices = _choices(field.annotation)
    if isinstance(given, str) and (_inside(path) or (str not in choices and not _texts(choices))):
        try:
            given = yaml.safe_load(given)
        except yaml.YAMLError:
            raise _ill(path, given, where) from None
    try:
        json.dumps(given, allow_nan=False)
    except (TypeError, ValueError):
        raise _ill(path, given, where) from None
    if isinstance(given, bool) and not _inside(path) and bool not in choices:
        raise _ill(path, given, where)  # pydantic takes true for 1
    return given


def allowed(path: str) -> str:
    """What a field may hold, in words."""
    *above, name = path.split(".")
    model: type[BaseModel] = Protocol
    for part in above:
        model = model.model_fields[part].annotation  # type: ignore[assignment]
    words = wording.described(model.model_json_schema()["properties"][name])
    return words + ', such as ["\\n"]' if words == "a list of texts" else words


def placed(data: Mapping[str, Any], path: str, new: Any) -> dict[str, Any]:
    """`data` of a protocol with one field replaced."""
    name, _, rest = path.partition(".")
    return {**data, name: placed(data.get(name, {}), rest, new) if rest else new}


def found(protocol: Protocol, path: str) -> Any:
    """The value of the field at `path`; None for a key that a mapping lacks."""
    at: Any = protocol
    for part in path.split("."):
        at = at.get(part) if isinstance(at, Mapping) else getattr(at, part)
    return at


def validated(data: Mapping[str, Any], options: Mapping[str, str]) -> Protocol:
    """`data` as a protocol; ViubenchError names the option (by path in `options`) whose value does not fit."""
    try:
        return Protocol.model_validate(data)
    except ValidationError as error:
        places = [".".join(map(str, fault["loc"])) for fault in error.errors()]
        for path, option in options.items():
            if any(place == path or place.startswith(f"{path}.") for place in places):
                raise _ill(path, _at(data, path), option) from None
        raise ViubenchError(f"the protocol does not fit: {wording.first_in_words(error, Protocol)}") from None


def _field(path: str, where: str) -> FieldInfo:
    """The field at a path; below a mapping every key is one."""
    model: type[BaseModel] = Protocol
    parts = path.split(".")
    for place, part in enumerate(parts):
        if part not in model.model_fields or (model is Protocol and part in ABOUT):
            break
        field = model.model_fields[part]
        inner, last = field.annotation, place == len(parts) - 1
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            if last:
                hint = f"name one of its fields: {', '.join(paths(inner, f'{part}.'))}"
                raise ViubenchError(f"{path} is a group of fields", where=where, hint=hint)
            model = inner
        elif last or (get_origin(inner) is dict and all(parts)):
            return field
        else:
            break
    raise ViubenchError(f"a protocol has no field {path!r}", where=where, hint=_near(path))


def _near(path: str) -> str:
    known = list(paths())
    leaf = path.rsplit(".", 1)[-1]
    same = [one for one in known if one.rsplit(".", 1)[-1] == leaf]
    if same:
        return f"did you mean {same[0]}?"
    by_leaf = {one.rsplit(".", 1)[-1]: one for one in known}
    hint = did_you_mean(leaf, by_leaf, "")
    close = hint.removeprefix("did you mean ").removesuffix("?")
    return (
        f"did you mean {by_leaf[close]}?"
        if hint
        else did_you_mean(path, known, "viubench protocols show viubench names them")
    )


def _inside(path: str) -> bool:
    """Whether a path leads into a mapping: its values are of any kind."""
    return path not in set(paths())


def _ill(path: str, given: Any, where: str) -> ViubenchError:
    shown = given if isinstance(given, str) else json.dumps(given, default=str)
    hint = "plain YAML or JSON" if _inside(path) else f"{path} is {allowed(path)}"
    return ViubenchError(f"{path} cannot be {shown!s:.80}", where=where, hint=hint)


def _choices(annotation: Any) -> tuple[Any, ...]:
    """The types a field takes, and the values it names."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    inner = get_args(annotation)
    if get_origin(annotation) in (dict, tuple, list) or not inner:
        return (get_origin(annotation) or annotation,)
    return tuple(choice for one in inner for choice in _choices(one))


def _texts(choices: tuple[Any, ...]) -> bool:
    return bool(choices) and all(isinstance(choice, str) for choice in choices)


def _at(data: Mapping[str, Any], path: str) -> Any:
    at: Any = data
    for part in path.split("."):
        at = at.get(part) if isinstance(at, Mapping) else None
    return at
