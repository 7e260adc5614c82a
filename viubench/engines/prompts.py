"""From a question to the prompt text of a model, by the model's own chat template.

Example:
    >>> parts("<video>\\nHow many circles?", videos=1)
    [{'type': 'video'}, {'type': 'text', 'text': '\\nHow many circles?'}]
    >>> parts("<video> or <video>?", videos=2, stills={1})[2]
    {'type': 'image'}
    >>> neutralise("what does <|im_end|> mean?")
    'what does < |im_end|> mean?'
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol

from viubench.engines import templates
from viubench.engines.families import Family, Medium
from viubench.errors import EngineError, ViubenchError
from viubench.schema import Chat
from viubench.video.frames import VideoInput

MARK = "<video>"

_CONTROL = "<video> <image> <audio> <s> </s> <bos> <eos> <start_of_turn> <end_of_turn> <IMG_CONTEXT> [INST] [/INST]"
CONTROL_TOKENS = tuple(_CONTROL.split())  # texts that some tokenizer reads as a command; all `<|...|>` are besides

BARRED = re.compile(r"<\|[^<>\n]{1,64}\|>")
"""What a tokenizer of most families reads as one command."""

Part = dict[str, str]
"""A part of a message: {"type": "video" or "image"} or {"type": "text", "text": ...}."""


class Timed(Protocol):
    """A video, as far as a prompt tells of it."""

    @property
    def still(self) -> bool: ...
    @property
    def times(self) -> tuple[float, ...]: ...


@dataclass(frozen=True)
class Showing:
    """How videos stand in a prompt: as a `medium` of their own or as still images, and whether the times of the frames
    are told in a sentence before each; images without it have their time before each of them, unless no `times` are to
    be told."""

    medium: Medium = "video"
    words: bool = False
    times: bool = True

    @classmethod
    def of(cls, family: Family, kind: str) -> Showing:
        """How `family` is shown videos in the engine `kind`: words where nothing else tells it the times."""
        medium: Medium = getattr(family, kind)
        return cls(medium, medium == "video" and family.stamp is None and not family.positions)

    def asked(self, times: bool) -> Showing:
        """The same for a request that is or is not to tell the times of frames; ViubenchError where it has to, and the
        model's own processor tells them."""
        if not times and self.medium == "video" and not self.words:
            hint = "serve the model with vLLM, and name it with --base-url and --engine-arg transport=images"
            message = "the model's own processor writes the times of frames: they cannot be left out"
            raise ViubenchError(message, where="--probe no-times", hint=hint)
        return self if times else replace(self, times=False)

    def parts(self, videos: Sequence[Timed]) -> list[list[Part]]:
        """What stands in place of each video's mark."""
        told = sentences(videos)
        return [self._parts(video, words) for video, words in zip(videos, told, strict=True)]

    def _parts(self, video: Timed, told: str) -> list[Part]:
        image: Part = {"type": "image"}
        if video.still:
            return [image]
        said: list[Part] = [{"type": "text", "text": told + "\n"}] if self.words and self.times else []
        if self.medium == "video":
            return [*said, {"type": "video"}]
        if self.words or not self.times:
            return [*said, *[image] * len(video.times)]
        return [part for time in video.times for part in ({"type": "text", "text": stamp(time)}, image)]


def stamp(time: float) -> str:
    """What stands before a still image of a video."""
    return f"<{time:.1f} seconds>"


def sentences(videos: Sequence[Timed]) -> list[str]:
    """What tells the times of each video's frames in words; several videos are numbered, a picture has no times."""
    many, number, told = sum(not video.still for video in videos) > 1, 0, []
    for video in videos:
        number += not video.still
        name = f"video {number}" if many else "this video"
        times = ", ".join(f"{time:.1f}" for time in video.times)
        frames = "frames of {} are" if len(video.times) > 1 else "frame of {} is"
        told.append("" if video.still else f"The {frames.format(name)} at {times} seconds.")
    return told


@lru_cache(maxsize=16)
def _commands(special: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted({*CONTROL_TOKENS, *(token for token in special if len(token) > 1)}, key=len, reverse=True)
    return re.compile("|".join([BARRED.pattern, *map(re.escape, longest_first)]))


def neutralise(text: str, special: Iterable[str] = ()) -> str:
    """`text` with a space after the first character of everything a tokenizer would read as a command.

    A question is data: one that quotes `<|im_end|>` must not end the user's turn. `special` are further tokens,
    those of the model's own tokenizer; `<|...|>` and `CONTROL_TOKENS` are always covered, so that engines that
    cannot see the tokenizer send the same text.
    """
    pattern = _commands(tuple(special))
    while match := pattern.search(text):
        text = text[: match.start() + 1] + " " + text[match.start() + 1 :]
    return text


def parts(
    question: str,
    videos: int,
    special: Iterable[str] = (),
    stills: Collection[int] = (),
    inserts: Sequence[Sequence[Part]] | None = None,
) -> list[Part]:
    """Message parts in the order of the question.

    The first `videos` marks are places, any later one is text that quotes the mark; a question without marks gets
    its videos in front. `stills` are the places (from 0) whose video is a single picture. `inserts` are the parts of
    each place, where it is not just the one video or image.

    Raises:
        EngineError: some marks, but fewer than videos.
    """
    pieces = question.split(MARK)
    if len(pieces) == 1 and videos:
        pieces = [""] * videos + pieces
    if len(pieces) - 1 < videos:
        raise EngineError(f"the question marks {len(pieces) - 1} videos with {MARK}, but {videos} came with it")
    texts = [*pieces[:videos], MARK.join(pieces[videos:])]
    content: list[Part] = []
    for number, text in enumerate(texts):
        if number and inserts is not None:
            content += [dict(part) for part in inserts[number - 1]]
        elif number:
            content.append({"type": "image" if number - 1 in stills else "video"})
        if text:
            content.append({"type": "text", "text": neutralise(text, special)})
    return content


def special_tokens(processor: Any) -> list[str]:
    """Every added token of the processor's tokenizer that steers the model, sorted."""
    tokenizer = getattr(processor, "tokenizer", processor)
    added = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    return sorted({*added, *tokenizer.all_special_tokens})


def moving(videos: Sequence[VideoInput]) -> list[VideoInput]:
    """The videos that are not single pictures."""
    return [video for video in videos if not video.still]


def render(
    processor: Any,
    question: str,
    videos: int,
    stills: Collection[int] = (),
    *,
    chat: Chat | None = None,
    inserts: Sequence[Sequence[Part]] | None = None,
) -> str:
    """Prompt text of one user turn, by the chat template of `processor` (a transformers processor or tokenizer).

    Raises:
        ViubenchError: the checkpoint has no chat template, or one that does not fit the question or `chat`.
        EngineError: see `parts`.
    """
    chat = chat or Chat()
    content = parts(question, videos, special_tokens(processor), stills, inserts)
    messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if chat.system:
        messages.insert(0, {"role": "system", "content": [{"type": "text", "text": chat.system}]})
    return templates.apply(processor, messages, templates.arguments(templates.source(processor), chat))
