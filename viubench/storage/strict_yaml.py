"""YAML that cannot surprise: data only, no duplicate or unknown keys, every error with file, line and column.

Example:
    task = load(Path("viubench_count_easy.yaml"), Task)

Files are untrusted: tags, code, deep nesting and alias bombs are refused before anything is built.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import yaml

from viubench.errors import ViubenchError

if TYPE_CHECKING:  # `tasks list` reads YAML without pydantic, whose import takes longer
    from pydantic import BaseModel, ValidationError

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_ALIASES = 100
MAX_VALUES = 50_000  # of a document, what an alias stands for counted each time
MAX_DIGITS = 100  # characters of a value that is no text
SEE_TASKS = "see the keys of a task that works"
LONGEST_HINT, MOST_LIKE = 160, 4
CORE_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map"))

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser where PyYAML was built with it: ten times as fast."""

Path_ = tuple[str | int, ...]
Marks = dict[Path_, yaml.Mark]
M = TypeVar("M", bound="BaseModel")


def load(path: Path, model: type[M], see: str = SEE_TASKS) -> M:
    """Read one document into `model`; `see` is the hint for an unknown key that none of many known ones is like.

    Raises:
        ViubenchError: the file is missing, too large, no YAML, not plain data, or does not fit the model; `where` is
            `file:line:column` and `hint` names the probable intention.
    """
    data, marks = read(path)
    return validate(data, marks, path, model, see)


def validate(data: Any, marks: Marks, path: Path, model: type[M], see: str = SEE_TASKS) -> M:
    """`data` read from `path` as a `model`; raises as `load` does."""
    from pydantic import ValidationError

    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _explain(error, path, marks, model, see) from None


def read(path: Path) -> tuple[Any, Marks]:
    """The plain data of a YAML file, and the place of every key and list element in it."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ViubenchError(f"cannot read {path.name}: {error.strerror}", where=str(path)) from None
    if len(raw) > MAX_BYTES:
        raise ViubenchError(f"{path.name} is {len(raw)} bytes; a task file has at most {MAX_BYTES}", where=str(path))
    try:
        text = raw.decode()
        _bound(text, path)
        loader = _Loader(text)
        node = loader.get_single_node()
    except UnicodeDecodeError:
        raise ViubenchError(f"{path.name} is not UTF-8 text", where=str(path)) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it cannot be read"
        if "nesting depth" in problem:  # libyaml's own limit, in the text its parser reads ahead
            raise ViubenchError(f"nested deeper than {MAX_DEPTH} levels", where=_at(path, mark)) from None
        raise ViubenchError(f"not valid YAML: {problem}", where=_at(path, mark)) from None
    if node is None:
        raise ViubenchError(f"{path.name} is empty", where=str(path))
    marks: Marks = {(): node.start_mark}
    return _Builder(loader, path, marks).value(node, ()), marks


def _bound(text: str, path: Path) -> None:
    """Refuse, before anything is built, what would take long to build: deep nesting, many aliases, many values."""
    depth = aliases = values = 0
    for event in yaml.parse(text, Loader=_Loader):
        values += isinstance(event, yaml.NodeEvent)
        if values > MAX_VALUES:
            raise _too_many(path, event.start_mark)
        aliases += isinstance(event, yaml.AliasEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ViubenchError(f"nested deeper than {MAX_DEPTH} levels", where=_at(path, event.start_mark))
        if aliases > MAX_ALIASES:
            raise ViubenchError(f"more than {MAX_ALIASES} aliases", where=_at(path, event.start_mark))


def _too_many(path: Path, mark: Any) -> ViubenchError:
    return ViubenchError(f"more than {MAX_VALUES} values", where=_at(path, mark))


@dataclass
class _Builder:
    """Makes plain data of a document's nodes, and notes where they stand."""

    loader: yaml.constructor.SafeConstructor
    path: Path
    marks: Marks
    values: int = 0

    def value(self, node: yaml.Node, at: Path_) -> Any:
        """The data of a node; an alias is the same node at another place, also inside of itself."""
        self.values += 1
        if self.values > MAX_VALUES:
            raise _too_many(self.path, node.start_mark)
        if len(at) > MAX_DEPTH:
            raise ViubenchError(f"nested deeper than {MAX_DEPTH} levels", where=_at(self.path, node.start_mark))
        if node.tag not in CORE_TAGS:
            raise ViubenchError(
                f"the tag {node.tag!r:.200} is not allowed: task files are data, never code",
                where=_at(self.path, node.start_mark),
                hint="quote the value if it was meant as text; functions are named by their registered name",
            )
        if isinstance(node, yaml.SequenceNode):
            for index, child in enumerate(node.value):
                self.marks[(*at, index)] = child.start_mark
            return [self.value(child, (*at, index)) for index, child in enumerate(node.value)]
        return self._mapping(node, at) if isinstance(node, yaml.MappingNode) else self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, at: Path_) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, child in node.value:
            where = _at(self.path, key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                raise ViubenchError("a key must be plain text", where=where)
            key = key_node.value
            if key in result:
                raise ViubenchError(f"the key {key!r:.200} appears twice", where=where, hint="keep one of the two")
            self.marks[(*at, key)] = key_node.start_mark
            result[key] = self.value(child, (*at, key))
        return result

    def _scalar(self, node: yaml.Node) -> Any:
        kind = node.tag.rpartition(":")[2]
        with suppress(ValueError, LookupError, ArithmeticError, TypeError, AttributeError, yaml.YAMLError):
            if kind == "str" or len(node.value) <= MAX_DIGITS:
                return self.loader.construct_object(node)
        raise ViubenchError(
            f"{node.value!r:.80} is no {kind}", where=_at(self.path, node.start_mark), hint="quote it if it is text"
        )


def _explain(error: ValidationError, path: Path, marks: Marks, model: type[BaseModel], see: str) -> ViubenchError:
    """The first validation error as one sentence, at the place in the file it speaks of; an unknown key comes first,
    since it is often a missing one misspelt."""
    from viubench.schema.wording import in_words

    first = min(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    key, said = in_words(first, model)
    name = ".".join(map(str, key)) or "the document"
    hint = None
    if first["type"] == "extra_forbidden":
        message = f"unknown key {name!r}"
        hint = _hint(first["loc"], model, see)
    elif said == "is missing":
        message = f"the key {name!r} is missing"
    else:
        given = f", not {first.get('ctx', {}).get('tag', first['input'])!r:.80}" if said.startswith("must be ") else ""
        message = f"{name}: {said}{given}"
    more = len(error.errors()) - 1
    if more:
        message += f" (and {more} more)"
    return ViubenchError(message, where=place(path, marks, key), hint=hint)


def place(path: Path, marks: Marks, key: Path_) -> str:
    """`file:line:column` of a key, or of the nearest one around it that the file has."""
    while key not in marks:
        key = key[:-1]
    return _at(path, marks[key])


def _hint(loc: Path_, model: type[BaseModel], see: str) -> str:
    """What to write in place of an unknown key: a known one like it there, or elsewhere in the model; else `see`."""
    from viubench.schema.wording import known_keys

    name, here = str(loc[-1]), known_keys(model, loc[:-1])
    if elsewhere := [path for path in _paths(model) if path.rpartition(".")[2] == name]:
        return f"it belongs under {elsewhere[0].rpartition('.')[0] or 'the document'}"
    if like := _like(name, here):
        return f"did you mean {' or '.join(map(repr, like))}?"
    there = f"remove it; there are: {', '.join(here)}"
    return there if here and len(there) <= LONGEST_HINT else f"remove it, or {see}"


def _like(name: str, known: Sequence[str]) -> list[str]:
    """The known keys that `name` is a misspelling, the initials or a part of: as learning_rte, lr and rate of
    learning_rate."""
    words = set(name.split("_"))
    return (
        get_close_matches(name, known, n=1)
        or [key for key in known if name == "".join(word[:1] for word in key.split("_"))]
        or [key for key in known if words <= set(key.split("_"))][:MOST_LIKE]
    )


def _paths(model: type[BaseModel]) -> Iterator[str]:
    """Every key that `model`, or a model inside it, knows, with those around it."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        yield key
        for inner in _models(field.annotation):
            yield from (f"{key}.{path}" for path in _paths(inner))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in a type such as `list[Task] | None`."""
    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _at(path: Path, mark: Any) -> str:
    return str(path) if mark is None else f"{path}:{mark.line + 1}:{mark.column + 1}"
