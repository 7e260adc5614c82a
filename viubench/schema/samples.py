"""What a model is asked: items of built videos, clips, samples.

Example:
    >>> Clip(path="pour.mp4", start=3.0, end=8.0).frame_files
    ()
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, Field, PlainSerializer, TypeAdapter

from viubench.schema.base import Strict, content_hash
from viubench.schema.pretext import ItemParams
from viubench.schema.tasks import Sampling

Groups = dict[str, str | tuple[str, ...]]
"""Group key -> the value (or the several values) of a sample, for breakdowns."""


class Item(Strict):
    """One line of `items.jsonl`: all that is needed to show one pretext question again. The source is never touched."""

    id: str
    task: str
    video: str
    cluster: str
    seed: int
    params: ItemParams
    question: str
    answer: str


class Clip(Strict):
    """A piece of one video: a file below the media root, or a list of already extracted frames. `frames` (numbers) or
    `times` (seconds) are the ones to show where the question chooses them itself."""

    path: str = ""
    frame_files: tuple[str, ...] = ()
    frame_fps: float | None = None
    start: float | None = None
    end: float | None = None
    frames: Annotated[tuple[int, ...], Field(exclude_if=lambda numbers: not numbers)] = ()
    times: Annotated[tuple[float, ...], Field(exclude_if=lambda times: not times)] = ()
    content: str | None = None
    """Expected content hash of the file; another one is a `changed` media error."""

    @property
    def sampling(self) -> Sampling | None:
        """The frames that the question chooses itself; None where the protocol does."""
        if self.frames:
            return Sampling(kind="indices", indices=self.frames)
        return Sampling(kind="times", times=self.times) if self.times else None


class Fields(Mapping[str, Any]):
    """The fields of a model as plain data that is made when it is read: held, that of a draw takes more room than the
    draw itself."""

    __slots__ = ("_model",)

    def __init__(self, model: BaseModel) -> None:
        self._model = model

    def __getitem__(self, key: str) -> Any:
        return self._model.model_dump(mode="json", include={key})[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._model.model_dump(mode="json"))

    def __len__(self) -> int:
        return len(self._model.model_dump(mode="json"))


@dataclass(frozen=True, slots=True)
class Sample:
    """One question put to a model. There may be millions of them, so it is no model of pydantic.

    `question` is text in which each `<video>` marks the place of the next video. `pretext` and `seed` turn the frames
    of `clips` into the videos shown. An evaluator reads `target`, `options` and `params`, which hold all of `pretext`.
    """

    id: str
    task: str
    cluster: str
    clips: tuple[Clip, ...]
    question: str
    target: Any
    answer_text: str
    options: tuple[str, ...] = ()
    params: Annotated[Mapping[str, Any], PlainSerializer(dict)] = field(default_factory=dict)
    pretext: Annotated[ItemParams | None, Field(exclude_if=lambda pretext: pretext is None)] = None
    seed: int = 0
    groups: Groups = field(default_factory=dict)

    def target_hash(self) -> str:
        return _text_hash(self.target) if isinstance(self.target, str) else content_hash(self.target)

    def plain(self) -> dict[str, Any]:
        """All of it as plain data, for a hash; of what is none, the name of its type."""
        data: dict[str, Any] = _ADAPTER.dump_python(self, mode="json", fallback=lambda value: type(value).__name__)
        return data

    def to_json(self) -> str:
        return _ADAPTER.dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> Sample:
        """The sample that `to_json` wrote; raises pydantic's ValidationError."""
        return _ADAPTER.validate_json(text)


_ADAPTER = TypeAdapter(Sample)
_text_hash = lru_cache(maxsize=1024)(content_hash)  # the targets of a million questions may be four letters
